//! Many short processes, as fast as the machine makes them.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bins;

/// What the `storm` binary says it did.
#[derive(Clone, Debug)]
pub struct Storm {
    /// Processes made, each forked, execed and ended.
    pub spawned: u64,
    /// From the first to the last.
    pub wall_ns: u64,
    /// The binary that each child execs.
    pub path: String,
    /// The workers, whose children the processes are; worker `w` makes `noop <w> <i>`.
    pub workers: Vec<u32>,
}

/// Runs a storm to its end.
pub fn run(total: u64, workers: u64) -> Result<Storm> {
    start(total, workers)?.finish()
}

/// A storm under way.
#[derive(Debug)]
pub struct Running(std::process::Child);

/// Starts a storm.
pub fn start(total: u64, workers: u64) -> Result<Running> {
    start_as(total, workers, |command| command)
}

/// The same, in another place than ours.
pub fn start_as(
    total: u64,
    workers: u64,
    place: impl FnOnce(Command) -> Command,
) -> Result<Running> {
    let path = bins::testkit("storm")?;
    let mut command = Command::new(&path);
    command.args([total.to_string(), workers.to_string()]).stdout(Stdio::piped());
    let child = place(command).spawn().with_context(|| format!("cannot run {}", path.display()))?;
    Ok(Running(child))
}

impl Running {
    /// The process that makes the workers.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it still blows.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }

    /// Waits for the end.
    pub fn finish(self) -> Result<Storm> {
        let output = self.0.wait_with_output()?;
        ensure!(output.status.success(), "the storm ended with {}", output.status);
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let number = |key: &str| report[key].as_u64().with_context(|| format!("no {key}"));
        let workers = report["workers"].as_array().context("no workers")?;
        Ok(Storm {
            spawned: number("spawned")?,
            wall_ns: number("wall_ns")?,
            path: report["path"].as_str().context("no path")?.to_owned(),
            workers: workers.iter().filter_map(|pid| pid.as_u64()?.try_into().ok()).collect(),
        })
    }
}
