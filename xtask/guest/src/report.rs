//! Results as lines that `cargo xtask test-kernels` reads from the console.

use std::any::Any;
use std::io::{Write as _, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

/// Begins each line; all others are for people.
const MARK: &str = "@wanglou ";

/// How a check that found out something ended; whatever else happens is a failure.
pub(crate) enum Verdict {
    /// As it should be, with a figure or a remark.
    Passed(String),
    /// The kernel or the machine has not got what the check is about.
    Absent(String),
}

/// `Ok(PASSED)` is most checks' last line.
pub(crate) fn passed() -> Result<Verdict> {
    Ok(Verdict::Passed(String::new()))
}

/// Runs one check and tells how it went. A panic in it is its failure and nobody else's.
pub(crate) fn check(group: &str, name: &str, run: impl FnOnce() -> Result<Verdict>) {
    let result = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(message(&*panic)));
    tell(group, name, result);
}

/// Tells the result of a check that has run. A group is a line of the final table; a check that is
/// alone in its group has no name.
pub(crate) fn tell(group: &str, name: &str, result: Result<Verdict>) {
    line(&told(group, name, result));
}

/// The same, with what the table is to show rather than whether it passed.
pub(crate) fn tell_as(cell: &str, group: &str, result: Result<Verdict>) {
    let mut message = told(group, "", result);
    message["cell"] = cell.into();
    line(&message);
}

fn told(group: &str, name: &str, result: Result<Verdict>) -> Value {
    let (outcome, detail) = match result {
        Ok(Verdict::Passed(detail)) => ("passed", detail),
        Ok(Verdict::Absent(reason)) => ("absent", reason),
        Err(error) => ("failed", format!("{error:#}")),
    };
    json!({"group": group, "check": name, "outcome": outcome, "detail": detail})
}

/// Writes any message, in one piece.
pub(crate) fn line(message: &Value) {
    // A console that does not take it will not take a complaint about it either.
    let _ = stdout().write_all(format!("{MARK}{message}\n").as_bytes());
}

fn message(panic: &(dyn Any + Send)) -> anyhow::Error {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    anyhow!("panicked: {}", text.unwrap_or("with no message"))
}
