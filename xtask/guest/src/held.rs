//! A process that holds still while /proc is read, then uses some CPU and ends as it is told.

use std::ffi::OsString;
use std::io::{Read as _, stdin};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use std::{env, hint};

use anyhow::Result;

/// The first argument that makes this program the held one.
pub(crate) const ROLE: &str = "held";
/// What it exits with.
pub(crate) const EXIT_CODE: u8 = 7;
/// How long it computes, once let go.
pub(crate) const CPU: Duration = Duration::from_millis(60);

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

/// The held process itself.
pub(crate) fn run() -> ExitCode {
    let _ = stdin().read_to_end(&mut Vec::new());
    let started = Instant::now();
    while started.elapsed() < CPU {
        hint::spin_loop();
    }
    ExitCode::from(EXIT_CODE)
}
