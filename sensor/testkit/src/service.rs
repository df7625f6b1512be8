//! `wanglou-sensor run`, with its output in a file.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{
    bins,
    event::{action, field, is_metric, number, text},
    ledger, proc,
    scratch::Scratch,
    sys,
};

/// What it says once it works.
pub const READY: &str = ": ready: ";
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// The service, with its output in a file.
#[derive(Debug)]
pub struct Service {
    child: Child,
    scratch: Scratch,
}

impl Service {
    /// Starts it with settings, `path=value`, and waits until it is ready.
    pub fn start(settings: &[&str]) -> Result<Self> {
        Self::start_as(settings, |_| ())
    }

    /// The same, with more arguments or variables, or another standard output than the file that
    /// [`stop`](Self::stop) reads.
    pub fn start_as(settings: &[&str], prepare: impl FnOnce(&mut Command)) -> Result<Self> {
        let mut service = Self::launch(settings, prepare)?;
        service.wait_for(READY, 1)?;
        Ok(service)
    }

    /// The same, without waiting.
    pub fn launch(settings: &[&str], prepare: impl FnOnce(&mut Command)) -> Result<Self> {
        let scratch = Scratch::new("service")?;
        let mut command = Command::new(bins::sensor()?);
        command
            .arg("run")
            // What was ordered on this host before is none of a test's business.
            .args(["--set", &format!("sensor.state_directory={}", scratch.join("state").display())])
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .stdin(Stdio::null())
            .stdout(File::create(scratch.join("stdout"))?)
            .stderr(File::create(scratch.join("stderr"))?);
        prepare(&mut command);
        Ok(Self { child: command.spawn()?, scratch })
    }

    /// What it has written on stderr.
    pub fn told(&self) -> Result<String> {
        Ok(fs::read_to_string(self.scratch.join("stderr"))?)
    }

    /// How much it has written on standard output.
    pub fn output_bytes(&self) -> Result<u64> {
        Ok(fs::metadata(self.scratch.join("stdout"))?.len())
    }

    /// Waits until it has said something so many times.
    pub fn wait_for(&mut self, what: &str, times: usize) -> Result<()> {
        let started = Instant::now();
        loop {
            let told = self.told()?;
            if told.matches(what).count() >= times {
                return Ok(());
            }
            ensure!(self.child.try_wait()?.is_none(), "it ended: {told}");
            ensure!(started.elapsed() < PATIENCE, "no {what:?}: {told}");
            thread::sleep(POLL);
        }
    }

    /// The supervisor.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The worker that is there now.
    pub fn worker(&self) -> Result<u32> {
        let children = proc::children(self.child.id());
        children.first().copied().context("there is no worker")
    }

    /// Tells it to end; how it did, and its lines.
    pub fn stop(mut self) -> Result<(ExitStatus, Vec<Value>)> {
        sys::kill(self.child.id(), libc::SIGTERM)?;
        let status = self.child.wait()?;
        Ok((status, lines(&self.scratch.join("stdout"))?))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole lines of a file.
pub fn lines(path: &Path) -> Result<Vec<Value>> {
    let lines = BufReader::new(File::open(path)?).lines();
    // Half a line of one who was killed is followed by an end of line.
    let whole = |line: std::io::Result<String>| -> Option<Result<Value>> {
        match line {
            Ok(line) => serde_json::from_str(&line).ok().map(Ok),
            Err(error) => Some(Err(error.into())),
        }
    };
    lines.filter_map(whole).collect()
}

/// The lines of each run, in the order of their beginning.
pub fn by_run(lines: &[Value]) -> Result<Vec<Vec<Value>>> {
    let mut runs: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for line in lines {
        let run = text(line, "wanglou.run.id").context("no run")?.parse()?;
        runs.entry(run).or_default().push(line.clone());
    }
    Ok(runs.into_values().collect())
}

/// What the last ledger of a run says was dropped, by cause, and how many lines there are that it does not
/// know of; fails unless it balances.
pub fn balanced(run: &[Value]) -> Result<(BTreeMap<String, ledger::Counts>, u64)> {
    let last = run.iter().rev().find(|line| action(line) == "ledger").context("no ledger")?;
    let part = |name: &str| field(last, &format!("wanglou.ledger.{name}"));
    let produced = ledger::total(&ledger::counts(part("produced"))?);
    let delivered = ledger::total(&ledger::counts(part("delivered"))?);
    let dropped = ledger::by_cause(part("dropped").context("no losses")?)?;
    let lost: u64 = dropped.values().map(ledger::total).sum();
    ensure!(number(last, "wanglou.ledger.in_flight") == Some(0), "something is under way: {last}");
    ensure!(produced == delivered + lost, "{produced} is not {delivered} + {lost}");
    let seen = run.iter().filter(|line| !is_metric(line)).count() as u64;
    ensure!(seen >= delivered, "{delivered} delivered, {seen} seen");
    Ok((dropped, seen - delivered))
}
