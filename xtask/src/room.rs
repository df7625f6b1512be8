//! Whether a build fits on the disk: a compiler that runs out of it says anything but that.

use anyhow::{Context as _, Result, bail};

use crate::workspace::Workspace;

/// What a first build of everything for tests takes, with what the tests themselves write.
const FIRST: u64 = 20 << 30;
/// What is left of that once most of it is there.
const AGAIN: u64 = 4 << 30;

/// Fails before anything is built that would not fit.
pub(crate) fn for_tests(workspace: &Workspace) -> Result<()> {
    let target = &workspace.target;
    let wanted = if target.join("debug").is_dir() { AGAIN } else { FIRST };
    // Where it is not there yet, some folder above it is.
    let there = target.ancestors().find(|it| it.is_dir()).context("there is no root folder")?;
    let disk = rustix::fs::statvfs(there).context("cannot ask how much room there is")?;
    let free = disk.f_bavail * disk.f_frsize;
    if free < wanted {
        let gib = |bytes: u64| bytes >> 30;
        bail!(
            "{} has {} GiB free, and building and running the tests takes {}: free some, or set CARGO_TARGET_DIR to a \
             folder on another disk",
            there.display(),
            gib(free),
            gib(wanted),
        );
    }
    Ok(())
}
