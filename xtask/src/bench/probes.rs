//! What the kernel itself says that its programs cost.

use std::fs;
use std::ops::Sub;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::shell;

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// How often programs ran and how long that took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Runs {
    pub(super) count: u64,
    pub(super) ns: u64,
}

impl Sub for Runs {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            count: self.count.saturating_sub(before.count),
            ns: self.ns.saturating_sub(before.ns),
        }
    }
}

/// The sum over these programs; zeroes while nobody has switched the statistics on.
pub(super) fn runs(programs: &[u32]) -> Result<Runs> {
    let mut sum = Runs::default();
    for &id in programs {
        let (_, runs) = named(id)?;
        sum = Runs { count: sum.count + runs.count, ns: sum.ns + runs.ns };
    }
    Ok(sum)
}

/// A program's name and its runs.
pub(super) fn named(id: u32) -> Result<(String, Runs)> {
    let bpftool = shell::which("bpftool").context("bpftool is not installed")?;
    let mut show = Command::new(&bpftool);
    show.args(["--json", "prog", "show", "id", &id.to_string()]);
    let program: Value = serde_json::from_str(&shell::read(&mut show)?)?;
    let number = |key: &str| program[key].as_u64().unwrap_or_default();
    let runs = Runs { count: number("run_cnt"), ns: number("run_time_ns") };
    Ok((program["name"].as_str().unwrap_or_default().to_owned(), runs))
}

/// The kernel's statistics, switched on; as they were before once dropped.
pub(super) struct Statistics {
    before: String,
}

impl Statistics {
    pub(super) fn enable() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).with_context(|| format!("cannot read {SWITCH}"))?;
        fs::write(SWITCH, "1").with_context(|| format!("cannot write {SWITCH}"))?;
        Ok(Self { before })
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        if let Err(error) = fs::write(SWITCH, &self.before) {
            eprintln!("xtask: cannot restore {SWITCH}: {error}");
        }
    }
}
