//! `wanglou-sensor doctor` says what this kernel offers.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use wanglou_testkit::bins;

use crate::report::{Verdict, passed, tell, tell_as};

const GROUP: &str = "doctor";
/// What each probe's finding is called, before its name.
const PROBE: &str = "probe: ";

/// What it has found out about one thing.
struct Finding {
    is_good: bool,
    name: String,
    detail: String,
}

/// Runs it, shows what it said on the console, and returns that.
pub(crate) fn run() -> String {
    match ask() {
        Ok(text) => {
            let verdict = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            tell(GROUP, "verdict", Ok(Verdict::Passed(verdict.trim().to_owned())));
            findings(&text).into_iter().for_each(show);
            text
        }
        Err(error) => {
            tell(GROUP, "", Err(error));
            String::new()
        }
    }
}

/// Why no probe is loaded here, if none is.
pub(crate) fn refusal(text: &str) -> Option<String> {
    findings(text).into_iter().find(|it| it.name == "probes" && !it.is_good).map(|it| it.detail)
}

fn show(finding: Finding) {
    let Finding { is_good, name, detail } = finding;
    match (is_good, name.starts_with(PROBE)) {
        (true, true) => tell_as(&detail, &name, passed()),
        (false, true) => tell_as("not there", &name, Ok(Verdict::Absent(detail))),
        (true, false) => {}
        (false, false) => tell(GROUP, &name, Ok(Verdict::Absent(detail))),
    }
}

/// Where the doctor's details begin.
const MARGIN: usize = 31;

/// Lines of `ok    name    detail`, `less` or `no`, and indented ones that continue them.
fn findings(text: &str) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for line in text.lines() {
        let (head, detail) = line.split_at_checked(MARGIN).unwrap_or((line, ""));
        let (verdict, name) = head.split_once(' ').unwrap_or_default();
        if head.trim().is_empty()
            && let Some(last) = found.last_mut()
        {
            last.detail.push(' ');
            last.detail.push_str(detail.trim());
        } else if ["ok", "less", "no"].contains(&verdict) {
            let (is_good, name) = (verdict == "ok", name.trim().to_owned());
            found.push(Finding { is_good, name, detail: detail.trim().to_owned() });
        }
    }
    found
}

fn ask() -> Result<String> {
    let output =
        Command::new(bins::sensor()?).arg("doctor").output().context("cannot run the sensor")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in text.lines() {
        println!("doctor: {line}");
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "doctor failed, {}: {}", output.status, complaint.trim());
    ensure!(!text.trim().is_empty(), "doctor printed nothing");
    Ok(text)
}
