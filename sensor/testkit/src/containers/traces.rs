//! What runtimes leave on a host when they are gone.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What was not there before: files, and folders that nobody needs once they are empty. Gone with the value.
#[derive(Debug)]
pub(super) struct Traces(Vec<PathBuf>);

impl Traces {
    /// Of those that are not there yet, what is in a folder before the folder.
    pub(super) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(paths.into_iter().filter(|it| !it.exists()).collect())
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        for path in &self.0 {
            if fs::remove_file(path).is_err() {
                remove_cgroup(path);
            }
        }
    }
}

/// A cgroup in every hierarchy that there may be.
pub(super) fn cgroups(path: &str) -> Vec<PathBuf> {
    let mounted = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(mounted).into_iter().flatten().flatten();
    let folders = hierarchies.map(|it| it.path()).chain([mounted.to_owned()]);
    folders.map(|it| it.join(path.trim_start_matches('/'))).collect()
}

/// With those in it, unless somebody is in them.
pub(super) fn remove_cgroup(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            remove_cgroup(&entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}
