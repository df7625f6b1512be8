use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// Messages name paths and programs of the host: nothing for everybody.
const DIRECTORY_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;

/// Two files that are written in turn: where one is full, the other is emptied and goes on, so both together
/// never have more than twice what each may.
#[derive(Debug)]
pub(super) struct Files {
    /// Made when there is something to write.
    pub(super) directory: PathBuf,
    names: [String; 2],
    /// How long each gets.
    bytes: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    which: usize,
    len: u64,
}

impl Files {
    /// `STEM.0.log` and `STEM.1.log` there.
    pub(super) fn new(directory: PathBuf, stem: &str, bytes: u64) -> Self {
        let names = [0, 1].map(|which| format!("{stem}.{which}.log"));
        Self { directory, names, bytes, open: None }
    }

    /// Appends a line, whole or not at all.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let mut open = match self.open.take() {
            // Somebody has removed it: what is written into it now nobody would find, and it would take room.
            Some(open) if open.file.metadata()?.nlink() > 0 => open,
            _ => self.newer()?,
        };
        if open.len + line.len() as u64 > self.bytes {
            open = self.begin(1 - open.which)?;
        }
        let written = open.file.write(line)?;
        if written < line.len() {
            // Half a line would stand before the next one.
            open.file.set_len(open.len)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        open.len += written as u64;
        self.open = Some(open);
        Ok(())
    }

    /// The one that was written to last, to go on there.
    fn newer(&self) -> io::Result<Open> {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&self.directory)?;
        let age = |which: &usize| {
            let known = fs::symlink_metadata(self.directory.join(&self.names[*which])).ok();
            // Of two of the same time, the one that has been begun is shorter.
            let age = |it: fs::Metadata| (it.mtime(), it.mtime_nsec(), u64::MAX - it.len());
            known.map(age)
        };
        let which = (0..self.names.len()).rev().max_by_key(age).unwrap_or(0);
        let file = self.options().open(self.directory.join(&self.names[which]))?;
        let len = file.metadata()?.len();
        Ok(Open { file, which, len })
    }

    /// That one, empty.
    fn begin(&self, which: usize) -> io::Result<Open> {
        let file = self.options().open(self.directory.join(&self.names[which]))?;
        file.set_len(0)?;
        Ok(Open { file, which, len: 0 })
    }

    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(FILE_MODE).custom_flags(libc::O_NOFOLLOW);
        options
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tempfile::tempdir;

    use super::*;

    fn files(directory: &Path, bytes: u64) -> Files {
        Files::new(directory.to_owned(), "it", bytes)
    }

    fn lens(folder: &Path) -> [Option<u64>; 2] {
        let len = |name| fs::metadata(folder.join(name)).ok().map(|it| it.len());
        ["it.0.log", "it.1.log"].map(len)
    }

    #[test]
    fn they_are_written_in_turn_and_never_longer_than_they_may() {
        let folder = tempdir().expect("a folder");
        let folder = folder.path();
        let mut files = files(folder, 10);
        let mut write = |line: &[u8]| files.write(line).expect("written");
        write(b"12345\n");
        assert_eq!(lens(folder), [Some(6), None]);
        write(b"12345\n");
        assert_eq!(lens(folder), [Some(6), Some(6)]);
        write(b"123\n");
        assert_eq!(lens(folder), [Some(6), Some(10)]);
        write(b"1\n");
        assert_eq!(lens(folder), [Some(2), Some(10)]);
    }

    #[test]
    fn a_new_start_goes_on_where_the_last_one_was() {
        let folder = tempdir().expect("a folder");
        let folder = folder.path();
        for _ in 0..3 {
            let mut files = files(folder, 14);
            files.write(b"12345\n").expect("written");
        }
        assert_eq!(lens(folder), [Some(12), Some(6)]);
        files(folder, 14).write(b"1234567\n").expect("written");
        assert_eq!(lens(folder), [Some(12), Some(14)]);
    }

    #[test]
    fn one_that_is_removed_is_begun_again() {
        let folder = tempdir().expect("a folder");
        let folder = folder.path();
        let mut files = files(&folder.join("deeper"), 100);
        files.write(b"1\n").expect("written");
        fs::remove_dir_all(folder.join("deeper")).expect("removed");
        files.write(b"2\n").expect("written");
        assert_eq!(fs::read(folder.join("deeper/it.0.log")).expect("a file"), b"2\n");
    }

    #[test]
    fn where_no_folder_can_be_it_fails() {
        let folder = tempdir().expect("a folder");
        let folder = folder.path();
        fs::write(folder.join("file"), "").expect("a file");
        let mut files = files(&folder.join("file"), 100);
        assert!(files.write(b"1\n").is_err());
        fs::remove_file(folder.join("file")).expect("removed");
        files.write(b"1\n").expect("written");
    }
}
