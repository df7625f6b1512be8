//! The files that were turned over.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::beside;

/// Of files that were packed.
pub(super) const PACKED: &str = "zst";
/// Of one that is being packed.
pub(super) const PART: &str = "part";

/// Where they are, and what their names begin and end with.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    begin: String,
    end: String,
}

impl Shelf {
    /// Of those that were once at `path`.
    pub(super) fn of(path: &Path) -> Self {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let end = path.extension().map(|it| format!(".{}", it.to_string_lossy()));
        Self {
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            begin: format!("{stem}-"),
            end: end.unwrap_or_default(),
        }
    }

    /// Moves the file away, under the present time: names are in the order of their ages, as long as the
    /// clock is right.
    pub(super) fn turn_over(&self, path: &Path) -> io::Result<()> {
        let mut time = Timestamp::now();
        loop {
            let to = beside(path, &time.strftime("%Y%m%dT%H%M%S.%6fZ").to_string());
            if !to.exists() && !packed(&to).exists() {
                return fs::rename(path, to);
            }
            time = time.saturating_add(SignedDuration::from_micros(1)).map_err(io::Error::other)?;
        }
    }

    /// Removes the oldest, so that so many stay.
    pub(super) fn remove_all_but(&self, keep: usize) -> io::Result<()> {
        let mut files = self.files()?;
        files.sort_by_key(|file| std::cmp::Reverse(file.file_name().map(OsString::from)));
        for file in files.iter().skip(keep) {
            fs::remove_file(file)?;
        }
        Ok(())
    }

    /// Removes what somebody began to pack who is gone.
    pub(super) fn remove_unfinished(&self) -> io::Result<()> {
        for path in self.entries()?.filter(|path| has_ending(path, PART)) {
            if self.is_ours(&path.with_extension("")) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Those that are not packed, the oldest first.
    pub(super) fn unpacked(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = self.files()?;
        files.retain(|file| !has_ending(file, PACKED));
        files.sort();
        Ok(files)
    }

    fn files(&self) -> io::Result<Vec<PathBuf>> {
        Ok(self.entries()?.filter(|path| self.is_ours(path)).collect())
    }

    fn entries(&self) -> io::Result<impl Iterator<Item = PathBuf>> {
        Ok(fs::read_dir(&self.folder)?.filter_map(|entry| Some(entry.ok()?.path())))
    }

    /// Whether it is one that was turned over: nothing else in the folder is ours.
    fn is_ours(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.strip_suffix(&format!(".{PACKED}")).unwrap_or(&name);
        let between = name.strip_prefix(&self.begin).and_then(|it| it.strip_suffix(&self.end));
        between.is_some_and(|time| {
            time.len() == "20261122T201740.123456Z".len()
                && time.bytes().all(|byte| byte.is_ascii_digit() || b"TZ.".contains(&byte))
        })
    }
}

/// The name that a file has once it is packed.
pub(super) fn packed(path: &Path) -> PathBuf {
    with_ending(path, PACKED)
}

/// The name with one ending more.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|it| it == ending)
}
