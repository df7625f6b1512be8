//! What /proc tells of a running tracer.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// CPU time so far, to the nanosecond, of all its living threads.
pub(super) fn cpu(pid: u32) -> Result<Duration> {
    let mut total = 0;
    let tasks = format!("/proc/{pid}/task");
    for task in fs::read_dir(&tasks).with_context(|| format!("cannot read {tasks}"))? {
        // A thread may end while we read.
        let Ok(schedstat) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let running = schedstat.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok());
        total += running.context("no schedstat in this kernel")?;
    }
    Ok(Duration::from_nanos(total))
}

/// Memory, each shared page divided by its sharers, in kB.
pub(super) fn pss_kb(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let rollup = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:")?.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("no Pss in {path}"))
}
