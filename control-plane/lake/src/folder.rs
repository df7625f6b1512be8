//! A folder as an object store whose writes are on the disk when they return: `LocalFileSystem` leaves that to the kernel.
//!
//! ```text
//! put      new/<random> ─ write, fsync ─▶ link or rename to its name ─▶ fsync of the folder, and of those it made
//! rename   rename ─▶ the same
//! ```
//!
//! Deleting is not synced: whatever is deleted may come back with the power, and everything here is ready for that.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Extensions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions,
    RenameTargetMode, Result,
};

use crate::Error;

/// Where files are until they have their names.
const NEW: &str = "new";
/// Files there that are older were left by somebody who is gone.
const LEFT: Duration = Duration::from_secs(3_600);
/// A folder that was made may be cleaned up by somebody who finds it empty, so often.
const ATTEMPTS: usize = 8;

/// A lake on this host's own disk, or one that it has mounted.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    local: LocalFileSystem,
}

impl Folder {
    /// Makes it, where there is none.
    pub fn open(root: impl AsRef<FilePath>) -> std::result::Result<Self, Error> {
        let open = |root: &FilePath| -> io::Result<Self> {
            fs::create_dir_all(root.join(NEW))?;
            let root = root.canonicalize()?;
            clean(&root.join(NEW))?;
            let local = LocalFileSystem::new_with_prefix(&root).map_err(io::Error::other)?;
            Ok(Self { root, local: local.with_automatic_cleanup(true) })
        };
        open(root.as_ref()).map_err(|source| Error::Folder {
            path: root.as_ref().display().to_string(),
            source: Arc::new(source),
        })
    }

    async fn write(
        &self,
        location: &Path,
        write: impl FnOnce(&FilePath) -> io::Result<()> + Send + 'static,
    ) -> Result<()> {
        let path = self.local.path_to_filesystem(location)?;
        let written = tokio::task::spawn_blocking(move || write(&path)).await;
        let written = written.map_err(io::Error::other).flatten();
        written.map_err(|error| explain(location, error))
    }

    fn unsupported<T>(&self, operation: &str) -> Result<T> {
        let (operation, implementer) = (operation.to_owned(), self.to_string());
        Err(object_store::Error::NotImplemented { operation, implementer })
    }
}

#[async_trait]
impl ObjectStore for Folder {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let may_replace = match options.mode {
            PutMode::Overwrite => true,
            PutMode::Create => false,
            PutMode::Update(_) => return self.unsupported("update"),
        };
        let new = self.root.join(NEW).join(format!("{:016x}", fastrand::u64(..)));
        let write = move |path: &FilePath| {
            let written = write_new(&new, &payload).and_then(|()| {
                in_folder_of(path, || match may_replace {
                    true => fs::rename(&new, path),
                    false => fs::hard_link(&new, path),
                })
            });
            if written.is_err() || !may_replace {
                // It has its name, or never will; what is left here is cleaned up later.
                let _ = fs::remove_file(&new);
            }
            written
        };
        self.write(location, write).await?;
        Ok(PutResult { e_tag: None, version: None, extensions: Extensions::default() })
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        if options.target_mode != RenameTargetMode::Overwrite {
            return self.unsupported("rename without overwriting");
        }
        let old = self.local.path_to_filesystem(from)?;
        let rename = move |path: &FilePath| match old.try_exists()? {
            true => in_folder_of(path, || fs::rename(&old, path)),
            false => Err(ErrorKind::NotFound.into()),
        };
        self.write(to, rename).await
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.unsupported("write in parts")
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        self.unsupported("copy")
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.local.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.local.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.local.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.local.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.local.list_with_delimiter(prefix).await
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the folder {}", self.root.display())
    }
}

fn write_new(path: &FilePath, payload: &PutPayload) -> io::Result<()> {
    let mut file = match File::create_new(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // Whoever deletes the last file of a folder takes the folder away, too.
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            File::create_new(path)?
        }
        file => file?,
    };
    payload.iter().try_for_each(|part| file.write_all(part))?;
    file.sync_all()
}

/// Puts something into the folder of `path`, which is made where it is missing, so that it stays there.
fn in_folder_of(path: &FilePath, mut put: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    let there = folder.ancestors().find(|it| it.exists()).unwrap_or(folder).to_owned();
    for attempt in 1.. {
        fs::create_dir_all(folder)?;
        match put() {
            Err(error) if error.kind() == ErrorKind::NotFound && attempt < ATTEMPTS => {}
            result => {
                result?;
                break;
            }
        }
    }
    for made in folder.ancestors() {
        File::open(made)?.sync_all()?;
        if made == there {
            break;
        }
    }
    Ok(())
}

fn clean(folder: &FilePath) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let age = |time: SystemTime| time.elapsed().unwrap_or_default();
        if entry.metadata().and_then(|file| file.modified()).is_ok_and(|time| age(time) > LEFT) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn explain(location: &Path, error: io::Error) -> object_store::Error {
    let (path, kind, source) = (location.to_string(), error.kind(), Box::new(error));
    match kind {
        ErrorKind::AlreadyExists => object_store::Error::AlreadyExists { path, source },
        ErrorKind::NotFound => object_store::Error::NotFound { path, source },
        _ => object_store::Error::Generic { store: "folder", source },
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt as _;

    use super::*;

    #[tokio::test]
    async fn a_name_is_given_once_and_files_move_into_folders_that_are_made() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(root.path()).expect("a lake");
        let (a, b) = (Path::from("a/b/c"), Path::from("d/e/f"));
        let put = async |path: &Path, what: &'static str| {
            folder.put_opts(path, what.into(), PutMode::Create.into()).await
        };
        put(&a, "one").await.expect("a new name");
        let again = put(&a, "two").await.expect_err("it is there");
        assert!(matches!(again, object_store::Error::AlreadyExists { .. }), "{again}");
        folder.rename(&a, &b).await.expect("it is there");
        let gone = folder.rename(&a, &b).await.expect_err("it is not there any more");
        assert!(matches!(gone, object_store::Error::NotFound { .. }), "{gone}");
        let read = folder.get(&b).await.expect("a file").bytes().await.expect("its content");
        assert_eq!(read, "one");
        assert!(fs::read_dir(root.path().join(NEW)).expect("a folder").next().is_none());
    }
}
