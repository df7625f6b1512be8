//! Commits, as they are kept: written once, read in order, and folded into a snapshot now and then.
//!
//! The manifest of the commit that a snapshot was made at stays. So whoever has read an older snapshot sees that commits
//! between are missing, and begins anew, instead of taking what was for what is.

use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode};

use crate::Error;
use crate::landing::read;
use crate::manifest::{Manifest, VERSION, commit_of};
use crate::state::State;

const MANIFESTS: &str = "manifest";
const SNAPSHOTS: &str = "snapshot";
/// Commits between snapshots.
const FOLD: u64 = 64;
/// What is read may be folded by somebody meanwhile, so often.
const ATTEMPTS: usize = 8;

/// Brings a state up to the last commit.
pub(crate) async fn follow(store: &dyn ObjectStore, state: &mut Arc<State>) -> Result<(), Error> {
    for _ in 0..ATTEMPTS {
        if apply(store, state).await? {
            return Ok(());
        }
        if let Some(read) = last_snapshot(store).await? {
            *state = Arc::new(read);
        }
    }
    Err(Error::Busy)
}

/// Writes a commit down; fails where there is one of its number.
pub(crate) async fn write(store: &dyn ObjectStore, manifest: &Manifest) -> Result<(), Error> {
    let path = Manifest::path(manifest.commit);
    let damaged = |error: serde_json::Error| damaged(&path, error.to_string());
    let json = serde_json::to_vec(manifest).map_err(damaged)?;
    match store.put_opts(&path, json.into(), PutMode::Create.into()).await {
        Ok(_) => Ok(()),
        // The answer to a write that was made may have been lost, and the write made again.
        Err(object_store::Error::AlreadyExists { .. }) => match manifest_at(store, &path).await? {
            Some(there) if there.round == manifest.round => Ok(()),
            _ => Err(Error::Superseded { commit: manifest.commit }),
        },
        Err(error) => Err(Error::store("write", &path)(error)),
    }
}

/// Folds what was committed into a snapshot, when it is time to.
pub(crate) async fn fold(store: &dyn ObjectStore, state: &State) -> Result<(), Error> {
    if !state.commit.is_multiple_of(FOLD) {
        return Ok(());
    }
    let path = Path::from(format!("{SNAPSHOTS}/{:020}.json", state.commit));
    let json = state.write().map_err(|error| damaged(&path, error.to_string()))?;
    store.put(&path, json.into()).await.map_err(Error::store("write", &path))?;
    for folder in [MANIFESTS, SNAPSHOTS] {
        for (commit, path) in list(store, folder, 0).await? {
            if commit < state.commit {
                delete(store, &path).await?;
            }
        }
    }
    Ok(())
}

/// Deletes an object, which may be gone already.
pub(crate) async fn delete(store: &dyn ObjectStore, path: &Path) -> Result<(), Error> {
    match store.delete(path).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(Error::store("delete", path)(error)),
    }
}

/// Applies what is there of later commits; `false` if some are missing.
async fn apply(store: &dyn ObjectStore, state: &mut Arc<State>) -> Result<bool, Error> {
    for (commit, path) in list(store, MANIFESTS, state.commit).await? {
        if commit != state.commit + 1 {
            return Ok(false);
        }
        let Some(manifest) = manifest_at(store, &path).await? else { return Ok(false) };
        if manifest.commit != commit {
            return Err(damaged(&path, format!("it says that it is commit {}", manifest.commit)));
        }
        Arc::make_mut(state).apply(manifest);
    }
    Ok(true)
}

async fn last_snapshot(store: &dyn ObjectStore) -> Result<Option<State>, Error> {
    let Some((_, path)) = list(store, SNAPSHOTS, 0).await?.pop() else { return Ok(None) };
    let Some(json) = read(store, &path).await? else { return Ok(None) };
    State::read(&json).map(Some).map_err(|reason| damaged(&path, reason))
}

async fn manifest_at(store: &dyn ObjectStore, path: &Path) -> Result<Option<Manifest>, Error> {
    let Some(json) = read(store, path).await? else { return Ok(None) };
    let manifest: Manifest =
        serde_json::from_slice(&json).map_err(|error| damaged(path, error.to_string()))?;
    match manifest.version {
        VERSION => Ok(Some(manifest)),
        other => Err(damaged(path, format!("version {other} of the format"))),
    }
}

/// Those after a commit, in order.
async fn list(
    store: &dyn ObjectStore,
    folder: &str,
    after: u64,
) -> Result<Vec<(u64, Path)>, Error> {
    let folder = Path::from(folder);
    let from = folder.clone().join(format!("{after:020}.json"));
    let objects = store.list_with_offset(Some(&folder), &from);
    let paths = objects.map(|object| object.map(|object| object.location));
    let paths: Vec<Path> = paths.try_collect().await.map_err(Error::store("list", &folder))?;
    let mut commits: Vec<_> =
        paths.into_iter().filter_map(|path| Some((commit_of(&path)?, path))).collect();
    commits.sort_unstable();
    Ok(commits)
}

fn damaged(path: &Path, reason: String) -> Error {
    Error::Damaged { path: path.to_string(), reason }
}
