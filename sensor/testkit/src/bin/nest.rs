//! `nest <per_second> <seconds>`: in namespaces of its own, as a container has them, makes so many processes a
//! second for so long; each execs this file as `noop` and exits at once. Prints how many there were.

use std::{
    env,
    ffi::{CStr, CString},
    os::unix::ffi::OsStringExt,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use wanglou_testkit::sys::{self, Argv};

const USAGE: &str = "usage: nest <per_second> <seconds>";
const NAMESPACES: i32 = libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let first = args.next().context(USAGE)?;
    if first == "noop" {
        sys::exit_group(0);
    }
    let per_second: u32 = first.parse().context(USAGE)?;
    let seconds: u64 = args.next().context(USAGE)?.parse().context(USAGE)?;
    let path = CString::new(env::current_exe()?.into_os_string().into_vec())?;
    sys::unshare(NAMESPACES)?;
    // The first child is the first process of the new PID namespace, and all end with it.
    match sys::fork()? {
        None => {
            let done = work(&path, per_second, Duration::from_secs(seconds));
            sys::exit_group(i32::from(done.inspect_err(|error| eprintln!("{error:#}")).is_err()))
        }
        Some(_) => {
            let ended = sys::wait_any()?.context("no child to wait for")?;
            ensure!(ended.status == 0, "the first process failed: {}", ended.status);
            Ok(())
        }
    }
}

fn work(path: &CStr, per_second: u32, time: Duration) -> Result<()> {
    let (start, pause) = (Instant::now(), Duration::from_secs(1) / per_second);
    let mut spawned: u32 = 0;
    while start.elapsed() < time {
        let argv = Argv::new([path.to_bytes().to_vec(), b"noop".to_vec()])?;
        let pid = sys::posix_spawn(path, &argv)?;
        let ended = sys::wait_any()?.context("no child to wait for")?;
        ensure!(ended.pid == pid && ended.status == 0, "a child failed");
        spawned += 1;
        thread::sleep((pause * spawned).saturating_sub(start.elapsed()));
    }
    println!("{spawned}");
    Ok(())
}
