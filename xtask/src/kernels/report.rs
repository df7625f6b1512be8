//! What a guest said, and the table over all of them.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde_json::Value;

use crate::tally::Tally;

/// Lines of the guest that are for us begin with this; all others are its console.
const MARK: &str = "@wanglou ";

/// The checks of one kernel.
pub(super) struct Report {
    /// As on the command line.
    pub(super) kernel: String,
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
    /// What the table shows rather than how it went.
    cell: Option<String>,
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
            cell: None,
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
            cell: message["cell"].as_str().map(str::to_owned),
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
                cell: None,
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

    /// What the rows are, in the order in which they were checked.
    pub(super) fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> = Vec::new();
        for check in &self.checks {
            if !groups.contains(&check.group.as_str()) {
                groups.push(&check.group);
            }
        }
        groups
    }

    /// The table's cell of a group: what it says of itself, else the worst outcome in it, and of how many.
    pub(super) fn cell(&self, group: &str) -> String {
        let mut own = self.checks.iter().filter(|check| check.group == group);
        if let Some(cell) = own.find_map(|check| check.cell.clone()) {
            return cell;
        }
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
}

/// Rows of a table of their own: what they begin with, what it is about.
const TABLES: [(&str, &str); 2] = [
    ("probe: ", "Where each probe hangs"),
    (INSTRUCTIONS, "How many instructions the verifier walked (the kernel tells from 5.16 on)"),
];
const INSTRUCTIONS: &str = "verified instructions: ";

/// Numbers of instructions depend on the compiler as well, and have budgets.
pub(super) fn is_compared(row: &str) -> bool {
    !row.starts_with(INSTRUCTIONS) && row != RELEASE
}

const RELEASE: &str = "release";

/// Markdown: tables of rows by kernel, then what is not there and why, then what failed.
pub(super) fn document(reports: &[Report]) -> String {
    let mut groups: Vec<&str> = Vec::new();
    for group in reports.iter().flat_map(Report::groups) {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let in_a_table = |group: &&str| TABLES.iter().any(|(prefix, _)| group.starts_with(prefix));
    let (of_tables, others): (Vec<&str>, Vec<&str>) = groups.into_iter().partition(in_a_table);

    let mut text = String::from("\n");
    let releases = reports.iter().map(|report| report.release.clone());
    text += &table(reports, "check", Some(releases.collect()), &others);
    for (prefix, about) in TABLES {
        let rows = of_tables.iter().filter(|group| group.starts_with(prefix)).copied();
        let _ = writeln!(text, "\n{about}:\n");
        text += &table(reports, "program", None, &rows.collect::<Vec<_>>());
    }
    for report in reports {
        let told = report.checks.iter().filter(|check| check.outcome != Outcome::Passed);
        let told: Vec<_> = told.filter(|check| !check.detail.is_empty()).collect();
        if !told.is_empty() {
            let _ = writeln!(text, "\nOn {}:\n", report.kernel);
        }
        for check in told {
            let _ = writeln!(text, "- {check}");
        }
    }
    text.push('\n');
    text
}

fn table(reports: &[Report], what: &str, releases: Option<Vec<String>>, groups: &[&str]) -> String {
    let row = |name: &str, cells: Vec<String>| [vec![name.to_owned()], cells].concat();
    let kernels = reports.iter().map(|report| report.kernel.clone());
    let mut rows = vec![row(what, kernels.collect())];
    rows.extend(releases.map(|releases| row(RELEASE, releases)));
    for group in groups {
        rows.push(row(group, reports.iter().map(|report| report.cell(group)).collect()));
    }
    aligned(&rows)
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
