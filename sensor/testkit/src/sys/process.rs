//! Signals, waiting, exiting, credentials.

use std::{io, mem::MaybeUninit, time::Duration};

use super::{checked, checked_long};

/// What became of a child.
#[derive(Clone, Copy, Debug)]
pub struct Waited {
    /// The child.
    pub pid: u32,
    /// As `wait(2)` gives it.
    pub status: i32,
    /// Its CPU time, user and system, with that of the children it waited for.
    pub cpu: Duration,
    /// The most memory that it had resident.
    pub max_rss_kb: u64,
}

/// Sends a signal to one process.
pub fn kill(pid: u32, signal: i32) -> io::Result<()> {
    // SAFETY: takes two numbers and no memory.
    checked(unsafe { libc::kill(pid.cast_signed(), signal) }).map(drop)
}

/// Reaps one child if it has ended.
pub fn wait_for(pid: u32) -> io::Result<Option<Waited>> {
    wait(pid.cast_signed(), libc::WNOHANG)
}

/// Reaps any child, waiting for one to end; `None` when there are no children left.
pub fn wait_any() -> io::Result<Option<Waited>> {
    match wait(-1, 0) {
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(None),
        other => other,
    }
}

fn wait(pid: i32, options: i32) -> io::Result<Option<Waited>> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to live variables of the types that the call fills.
    let returned = unsafe { libc::wait4(pid, &raw mut status, options, usage.as_mut_ptr()) };
    let pid = checked(returned)?.unsigned_abs();
    // SAFETY: all of rusage is integers, for which the zeroes it began with are valid.
    let usage = unsafe { usage.assume_init() };
    let cpu = duration(usage.ru_utime) + duration(usage.ru_stime);
    let max_rss_kb = usage.ru_maxrss.unsigned_abs();
    Ok((pid != 0).then_some(Waited { pid, status, cpu, max_rss_kb }))
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = Duration::from_secs(time.tv_sec.unsigned_abs());
    seconds + Duration::from_micros(time.tv_usec.unsigned_abs())
}

/// Ends the calling thread only, whichever it is.
pub fn exit_thread(code: i32) -> ! {
    loop {
        // SAFETY: takes a number; nothing runs on this thread afterwards, so that nothing it
        // borrowed to others ends before the process does.
        unsafe { libc::syscall(libc::SYS_exit, code) };
    }
}

/// Ends all threads, with none of libc's locks or handlers between the call and the kernel.
pub fn exit_group(code: i32) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// The cheapest system call that does real work, not cached by libc.
pub fn getppid_raw() -> i64 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::syscall(libc::SYS_getppid) }
}

/// The effective user id of this process.
pub fn effective_uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Changes the real, effective and saved user of this process.
pub fn set_uid(uid: u32) -> io::Result<()> {
    // SAFETY: takes a number.
    checked(unsafe { libc::setuid(uid) }).map(drop)
}

/// Changes the real, effective and saved group of this process.
pub fn set_gid(gid: u32) -> io::Result<()> {
    // SAFETY: takes a number.
    checked(unsafe { libc::setgid(gid) }).map(drop)
}

/// Orphans below this process become its children, so that it can wait for them.
pub fn subreaper() -> io::Result<()> {
    // SAFETY: this option of prctl takes a number.
    checked(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) }).map(drop)
}

/// Gives a signal its default action again (the Rust runtime catches SIGSEGV and ignores SIGPIPE).
pub fn signal_default(signal: i32) -> io::Result<()> {
    // SAFETY: SIG_DFL is no function that could be called with a wrong type.
    let before = unsafe { libc::signal(signal, libc::SIG_DFL) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Dying from a signal leaves no core file behind.
pub fn no_core_file() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live struct of the right type.
    let returned = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    checked_long(returned.into()).map(drop)
}

/// Begins a session and makes the terminal on stdin its own.
pub fn lead_session_on_stdin() -> io::Result<()> {
    // SAFETY: takes nothing.
    checked(unsafe { libc::setsid() })?;
    // SAFETY: this request takes a number.
    checked(unsafe { libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) }).map(drop)
}
