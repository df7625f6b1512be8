//! A disk of a test's own that is soon full.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use crate::scratch::Scratch;

/// A file system in memory, gone when the test is.
#[derive(Debug)]
pub struct SmallDisk(Scratch);

impl SmallDisk {
    /// One of so many bytes.
    pub fn new(bytes: u64) -> Result<Self> {
        let scratch = Scratch::new("disk")?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=0755"), "tmpfs"]);
        ensure!(mount.arg(scratch.path()).status()?.success(), "cannot mount a tmpfs");
        Ok(Self(scratch))
    }

    /// A path on it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Takes all its room but for so many bytes, until the file is removed.
    pub fn fill(&self, but: u64) -> Result<PathBuf> {
        let path = self.join("filler");
        let mut file = fs::File::create(&path)?;
        let full = io::copy(&mut io::repeat(0), &mut file);
        ensure!(full.is_err_and(|it| it.kind() == io::ErrorKind::StorageFull), "it is not full");
        let bytes = file.metadata()?.len();
        file.set_len(bytes.saturating_sub(but))?;
        Ok(path)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: who still has a file open there keeps it until it is done.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
