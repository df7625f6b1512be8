//! `actor <role> …`: plays the processes that the cases are about. It needs no shell, no files and
//! no libraries, so that it also plays inside a guest, a chroot or a memfd.
//!
//! What it makes it names on stdout, a line each: `child 4711`. `ACTOR_LINGER_MS` makes each program
//! stay for a moment before it ends or becomes another, for a backend that reads /proc.

mod birth;
mod connection;
mod exit;
mod flow;
mod keep;
mod place;
mod program;

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

fn main() -> Result<()> {
    let mut args = env::args_os().skip(1);
    let Some(role) = args.next() else { return program::without_args() };
    let args: Vec<OsString> = args.collect();
    match role.to_str().context("the role is not text")? {
        "noop" => keep::noop(),
        "hold" => keep::hold(),
        "parent" => keep::parent(&args),
        "keep" => keep::keep(&args),
        "copy" => keep::copy(&args),

        "exec" => program::exec(&args),
        "exec-chain" => program::exec_chain(&args),
        "exec-from-thread" => program::exec_from_thread(&args),
        "exec-without-args" => program::exec_without_args(),
        "exec-memfd" => program::exec_memfd(&args),
        "exec-deleted" => program::exec_deleted(&args),

        "exit" => exit::exit(&args),
        "die" => exit::die(&args),
        "burn" => exit::burn(&args),
        "leader-leaves" => exit::leader_leaves(&args),
        "threads-leave" => exit::threads_leave(&args),
        "threads-exit" => exit::threads_exit(&args),

        "fork" => birth::fork(),
        "vfork" => birth::vfork(&args),
        "posix-spawn" => birth::posix_spawn(&args),
        "orphan" => birth::orphan(&args),
        "clone-parent" => birth::clone_parent(&args),
        "same-pid" => birth::same_pid(),
        "small-pid-max" => birth::small_pid_max(),

        "become" => place::become_other(&args),
        "chroot" => place::chroot(&args),
        "mounts" => place::mounts(&args),
        "pid-namespace" => place::pid_namespace(&args),
        "session" => place::session(&args),

        "tcp-connect" => connection::connect(&args),
        "tcp-later" => connection::connect_later(&args),
        "tcp-hold" => connection::hold(&args),
        "tcp-serve" => connection::serve(&args),
        "network-namespace" => connection::namespace(&args),
        "udp-serve" => flow::serve(&args),
        "udp-ask" => flow::ask(&args),
        other => bail!("no role {other:?}"),
    }
}

/// Stays for a moment where that is wished.
fn linger() {
    let wished = env::var("ACTOR_LINGER_MS").ok().and_then(|ms| ms.parse().ok());
    thread::sleep(Duration::from_millis(wished.unwrap_or(0)));
}

fn own_path() -> Result<OsString> {
    Ok(env::current_exe()?.into_os_string())
}

fn bytes(args: &[OsString]) -> impl Iterator<Item = Vec<u8>> {
    args.iter().map(|arg| arg.clone().into_vec())
}

/// The first argument as a number, and the rest.
fn number(args: &[OsString]) -> Result<(u32, &[OsString])> {
    let (first, rest) = args.split_first().context("a number is missing")?;
    let number = first.to_str().and_then(|text| text.parse().ok());
    Ok((number.with_context(|| format!("{first:?} is not a number"))?, rest))
}

fn c_string(text: &OsStr) -> Result<std::ffi::CString> {
    Ok(std::ffi::CString::new(text.as_bytes())?)
}
