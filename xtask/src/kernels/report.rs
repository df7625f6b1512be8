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
    /// The line of the table that it belongs to.
    pub(super) group: String,
    /// Empty if it is alone in its group.
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

impl Check {
    pub(super) fn failed(&self) -> bool {
        self.outcome == Outcome::Failed
    }
}

impl Report {
    pub(super) fn new(kernel: &str) -> Self {
        Self { kernel: kernel.to_owned(), release: String::new(), checks: Vec::new(), ended: false }
    }

    /// A kernel on which nothing could be checked.
    pub(super) fn absent(kernel: &str, reason: &str) -> Self {
        let mut report = Self::new(kernel);
        report.checks.push(Check {
            group: "checks".to_owned(),
            name: String::new(),
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
        self.checks.push(Check {
            group: text("group"),
            name: text("check"),
            outcome,
            detail: text("detail"),
        });
        self.checks.last()
    }

    /// A guest that did not say goodbye has failed, whatever it said before.
    pub(super) fn finish(&mut self, ending: &str, after: Duration) {
        if !self.ended {
            self.checks.push(Check {
                group: "reached the end".to_owned(),
                name: String::new(),
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

    /// The table's cell of a group: the worst outcome in it, and of how many.
    fn cell(&self, group: &str) -> String {
        let of = |outcome| {
            let both = |check: &&Check| check.group == group && check.outcome == outcome;
            self.checks.iter().filter(both).count()
        };
        let (passed, failed, absent) =
            (of(Outcome::Passed), of(Outcome::Failed), of(Outcome::Absent));
        match (passed, failed, absent) {
            (0, 0, 0) => String::new(),
            (1, 0, 0) => "passed".to_owned(),
            (_, 0, 0) => format!("{passed} passed"),
            (0, 0, _) => "not there".to_owned(),
            (_, 0, _) => format!("{passed} passed, {absent} not there"),
            _ => format!("FAILED {failed} of {}", passed + failed),
        }
    }

    fn head(&self) -> &str {
        if self.release.is_empty() { &self.kernel } else { &self.release }
    }
}

/// A Markdown table of groups by kernel, then a line for each check with something to say.
pub(super) fn table(reports: &[Report]) -> String {
    let mut groups: Vec<&str> = Vec::new();
    for check in reports.iter().flat_map(|report| &report.checks) {
        if !groups.contains(&check.group.as_str()) {
            groups.push(&check.group);
        }
    }
    let heads = reports.iter().map(|report| report.head().to_owned());
    let mut rows: Vec<Vec<String>> = vec![["check".to_owned()].into_iter().chain(heads).collect()];
    for group in groups {
        let cells = reports.iter().map(|report| report.cell(group));
        rows.push([group.to_owned()].into_iter().chain(cells).collect());
    }
    let mut text = String::from("\n");
    text += &aligned(&rows);
    for report in reports {
        let _ = writeln!(text, "\n{}:\n", report.head());
        for check in report.checks.iter().filter(|check| !check.detail.is_empty()) {
            let _ = writeln!(text, "- {check}");
        }
    }
    text.push('\n');
    text
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(text, "| {} ", "-".repeat(*width));
            }
            text.push_str("|\n");
        }
    }
    text
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
        write!(f, "{}: ", self.group)?;
        if !self.name.is_empty() {
            write!(f, "{}: ", self.name)?;
        }
        write!(f, "{}", self.outcome.word())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}
