//! Paths of cgroups, found in the file system of cgroups and in /proc.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirEntryExt as _;
use std::path::{Path, PathBuf};

use crate::procfs::cgroup::{self, Cgroups, Hierarchy};

/// cgroups inside one another that are looked at, at most.
const DEPTH: usize = 32;
/// cgroups that are looked at in one walk, at most.
const MOST: usize = 100_000;
/// All of them are looked at no more often than this.
const WALK_NS: u64 = 10_000_000_000;

/// Where to look.
#[derive(Default)]
pub(super) struct Finder {
    place: Option<(Hierarchy, Cgroups)>,
    next_walk: u64,
}

/// What came of it.
pub(super) enum Found {
    /// Its path.
    Path(Vec<u8>),
    /// There is no such cgroup any more.
    Nothing,
    /// It may be found another time.
    Later,
}

impl Finder {
    /// Of this host; where no cgroups are mounted, nothing is ever found.
    pub(super) fn open() -> Self {
        let mounts = fs::read("/proc/self/mountinfo").unwrap_or_default();
        Self { place: cgroup::hierarchy(&mounts).zip(Cgroups::open(&mounts)), next_walk: 0 }
    }

    /// The path of the cgroup that the process `pid` was seen in: its own if it is still there, else that of the
    /// directory with this number, which is as dear as there are cgroups.
    pub(super) fn find(&mut self, id: u64, pid: u32, now: u64) -> Found {
        let Some((_, cgroups)) = &self.place else { return Found::Nothing };
        if let Ok(text) = fs::read(format!("/proc/{pid}/cgroup"))
            && cgroups.id(&text) == Some(id)
            && let Some(path) = cgroups.path(&text)
        {
            return Found::Path(path.to_vec());
        }
        if now < self.next_walk {
            return Found::Later;
        }
        self.next_walk = now + WALK_NS;
        let mut found = Found::Nothing;
        self.walk(&mut |other, path| {
            if other == id {
                found = Found::Path(path.to_vec());
            }
        });
        found
    }

    /// Every cgroup below the root: its id, and its path in the hierarchy.
    pub(super) fn walk(&self, on: &mut dyn FnMut(u64, &[u8])) {
        let Some((hierarchy, _)) = &self.place else { return };
        let root = Path::new(OsStr::from_bytes(&hierarchy.root));
        let mount = PathBuf::from(OsStr::from_bytes(&hierarchy.mount_point));
        let mut left = MOST;
        descend(&mount, root, DEPTH, &mut left, on);
    }
}

/// One that is removed meanwhile has nothing in it.
fn descend(
    folder: &Path,
    path: &Path,
    depth: usize,
    left: &mut usize,
    on: &mut dyn FnMut(u64, &[u8]),
) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|it| it.is_dir()) || *left == 0 || depth == 0 {
            continue;
        }
        *left -= 1;
        let path = path.join(entry.file_name());
        on(entry.ino(), path.as_os_str().as_bytes());
        descend(&entry.path(), &path, depth - 1, left, on);
    }
}
