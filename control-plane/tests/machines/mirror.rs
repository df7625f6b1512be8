//! A mirror of Debian with a few packages: what `apt-get update` and `install` get, as these machines reach no other.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::machine::said;

/// All packages of a folder.
pub(crate) fn packages(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    let files = files.flatten().map(|entry| entry.path());
    Ok(files.filter(|path| path.extension().is_some_and(|it| it == "deb")).collect())
}

/// Makes one of Debian's own packages; ours come by another way.
pub(crate) fn make(of: &Path, folder: &Path) -> Result<()> {
    let mut index = String::new();
    for package in packages(of)? {
        let name = package.file_name().context("no name")?.to_string_lossy().into_owned();
        if name.starts_with("wanglou") {
            continue;
        }
        let copy = folder.join(&name);
        fs::copy(&package, &copy)?;
        let text = |command: &mut Command| -> Result<String> {
            Ok(String::from_utf8(said(command)?.stdout)?.trim_end().to_owned())
        };
        let fields = text(Command::new("dpkg-deb").arg("--field").arg(&copy))?;
        let sum = text(Command::new("sha256sum").arg(&copy))?;
        let sum = sum.split(' ').next().context("no sum")?;
        let size = fs::metadata(&copy)?.len();
        write!(index, "{fields}\nFilename: ./{name}\nSize: {size}\nSHA256: {sum}\n\n")?;
    }
    Ok(fs::write(folder.join("Packages"), index)?)
}
