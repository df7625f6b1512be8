//! A kernel that lets no program read its memory: the probes are refused, which is said, and `cn_proc` serves.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use wanglou_testkit::Watch;

use super::doctor;
use crate::report::{Verdict, check, tell_as};

/// Whether this kernel has been told at boot to be one.
pub(crate) fn is_it() -> bool {
    let told = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    told.split_whitespace().any(|word| word == "lockdown=confidentiality")
}

pub(crate) fn run(doctor: &str) {
    let group = "ebpf: ready";
    match doctor::refusal(doctor) {
        Some(why) => tell_as("refused", group, Ok(Verdict::Absent(why))),
        None => check(group, "", || anyhow::bail!("the doctor says that probes are loaded")),
    }
    check("the rung below is taken", "", || falls_back(doctor));
}

/// Who has not said how to see gets what works, and is told why.
fn falls_back(doctor: &str) -> Result<Verdict> {
    let watch = Watch::builder().start()?;
    ensure!(watch.programs()?.is_empty(), "it holds programs");
    let capture = watch.stop()?;
    ensure!(capture.status.success(), "ended with {}: {:?}", capture.status, capture.stderr);
    capture.audit()?;
    let said = capture.stderr.join("\n");
    let refusal = doctor::refusal(doctor).context("no reason is given")?;
    let first = refusal.split(" -> ").next().unwrap_or_default();
    ensure!(said.contains("cn_proc"), "it does not say what serves: {said}");
    // The verifier's last words are the reason; terminals may have broken the doctor's lines elsewhere.
    let last = first.rsplit(" | ").next().unwrap_or_default();
    ensure!(said.contains(last), "it does not say {last:?}: {said}");
    Ok(Verdict::Passed(first.to_owned()))
}
