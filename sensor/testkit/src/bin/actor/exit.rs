//! Roles that end in a particular way.

use std::{
    ffi::OsString,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use wanglou_testkit::sys;

use crate::{linger, number};

/// `exit <code>`.
pub(crate) fn exit(args: &[OsString]) -> Result<()> {
    let (code, _) = number(args)?;
    linger();
    sys::exit_group(code.cast_signed())
}

/// `die <signal>`: sends itself a signal and takes what comes.
pub(crate) fn die(args: &[OsString]) -> Result<()> {
    let (signal, _) = number(args)?;
    let signal = signal.cast_signed();
    linger();
    sys::no_core_file()?;
    if signal != libc::SIGKILL {
        sys::signal_default(signal)?;
    }
    sys::kill(std::process::id(), signal)?;
    anyhow::bail!("survived signal {signal}")
}

/// `burn <ms>`: the first thread computes for so long and ends; only then another computes for as
/// long and ends the process.
pub(crate) fn burn(args: &[OsString]) -> Result<()> {
    let (ms, _) = number(args)?;
    let time = Duration::from_millis(ms.into());
    thread::spawn(move || {
        thread::sleep(time);
        compute(time);
        sys::exit_group(0);
    });
    compute(time);
    sys::exit_thread(0)
}

fn compute(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// `leader-leaves <code>`: the first thread ends; others live on; one of them ends the process.
pub(crate) fn leader_leaves(args: &[OsString]) -> Result<()> {
    let (code, _) = number(args)?;
    for _ in 0..3 {
        thread::spawn(|| thread::sleep(Duration::from_secs(60)));
    }
    thread::spawn(move || {
        linger();
        thread::sleep(Duration::from_millis(50));
        sys::exit_group(code.cast_signed());
    });
    sys::exit_thread(0)
}

/// `threads-leave <n>`: n threads and the first one end by themselves at the same moment.
pub(crate) fn threads_leave(args: &[OsString]) -> Result<()> {
    at_once(number(args)?.0, || sys::exit_thread(0))
}

/// `threads-exit <n>`: n threads and the first one all end the process at the same moment.
pub(crate) fn threads_exit(args: &[OsString]) -> Result<()> {
    at_once(number(args)?.0, || sys::exit_group(5))
}

fn at_once(threads: u32, leave: fn() -> !) -> Result<()> {
    let start = Arc::new(Barrier::new(threads as usize + 1));
    for _ in 0..threads {
        let start = start.clone();
        thread::spawn(move || {
            start.wait();
            leave()
        });
    }
    linger();
    start.wait();
    leave()
}
