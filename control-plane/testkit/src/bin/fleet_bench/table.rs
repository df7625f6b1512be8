//! What came of it, for docs/performance.md.

use std::fmt;
use std::time::Duration;

use anyhow::Result;
use wanglou_fleet_testkit::Replica;

use crate::measure::Clock;

/// The table, and what stands below it.
pub(crate) struct Table {
    title: String,
    rows: Vec<String>,
    notes: Vec<String>,
    /// Of CPU time of all replicas in a second in which nobody asks for anything.
    idle: f64,
}

impl Table {
    pub(crate) fn new(hosts: usize, replicas: usize) -> Self {
        let title = format!("{hosts} hosts at {replicas} replicas");
        Self { title, rows: Vec::new(), notes: Vec::new(), idle: 0.0 }
    }

    /// How long something took, and what it cost the replicas.
    pub(crate) fn row(
        &mut self,
        what: &str,
        clock: &Clock,
        replicas: &[Replica],
        hosts: usize,
    ) -> Result<()> {
        let (took, cpu) = clock.read(replicas)?;
        let each = cpu.as_secs_f64() * 1e6 / hosts as f64;
        let (took, cpu) = (took.as_secs_f64(), cpu.as_secs_f64());
        self.rows.push(format!("| {what} | {took:.2} | {cpu:.2} | {each:.1} |"));
        Ok(())
    }

    /// What goes on anyway.
    pub(crate) fn idle(&mut self, clock: &Clock, replicas: &[Replica]) -> Result<()> {
        let (took, cpu) = clock.read(replicas)?;
        self.idle = cpu.as_secs_f64() / took.as_secs_f64();
        Ok(())
    }

    /// What something cost beyond that.
    pub(crate) fn beyond_idle(
        &mut self,
        what: &str,
        clock: &Clock,
        replicas: &[Replica],
        hosts: usize,
    ) -> Result<()> {
        let (took, cpu) = clock.read(replicas)?;
        let own = cpu.as_secs_f64() - self.idle * took.as_secs_f64();
        let each = own * 1e6 / hosts as f64;
        self.notes.push(format!(
            "A {what} cost replicas {each:.1} µs of CPU a host beyond heartbeats and pings, which go on meanwhile."
        ));
        Ok(())
    }

    pub(crate) fn memory(&mut self, before: u64, after: u64, hosts: usize) {
        let each = after.saturating_sub(before) as f64 / 1024.0 / hosts as f64;
        let (before, after) = (before / 1_000_000, after / 1_000_000);
        self.notes.push(format!(
            "Replicas: {before} MB resident without hosts, {after} MB with all of them: {each:.1} KiB a host."
        ));
    }

    /// When an order came to hosts, from the call on.
    pub(crate) fn arrivals(&mut self, what: &str, began: u64, at: &[u64], received: Duration) {
        let part = |of: usize| {
            let index = (at.len() * of / 100).min(at.len().saturating_sub(1));
            at.get(index).map_or(0, |at| at.saturating_sub(began) / 1_000_000)
        };
        let (half, most, last) = (part(50), part(99), part(100));
        let received = received.as_millis();
        self.notes.push(format!(
            "A {what} came to half of them after {half} ms, to 99 % after {most} ms, to the last after {last} ms; \
             an operator knew that all had it after {received} ms."
        ));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:\n", self.title)?;
        writeln!(
            f,
            "| until | s | CPU of replicas, s | of it a host, µs |\n| --- | --- | --- | --- |"
        )?;
        for row in &self.rows {
            writeln!(f, "{row}")?;
        }
        writeln!(f)?;
        for note in &self.notes {
            writeln!(f, "- {note}")?;
        }
        Ok(())
    }
}
