//! A folder of a test's own, gone when the test is.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A new folder under the temporary one, removed on drop. Everyone may enter it, since some cases
/// run as somebody else.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes the folder.
    pub fn new(purpose: &str) -> Result<Self> {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("wanglou-{purpose}-{}-{n}", process::id()));
        fs::create_dir_all(env::temp_dir())?;
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        // Events show the real path, also where the temporary folder is a symbolic link.
        Ok(Self(path.canonicalize()?))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path inside.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Leaving litter is no reason to fail.
        let _ = fs::remove_dir_all(&self.0);
    }
}
