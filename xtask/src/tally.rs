//! Counting tests, wherever they ran.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::process::ExitCode;
use std::{fmt, mem};

/// How many checks went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Tally {
    /// Skipped tests are no failure: they have said why.
    pub(crate) fn exit_code(self) -> ExitCode {
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped } = self;
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// Reads what the test harness prints, line by line, and leaves out what nobody reads: the names of
/// those that passed.
///
/// The harness knows no way for a test to find out at run time that it cannot be run here. Ours
/// then print a line that begins with `skipped:` and return; with `--show-output` it is seen.
#[derive(Default)]
pub(crate) struct HarnessOutput {
    tally: Tally,
    place: Place,
    /// Skipped tests of the present binary, which its result line counts among the passed, by reason.
    skipped_here: BTreeMap<String, u64>,
}

/// Which part of the output of one test binary we are in.
#[derive(Default, PartialEq)]
enum Place {
    #[default]
    Elsewhere,
    /// Under `successes:`, before the output of a test that did not skip itself.
    Successes,
    /// In the output of a test that has skipped itself.
    Skipped,
}

impl HarnessOutput {
    /// Takes the next line; returns what is to be shown for it.
    pub(crate) fn line(&mut self, line: &str) -> Vec<String> {
        let mut shown = Vec::new();
        if let Some(counts) = line.strip_prefix("test result: ") {
            let mut counted = result(counts);
            for (reason, tests) in mem::take(&mut self.skipped_here) {
                shown.push(format!("{tests} {reason}"));
                let skipped = tests.min(counted.passed);
                counted.passed -= skipped;
                counted.skipped += skipped;
            }
            self.tally += counted;
            self.place = Place::Elsewhere;
            if counted != Tally::default() {
                shown.push(line.to_owned());
            }
        } else if line == "successes:" {
            self.place = Place::Successes;
        } else if line == "failures:" {
            self.place = Place::Elsewhere;
            shown.push(line.to_owned());
        } else if self.place == Place::Skipped && line.starts_with("---- ") {
            self.place = Place::Successes;
        } else if self.place == Place::Successes && line.starts_with("skipped:") {
            self.place = Place::Skipped;
            *self.skipped_here.entry(line.to_owned()).or_default() += 1;
        } else if self.place == Place::Elsewhere && !is_routine(line) {
            shown.push(line.to_owned());
        } else if self.place == Place::Successes && !is_name(line) {
            // A figure that a test tells.
            shown.push(line.to_owned());
        }
        shown
    }

    /// What has been counted.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }
}

/// Takes `ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; …` apart.
fn result(line: &str) -> Tally {
    let mut tally = Tally::default();
    for part in line.split([';', '.']) {
        let mut words = part.split_whitespace();
        let (Some(Ok(count)), Some(what)) = (words.next().map(str::parse), words.next()) else {
            continue;
        };
        match what {
            "passed" => tally.passed = count,
            "failed" => tally.failed = count,
            "ignored" => tally.skipped = count,
            _ => {}
        }
    }
    tally
}

/// `running 3 tests`, `test a ... ok`, nothing.
fn is_routine(line: &str) -> bool {
    line.is_empty()
        || line.starts_with("running ")
        || line.starts_with("test ") && line.ends_with(" ok")
}

/// What stands above the output of a test, or in the list below: a name only.
fn is_name(line: &str) -> bool {
    line.is_empty()
        || line.starts_with("---- ")
        || line.starts_with("    ") && !line.trim().contains(' ')
}

#[cfg(test)]
mod tests {
    use super::{HarnessOutput, Tally};

    #[test]
    fn counts_results_over_several_binaries_and_tests_that_skip_themselves() {
        let text = "\
running 3 tests
test a ... ok
test b ... ok

successes:

---- a stdout ----
skipped: no rights
skipped: said twice, counted once

---- b stdout ----
nothing

successes:
    a
    b

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s
";
        let mut output = HarnessOutput::default();
        let shown: Vec<_> = text.lines().flat_map(|line| output.line(line)).collect();
        assert_eq!(output.tally(), Tally { passed: 5, failed: 2, skipped: 2 });
        let starts = ["nothing", "1 skipped: no rights", "test result: ok", "test result: FAILED"];
        assert_eq!(shown.len(), starts.len());
        assert!(shown.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{shown:?}");
    }
}
