//! The etcd of tests and of `run`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};

use crate::workspace::Workspace;
use crate::{debian, shell};

/// The one of `WANGLOU_ETCD`, else an installed one, else Debian's, unpacked into `target/tools`.
///
/// It is not installed: the package starts a service, on a port that is another's to give.
pub(crate) fn find_or_unpack(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(given) = env::var_os("WANGLOU_ETCD") {
        return Ok(given.into());
    }
    let folder = workspace.tools().join("etcd");
    let unpacked = folder.join("usr/bin/etcd");
    if let Some(installed) = shell::which("etcd") {
        return Ok(installed);
    }
    if !shell::is_program(&unpacked) {
        unpack(&folder).context(
            "no etcd: take a release of it, 3.4 or later, and set WANGLOU_ETCD to its program",
        )?;
    }
    Ok(unpacked)
}

fn unpack(folder: &Path) -> Result<()> {
    if shell::which("apt-get").is_none() {
        bail!("there is no apt-get");
    }
    debian::have_lists()?;
    fs::create_dir_all(folder)?;
    eprintln!("xtask: unpacking Debian's etcd-server into {}", folder.display());
    shell::run(
        Command::new("apt-get").args(["-q", "download", "etcd-server"]).current_dir(folder),
    )?;
    let mut files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let package = files.find(|path| path.extension().is_some_and(|it| it == "deb"));
    let package = package.context("apt-get has downloaded nothing")?;
    shell::run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(folder))?;
    Ok(fs::remove_file(package)?)
}
