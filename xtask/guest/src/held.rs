//! A process that holds still while /proc is read, then uses some CPU and ends as it is told.

use std::ffi::OsString;
use std::io::{Read as _, stdin};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, hint, thread};

use anyhow::Result;
use wanglou_testkit::sys;

/// The first argument that makes this program the held one.
pub(crate) const ROLE: &str = "held";
/// What it exits with.
pub(crate) const EXIT_CODE: u8 = 7;
/// How long it computes, once let go.
pub(crate) const CPU: Duration = Duration::from_millis(60);

/// The second argument of one that changes its user.
const CHANGES: &str = "changes";
/// Whom it becomes.
pub(crate) const OTHER_USER: u32 = 1234;
/// How long it lives after that.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// The arguments of the held process, chosen to be hard: empty ones, the last too, and a newline.
pub(crate) fn arguments() -> Vec<OsString> {
    [ROLE, "plain", "", "two words", "line\nbreak", "汉字", ""].map(OsString::from).to_vec()
}

/// A command for a held process; it is let go when its standard input is closed.
pub(crate) fn command(folder: &Path) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(arguments()).current_dir(folder).stdin(Stdio::piped());
    Ok(command)
}

/// Lets it go.
pub(crate) fn release(child: &mut Child) {
    drop(child.stdin.take());
}

/// A command for a process that becomes somebody else, pauses, and ends.
pub(crate) fn becomes_other_user() -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args([ROLE, CHANGES]);
    Ok(command)
}

/// The held process itself.
pub(crate) fn run() -> ExitCode {
    if env::args().nth(2).as_deref() == Some(CHANGES) {
        let changed = sys::set_uid(OTHER_USER);
        thread::sleep(PAUSE);
        return if changed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let _ = stdin().read_to_end(&mut Vec::new());
    let started = Instant::now();
    while started.elapsed() < CPU {
        hint::spin_loop();
    }
    ExitCode::from(EXIT_CODE)
}
