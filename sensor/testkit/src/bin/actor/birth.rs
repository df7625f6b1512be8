//! Roles that make processes, in each of the ways there are.

use std::{
    collections::HashSet,
    env,
    ffi::{CString, OsString},
    fs,
    io::{self, Write},
    os::unix::ffi::OsStringExt,
    process, thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use wanglou_testkit::{
    proc,
    sys::{self, Argv},
};

use crate::{bytes, linger, own_path};

/// Makes a child that only exits: no exec.
pub(crate) fn fork() -> Result<()> {
    linger();
    let child = sys::fork()?;
    linger();
    if child.is_none() {
        sys::exit_group(0);
    }
    reap("child", child.unwrap_or_default())
}

/// `vfork <arg>…`: makes a child `noop <arg>…` by vfork.
pub(crate) fn vfork(args: &[OsString]) -> Result<()> {
    let (path, argv) = prepared(args)?;
    reap("child", sys::vfork_exec(&path, &argv)?)
}

/// `posix-spawn <arg>…`: makes a child `noop <arg>…` by libc's `posix_spawn`.
pub(crate) fn posix_spawn(args: &[OsString]) -> Result<()> {
    let (path, argv) = prepared(args)?;
    reap("child", sys::posix_spawn(&path, &argv)?)
}

/// `orphan <arg>…`: the process between us and the child ends at once; the child execs
/// `noop <arg>…` only then.
pub(crate) fn orphan(args: &[OsString]) -> Result<()> {
    let (path, argv) = prepared(args)?;
    let creator = process::id();
    if let Some(child) = sys::fork()? {
        named("child", child)?;
        sys::exit_group(0);
    }
    while u32::try_from(sys::getppid_raw()) == Ok(creator) {
        thread::sleep(Duration::from_millis(1));
    }
    Err(sys::exec(&path, &argv).into())
}

/// `clone-parent <arg>…`: makes a sibling, `noop <arg>…`.
pub(crate) fn clone_parent(args: &[OsString]) -> Result<()> {
    let (path, argv) = prepared(args)?;
    match sys::clone_parent()? {
        Some(sibling) => named("child", sibling),
        None => Err(sys::exec(&path, &argv).into()),
    }
}

/// Two children after one another with the same pid: `noop first` and `noop second`.
pub(crate) fn same_pid() -> Result<()> {
    let first = spawn_noop("first")?;
    reap("child", first)?;
    // A start is known to a hundredth of a second.
    thread::sleep(Duration::from_millis(30));
    let (path, argv) = noop(&["second".into()])?;
    match sys::fork_as(first).context("cannot choose the pid of a child")? {
        Some(second) => reap("again", second),
        None => Err(sys::exec(&path, &argv).into()),
    }
}

/// Makes children `noop <n>` under a small `pid_max` until a pid comes back; names that one and
/// the two values of n.
pub(crate) fn small_pid_max() -> Result<()> {
    let _restored = PidMax::lower()?;
    let mut seen: Vec<u32> = Vec::new();
    let mut pids = HashSet::new();
    for n in 0..100_000u32 {
        let pid = spawn_noop(&n.to_string())?;
        sys::wait_any()?.context("no child to wait for")?;
        if !pids.insert(pid) {
            let before = seen.iter().position(|&seen| seen == pid).context("seen nowhere")?;
            named("child", pid)?;
            named("first", before.try_into()?)?;
            return named("second", n);
        }
        seen.push(pid);
    }
    anyhow::bail!("no pid came back")
}

/// The host's limit of pids, lowered until dropped.
struct PidMax {
    before: String,
}

impl PidMax {
    const FILE: &str = "/proc/sys/kernel/pid_max";

    fn lower() -> Result<Self> {
        let before = fs::read_to_string(Self::FILE)?;
        // Room for everyone else: what is running now, several times over.
        let low = (proc::threads()? * 4 + 300).max(1000);
        ensure!(low < before.trim().parse()?, "pid_max is already small");
        let lowered = Self { before };
        fs::write(Self::FILE, low.to_string()).context("cannot lower pid_max")?;
        Ok(lowered)
    }
}

impl Drop for PidMax {
    fn drop(&mut self) {
        if let Err(error) = fs::write(Self::FILE, &self.before) {
            eprintln!("cannot restore pid_max to {}: {error}", self.before.trim());
        }
    }
}

fn spawn_noop(arg: &str) -> Result<u32> {
    let (path, argv) = noop(&[arg.into()])?;
    Ok(sys::posix_spawn(&path, &argv)?)
}

/// What a child is to become; stays for a moment, so that its maker is known first.
fn prepared(args: &[OsString]) -> Result<(CString, Argv)> {
    linger();
    noop(args)
}

fn noop(args: &[OsString]) -> Result<(CString, Argv)> {
    let name = env::args_os().next().context("no argv[0]")?.into_vec();
    let argv = Argv::new([name, b"noop".to_vec()].into_iter().chain(bytes(args)))?;
    Ok((CString::new(own_path()?.into_vec())?, argv))
}

fn reap(name: &str, pid: u32) -> Result<()> {
    named(name, pid)?;
    sys::wait_any()?.context("no child to wait for")?;
    Ok(())
}

/// By hand and flushed: stdout may be shared with a child that must not write it again.
fn named(name: &str, pid: u32) -> Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{name} {pid}")?;
    Ok(stdout.flush()?)
}
