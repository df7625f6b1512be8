//! Programs where a package puts them: one version, and another in its place, by a rename under whoever runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use wanglou_fleet_testkit::bins;

/// All of them, the older version first.
pub(crate) struct Programs {
    pub(crate) sensor: Program,
    pub(crate) replicas: [Program; 2],
}

/// One of them.
pub(crate) struct Program {
    path: PathBuf,
    /// The one that is there, and the other.
    versions: [PathBuf; 2],
}

impl Programs {
    /// Those of `WANGLOU_PREVIOUS`, to be exchanged for those under test; without that these are exchanged for themselves.
    pub(crate) fn install(folder: &Path) -> Result<Self> {
        let new = [bins::sensor()?, bins::control_plane()?];
        let old = bins::previous()?.unwrap_or_else(|| new.clone());
        let program = |name: &str, which: usize| {
            Program::install(folder.join(name), [old[which].clone(), new[which].clone()])
        };
        Ok(Self {
            sensor: program("sensor-installed", 0)?,
            replicas: [program("one-installed", 1)?, program("two-installed", 1)?],
        })
    }
}

impl Program {
    fn install(path: PathBuf, versions: [PathBuf; 2]) -> Result<Self> {
        let program = Self { path, versions };
        program.put()?;
        Ok(program)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the other version there.
    pub(crate) fn exchange(&mut self) -> Result<()> {
        self.versions.reverse();
        self.put()
    }

    fn put(&self) -> Result<()> {
        let new = self.path.with_extension("new");
        let [version, _] = &self.versions;
        fs::copy(version, &new).with_context(|| version.display().to_string())?;
        Ok(fs::rename(new, &self.path)?)
    }
}
