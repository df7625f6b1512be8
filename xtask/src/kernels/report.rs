//! What a guest said.

use std::fmt;
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
    pub(super) release: String,
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

    /// A kernel on which nothing could be checked, for want of something on this machine.
    pub(super) fn absent(kernel: &str, reason: &str) -> Self {
        Self::without_checks(kernel, Outcome::Absent, reason)
    }

    /// One that could not even be booted.
    pub(super) fn failed(kernel: &str, reason: &str) -> Self {
        Self::without_checks(kernel, Outcome::Failed, reason)
    }

    fn without_checks(kernel: &str, outcome: Outcome, reason: &str) -> Self {
        let mut report = Self::new(kernel);
        report.checks.push(Check {
            group: "checks".to_owned(),
            name: String::new(),
            outcome,
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

impl Report {
    /// What did not pass and why; checks of a group that have the same reason have one line.
    pub(super) fn shortcomings(&self) -> Vec<String> {
        let mut lines: Vec<(&Check, Vec<&str>)> = Vec::new();
        let told = self.checks.iter().filter(|it| it.outcome != Outcome::Passed);
        for check in told.filter(|check| !check.detail.is_empty()) {
            let is_alike = |other: &&Check| {
                (other.outcome, &other.group, &other.detail)
                    == (check.outcome, &check.group, &check.detail)
            };
            match lines.iter_mut().find(|(first, _)| is_alike(first)) {
                Some((_, names)) => names.push(&check.name),
                None => lines.push((check, vec![&check.name])),
            }
        }
        let told = lines.into_iter().map(|(first, names)| first.told_of(&names.join(", ")));
        told.collect()
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

impl Check {
    fn told_of(&self, names: &str) -> String {
        let Self { group, outcome, detail, .. } = self;
        let parts = [group.as_str(), names, outcome.word(), detail.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told_of(&self.name))
    }
}
