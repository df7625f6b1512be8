//! What a run of the sensor left behind.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{event::Stream, ledger, memory::Memory, scratch::Scratch};

/// One run, from its first line to its exit.
#[derive(Debug)]
pub struct Capture {
    pub(crate) output: PathBuf,
    /// What it wrote on stderr.
    pub stderr: Vec<String>,
    /// How it ended.
    pub status: ExitStatus,
    /// The CPU time of the sensor, its loader included.
    pub cpu: Duration,
    /// Its resident memory, as sampled.
    pub memory: Memory,
    pub(crate) _scratch: Scratch,
}

impl Capture {
    /// Its standard output as it is.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// The lines one by one, so that a storm need not be in memory.
    pub fn lines(&self) -> Result<impl Iterator<Item = Result<Value>>> {
        let file = File::open(&self.output)
            .with_context(|| format!("cannot open {}", self.output.display()))?;
        let lines = BufReader::new(file).lines().enumerate();
        Ok(lines.map(|(n, line)| {
            let line = line.with_context(|| format!("line {} is not UTF-8", n + 1))?;
            serde_json::from_str(&line)
                .with_context(|| format!("line {} is not JSON: {line:.200}", n + 1))
        }))
    }

    /// All of it in memory: for runs in which not much happened.
    pub fn stream(&self) -> Result<Stream> {
        Ok(Stream::new(self.lines()?.collect::<Result<_>>()?))
    }

    /// The books of this run, checked (see `ledger`).
    pub fn audit(&self) -> Result<ledger::Audit> {
        let mut audit = ledger::Audit::default();
        for line in self.lines()? {
            audit.line(&line?)?;
        }
        audit.close()?;
        Ok(audit)
    }

    /// The events that pass, kept.
    pub fn filter(&self, wanted: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
        self.lines()?.filter(|line| line.as_ref().map_or(true, &wanted)).collect()
    }
}
