//! What a guest said, and the table over all of them.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::Value;

use crate::tally::Tally;

/// Lines of the guest that are for us begin with this; all others are its console.
const MARK: &str = "@wanglou ";

/// The checks of one kernel.
pub(super) struct Report {
    kernel: String,
    /// `uname -r` of the guest.
    release: String,
    checks: Vec<Check>,
    ended: bool,
}

/// One check and how it went.
pub(super) struct Check {
    name: String,
    outcome: Outcome,
    detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    /// This kernel, or this machine, has not got what the check is about.
    Absent,
}

impl Report {
    pub(super) fn new(kernel: &str) -> Self {
        Self { kernel: kernel.to_owned(), release: String::new(), checks: Vec::new(), ended: false }
    }

    /// A kernel on which nothing could be checked.
    pub(super) fn absent(kernel: &str, reason: &str) -> Self {
        let mut report = Self::new(kernel);
        report.checks.push(Check {
            name: "checks".to_owned(),
            outcome: Outcome::Absent,
            detail: reason.to_owned(),
        });
        report
    }

    /// Takes a line of the console; the check, if it told one.
    pub(super) fn line(&mut self, line: &str) -> Option<&Check> {
        // The kernel's own messages may stand before it on the same line.
        let message = line.split_once(MARK)?.1;
        let message: Value = serde_json::from_str(message).ok()?;
        let text = |key: &str| message[key].as_str().unwrap_or_default().to_owned();
        if message["end"] == true {
            self.ended = true;
        }
        if let Some(release) = message["release"].as_str() {
            release.clone_into(&mut self.release);
        }
        let outcome = match message["outcome"].as_str()? {
            "passed" => Outcome::Passed,
            "absent" => Outcome::Absent,
            _ => Outcome::Failed,
        };
        self.checks.push(Check { name: text("check"), outcome, detail: text("detail") });
        self.checks.last()
    }

    /// A guest that did not say goodbye has failed, whatever it said before.
    pub(super) fn finish(&mut self, ending: &str, after: Duration) {
        if !self.ended {
            self.checks.push(Check {
                name: "reached the end".to_owned(),
                outcome: Outcome::Failed,
                detail: format!("{ending} after {} s", after.as_secs()),
            });
        }
    }

    pub(super) fn tally(&self) -> Tally {
        let count =
            |outcome| self.checks.iter().filter(|check| check.outcome == outcome).count() as u64;
        Tally {
            passed: count(Outcome::Passed),
            failed: count(Outcome::Failed),
            skipped: count(Outcome::Absent),
        }
    }

    fn get(&self, name: &str) -> Option<&Check> {
        self.checks.iter().find(|check| check.name == name)
    }
}

/// A Markdown table of checks by kernel, then a line for each that did not pass.
pub(super) fn table(reports: &[Report]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for check in reports.iter().flat_map(|report| &report.checks) {
        if !names.contains(&check.name.as_str()) {
            names.push(&check.name);
        }
    }
    let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
    let heads: Vec<String> = reports.iter().map(Report::head).collect();
    let mut text = format!("\n| {:width$} |", "check");
    for head in &heads {
        let _ = write!(text, " {head} |");
    }
    let _ = write!(text, "\n| {} |", "-".repeat(width));
    for head in &heads {
        let _ = write!(text, " {} |", "-".repeat(head.len()));
    }
    for name in names {
        let _ = write!(text, "\n| {name:width$} |");
        for (report, head) in reports.iter().zip(&heads) {
            let word = report.get(name).map_or("", |check| check.outcome.word());
            let _ = write!(text, " {word:head$} |", head = head.len());
        }
    }
    text.push_str("\n\n");
    for (report, head) in reports.iter().zip(&heads) {
        for check in report.checks.iter().filter(|check| check.outcome != Outcome::Passed) {
            let _ = writeln!(text, "{head}: {check}");
        }
    }
    text
}

impl Report {
    fn head(&self) -> String {
        if self.release.is_empty() { self.kernel.clone() } else { self.release.clone() }
    }
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Absent => "not there",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.outcome.word())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}
