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
            tell("doctor", "", Ok(Verdict::Passed(verdict.trim().to_owned())));
            text
        }
        Err(error) => {
            tell("doctor", "", Err(error));
            String::new()
        }
    }
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
