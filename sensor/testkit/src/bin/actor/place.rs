//! Roles that are somewhere else, or somebody else.

use std::{env, ffi::OsString, fs, os::unix, path::Path, process::Command};

use anyhow::{Context, Result};
use wanglou_testkit::sys;

use crate::{linger, number, own_path, program};

/// `become <uid> <gid>`: changes its group, then its user, and ends.
pub(crate) fn become_other(args: &[OsString]) -> Result<()> {
    let (uid, rest) = number(args)?;
    let (gid, _) = number(rest)?;
    sys::set_gid(gid)?;
    sys::set_uid(uid)?;
    linger();
    Ok(())
}

/// `chroot <folder> <path> <argv>…`: execs inside another root.
pub(crate) fn chroot(args: &[OsString]) -> Result<()> {
    let (root, rest) = args.split_first().context("chroot <folder> <path> <argv>…")?;
    unix::fs::chroot(root)?;
    env::set_current_dir("/")?;
    program::exec(rest)
}

/// `mounts <folder>`: mounts a tmpfs at `folder/mnt` that nobody else sees, and `folder/mnt/deep` also
/// at `folder/bind`; runs copies of itself from both, `noop mnt` and `noop bind`.
pub(crate) fn mounts(args: &[OsString]) -> Result<()> {
    let folder = Path::new(args.first().context("mounts <folder>")?);
    let (mnt, bind) = (folder.join("mnt"), folder.join("bind"));
    fs::create_dir(&mnt)?;
    fs::create_dir(&bind)?;
    sys::unshare(libc::CLONE_NEWNS)?;
    sys::mount_private()?;
    sys::mount_tmpfs(&mnt)?;
    let deep = mnt.join("deep");
    fs::create_dir(&deep)?;
    fs::copy(own_path()?, deep.join("actor"))?;
    sys::mount_bind(&deep, &bind)?;
    run("mnt", Command::new(deep.join("actor")).args(["noop", "mnt"]))?;
    run("bind", Command::new(bind.join("actor")).args(["noop", "bind"]))
}

/// `pid-namespace <arg>…`: runs `noop <arg>…` as the first of a new PID namespace.
pub(crate) fn pid_namespace(args: &[OsString]) -> Result<()> {
    sys::unshare(libc::CLONE_NEWPID)?;
    run("child", Command::new(own_path()?).arg("noop").args(args))
}

/// `session <arg>…`: becomes the leader of a session whose terminal is its stdin, then execs
/// `noop <arg>…`.
pub(crate) fn session(args: &[OsString]) -> Result<()> {
    sys::lead_session_on_stdin()?;
    let path = own_path()?;
    let argv = [path.clone(), path, "noop".into()];
    program::exec(&[&argv[..], args].concat())
}

fn run(name: &str, command: &mut Command) -> Result<()> {
    let mut child = command.spawn()?;
    println!("{name} {}", child.id());
    child.wait()?;
    Ok(())
}
