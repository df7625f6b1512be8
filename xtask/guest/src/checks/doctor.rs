//! `wanglou-sensor doctor` says what this kernel offers.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use wanglou_testkit::bins;

use crate::report::{Verdict, tell};

/// Runs it, shows what it said on the console, and returns that.
pub(crate) fn run() -> String {
    match ask() {
        Ok(text) => {
            let verdict = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            tell("doctor", "verdict", Ok(Verdict::Passed(verdict.trim().to_owned())));
            for (name, why) in shortcomings(&text) {
                tell("doctor", &name, Ok(Verdict::Absent(why)));
            }
            text
        }
        Err(error) => {
            tell("doctor", "", Err(error));
            String::new()
        }
    }
}

/// Where the doctor's details begin.
const MARGIN: usize = 31;

/// Findings that are not good: a line `less  name    detail`, and indented ones that continue it.
fn shortcomings(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut continues = false;
    for line in text.lines() {
        let is_continued = line.starts_with(' ') && continues;
        continues = is_continued || line.starts_with("less ") || line.starts_with("bad ");
        if is_continued && let Some((_, why)) = found.last_mut() {
            why.push(' ');
            why.push_str(line.trim());
        } else if continues {
            let (name, why) = line.split_at_checked(MARGIN).unwrap_or((line, ""));
            let name = name.split_once(' ').unwrap_or_default().1;
            found.push((name.trim().to_owned(), why.trim().to_owned()));
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
