//! Roles that live until they are told.

use std::{
    ffi::OsString,
    io::{self, Read},
    process::Command,
};

use anyhow::{Context, Result};
use wanglou_testkit::sys;

use crate::{linger, own_path};

/// Lives for no longer than it must, whatever its arguments.
pub(crate) fn noop() -> Result<()> {
    linger();
    Ok(())
}

/// Lives until its stdin is closed or something is written to it.
pub(crate) fn hold() -> Result<()> {
    let _ = io::stdin().read(&mut [0])?;
    Ok(())
}

/// `parent <arg>…`: when told, makes a child `noop <arg>…`, and ends with it.
pub(crate) fn parent(args: &[OsString]) -> Result<()> {
    hold()?;
    let mut child = Command::new(own_path()?).arg("noop").args(args).spawn()?;
    println!("child {}", child.id());
    child.wait()?;
    Ok(())
}

/// `keep <role> …`: plays the role in a child, and ends when all that came of it has.
pub(crate) fn keep(args: &[OsString]) -> Result<()> {
    sys::subreaper()?;
    let child = Command::new(own_path()?).args(args).spawn()?;
    println!("role {}", child.id());
    let mut status = 0;
    while let Some(ended) = sys::wait_any().context("cannot wait")? {
        if ended.pid == child.id() {
            status = ended.status;
        }
    }
    linger();
    sys::exit_group(i32::from(status != 0));
}

/// `copy <path>`: copies this program.
pub(crate) fn copy(args: &[OsString]) -> Result<()> {
    let to = args.first().context("no path")?;
    std::fs::copy(std::env::current_exe()?, to)?;
    Ok(())
}
