//! Programs of others that are written in Python.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result};

/// A Python that has a package; `None` where it cannot be had.
pub(crate) fn with(package: &str, venv: &Path) -> Result<Option<PathBuf>> {
    let python = venv.join("bin/python3");
    let made = run(Command::new("python3").args(["-m", "venv"]).arg(venv));
    if !made.is_ok_and(|made| made.status.success()) {
        return Ok(None);
    }
    let pip = ["-m", "pip", "install", "--quiet", "--timeout", "15", "--retries", "1", package];
    let installed = run(Command::new(&python).args(pip))?;
    if !installed.status.success() {
        eprintln!("skipped: pip cannot install {package} here");
        return Ok(None);
    }
    Ok(Some(python))
}

pub(crate) fn run(command: &mut Command) -> Result<Output> {
    command.output().with_context(|| format!("{command:?}"))
}
