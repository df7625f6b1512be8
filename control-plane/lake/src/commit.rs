//! Making a commit, and doing what it says.
//!
//! ```text
//! 1  new files are written, under `staged/`         nobody reads them
//! 2  the manifest is created                        from here on it is so, whatever happens
//! 3  files that it removes are deleted              a reader of `events/` sees less for a moment, never an event twice
//! 4  new files are moved into `events/`             and now all of it
//! 5  landing objects that it has consumed are deleted
//! ```
//!
//! A crash before 2 leaves staged files that no manifest has; they are swept once a commit of their number is there, as
//! from then on nobody can ever make them part of one. A crash after 2 leaves 3 to 5 to whoever compacts next: each step
//! can be done again, and no other commit is made before they are.

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use crate::manifest::{Added, Manifest, STAGED, commit_of};
use crate::{Error, journal};

/// Deletes what was staged for a commit that has been made without it.
pub(crate) async fn sweep(store: &dyn ObjectStore, last: u64) -> Result<(), Error> {
    let folder = Path::from(STAGED);
    let staged = store.list(Some(&folder)).map(|object| object.map(|object| object.location));
    let staged: Vec<Path> = staged.try_collect().await.map_err(Error::store("list", &folder))?;
    for path in staged {
        if commit_of(&path).is_some_and(|commit| commit <= last) {
            journal::delete(store, &path).await?;
        }
    }
    Ok(())
}

/// Steps 3 to 5. Must be done for the last commit before its staged files are swept.
pub(crate) async fn finish(store: &dyn ObjectStore, manifest: &Manifest) -> Result<(), Error> {
    for path in &manifest.removed {
        journal::delete(store, &Path::from(path.as_str())).await?;
    }
    for added in &manifest.added {
        publish(store, manifest.commit, added).await?;
    }
    for path in &manifest.consumed {
        journal::delete(store, &Path::from(path.as_str())).await?;
    }
    Ok(())
}

/// Gives a file its name, where it doesn't have it yet.
async fn publish(store: &dyn ObjectStore, commit: u64, added: &Added) -> Result<(), Error> {
    let (from, to) = (Path::from(added.staged.as_str()), Path::from(added.file.path.as_str()));
    match store.rename(&from, &to).await {
        Ok(()) => Ok(()),
        Err(object_store::Error::NotFound { .. }) => match store.head(&to).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::NotFound { .. }) => {
                Err(Error::Missing { path: added.file.path.clone(), commit })
            }
            Err(error) => Err(Error::store("read", &to)(error)),
        },
        Err(error) => Err(Error::store("move", &from)(error)),
    }
}
