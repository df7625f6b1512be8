//! Roles that become another program.

use std::{
    env,
    ffi::{CString, OsString},
    fs::{self, File},
    io::Write,
    os::{fd::AsFd, unix::ffi::OsStringExt},
    thread,
};

use anyhow::{Context, Result};
use wanglou_testkit::sys::{self, Argv};

use crate::{bytes, c_string, linger, number, own_path};

/// `exec <path> <argv>…`, the name being the first of the argv.
pub(crate) fn exec(args: &[OsString]) -> Result<()> {
    let (path, argv) = args.split_first().context("exec <path> <argv>…")?;
    linger();
    Err(sys::exec(&c_string(path)?, &Argv::new(bytes(argv))?).into())
}

/// `exec-chain <n>`: execs itself with n - 1, until that is 0.
pub(crate) fn exec_chain(args: &[OsString]) -> Result<()> {
    let (left, _) = number(args)?;
    linger();
    if left == 0 {
        return Ok(());
    }
    let argv = ["exec-chain".to_owned(), (left - 1).to_string()].map(String::into_bytes);
    become_self(own(argv)?)
}

/// `exec-from-thread <arg>…`: a thread that is not the leader execs `noop <arg>…`, while the
/// leader waits for it.
pub(crate) fn exec_from_thread(args: &[OsString]) -> Result<()> {
    let argv = own([b"noop".to_vec()].into_iter().chain(bytes(args)))?;
    let path = c_string(&own_path()?)?;
    linger();
    // Pointers to the arguments must not cross threads, so the thread builds them.
    let thread = thread::spawn(move || Argv::new(argv).map(|argv| sys::exec(&path, &argv)));
    match thread.join() {
        Ok(error) => Err(error?.into()),
        Err(_) => anyhow::bail!("the thread panicked"),
    }
}

/// Execs itself with an empty argv.
pub(crate) fn exec_without_args() -> Result<()> {
    linger();
    Err(sys::exec_without_args(&c_string(&own_path()?)?).into())
}

/// What it becomes by that: says how many arguments the kernel made of none.
pub(crate) fn without_args() -> Result<()> {
    println!("argc {}", env::args_os().count());
    linger();
    Ok(())
}

/// `exec-memfd <arg>…`: execs a copy of itself that has no path, as `noop <arg>…`.
pub(crate) fn exec_memfd(args: &[OsString]) -> Result<()> {
    let mut copy = sys::memfd("wanglou-case")?;
    copy.write_all(&fs::read(own_path()?)?)?;
    let argv = own([b"noop".to_vec()].into_iter().chain(bytes(args)))?;
    linger();
    Err(sys::exec_fd(copy.as_fd(), &Argv::new(argv)?).into())
}

/// `exec-deleted <path>`: execs a file that it has just unlinked.
pub(crate) fn exec_deleted(args: &[OsString]) -> Result<()> {
    let path = args.first().context("exec-deleted <path>")?;
    let file = File::open(path)?;
    fs::remove_file(path)?;
    let argv = [path.clone().into_vec(), b"noop".to_vec()];
    linger();
    Err(sys::exec_fd(file.as_fd(), &Argv::new(argv)?).into())
}

fn own(args: impl IntoIterator<Item = Vec<u8>>) -> Result<Vec<Vec<u8>>> {
    let name = env::args_os().next().context("no argv[0]")?;
    Ok([name.into_vec()].into_iter().chain(args).collect())
}

fn become_self(argv: Vec<Vec<u8>>) -> Result<()> {
    let path = CString::new(own_path()?.into_vec())?;
    Err(sys::exec(&path, &Argv::new(argv)?).into())
}
