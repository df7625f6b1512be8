//! Installing Debian packages: named before anything happens, and only as root.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// Makes sure that these packages are installed.
///
/// # Errors
///
/// One line with the command to run, where we may not install, and apt's own failure otherwise.
pub(crate) fn ensure(packages: &[&str], why: &str) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !rustix::process::geteuid().is_root() || shell::which("apt-get").is_none() {
        bail!("{why} needs Debian packages: apt-get install --no-install-recommends {names}");
    }
    eprintln!("xtask: installing Debian packages for {why}: {names}");
    if install(&missing).is_err() {
        // Most often a package list that is absent or older than the mirror.
        shell::run(apt().arg("update"))?;
        install(&missing)?;
    }
    Ok(())
}

/// Unpacks packages into a folder of ours: installed, they would start services.
///
/// # Errors
///
/// One line that says what cannot be had.
pub(crate) fn unpack(packages: &[&str], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    eprintln!("xtask: unpacking Debian's {} into {}", packages.join(", "), folder.display());
    download(packages, folder)?;
    for file in fs::read_dir(folder)?.flatten().map(|entry| entry.path()) {
        if file.extension().is_some_and(|it| it == "deb") {
            shell::run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(folder))?;
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// Fetches packages into a folder, and does nothing with them.
///
/// # Errors
///
/// One line that says what cannot be had.
pub(crate) fn download(packages: &[&str], folder: &Path) -> Result<()> {
    if shell::which("apt-get").is_none() {
        bail!("there is no apt-get");
    }
    have_lists()?;
    shell::run(apt().arg("download").args(packages).current_dir(folder))
}

/// Whether apt has heard of a package, installed or not.
pub(crate) fn knows(package: &str) -> bool {
    shell::ask(Command::new("apt-cache").args(["show", "--no-all-versions", package]))
        .is_some_and(|answer| answer.contains("Package:"))
}

/// Fetches package lists where there are none at all, as in a fresh image.
pub(crate) fn have_lists() -> Result<()> {
    let stats = shell::ask(Command::new("apt-cache").args(["policy", "libc6"]));
    let empty = stats.is_none_or(|answer| !answer.contains("://"));
    if empty && rustix::process::geteuid().is_root() && shell::which("apt-get").is_some() {
        eprintln!("xtask: apt has no package lists: apt-get update");
        shell::run(apt().arg("update"))?;
    }
    Ok(())
}

fn installed(package: &str) -> bool {
    shell::ask(Command::new("dpkg-query").args(["-W", "-f", "${Status}", package]))
        .is_some_and(|status| status.ends_with("install ok installed"))
}

fn install(packages: &[&str]) -> Result<()> {
    shell::run(apt().args(["install", "-y", "--no-install-recommends"]).args(packages))
}

fn apt() -> Command {
    let mut apt = Command::new("apt-get");
    apt.arg("-q").env("DEBIAN_FRONTEND", "noninteractive");
    apt
}
