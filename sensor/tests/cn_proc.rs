//! The storm through the netlink process connector: it may lose, but not lie.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wanglou_testkit::{
    Capture, Watch,
    event::{action, field},
    lock, number, root_or_skip,
    storm::{self, Storm},
    text,
};

const TOTAL: u64 = 50_000;

#[test]
fn a_storm_is_accounted_for() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let watch = Watch::builder().backend("cn_proc").start()?;
    let began = watch.age();
    let storm = storm::run(TOTAL, 2)?;
    let over = watch.age();
    let capture = watch.stop()?;
    ensure!(capture.status.success(), "the sensor ended with {}", capture.status);

    // Of which produced = delivered + dropped is a part.
    let audit = capture.audit()?;
    let mut told = Told::default();
    for line in capture.lines()? {
        told.line(&line?, &storm)?;
    }
    println!(
        "{} forks, {} execs ({} incomplete), {} ends; dropped {:?}",
        told.forks, told.execs, told.incomplete, told.ends, audit.dropped
    );
    for (kind, told) in [("fork", told.forks), ("exec", told.execs), ("end", told.ends)] {
        let dropped = audit.dropped_of(kind);
        ensure!(told <= TOTAL, "{told} `{kind}` of {TOTAL} processes");
        ensure!(told + dropped >= TOTAL, "{kind}: {told} told and {dropped} dropped of {TOTAL}");
    }
    ensure!(audit.gaps.is_empty() == (audit.dropped_total() == 0), "gaps: {:?}", audit.gaps);
    memory_is_flat(&capture, began, over)
}

#[derive(Default)]
struct Told {
    forks: u64,
    execs: u64,
    ends: u64,
    incomplete: u64,
}

impl Told {
    fn line(&mut self, event: &Value, storm: &Storm) -> Result<()> {
        let parent = number(event, "process.parent.pid").and_then(|pid| u32::try_from(pid).ok());
        if !parent.is_some_and(|parent| storm.workers.contains(&parent)) {
            return Ok(());
        }
        match action(event) {
            "fork" => self.forks += 1,
            "end" => self.ends += 1,
            "exec" => {
                self.execs += 1;
                self.exec(event, storm)?;
            }
            _ => {}
        }
        ensure!(text(event, "event.provider").is_some(), "no event.provider: {event}");
        Ok(())
    }

    /// What is told is true; what is missing is said to be missing.
    fn exec(&mut self, event: &Value, storm: &Storm) -> Result<()> {
        let incomplete = field(event, "wanglou.incomplete") == Some(&Value::Bool(true));
        self.incomplete += u64::from(incomplete);
        let Some(args) = field(event, "process.args") else {
            ensure!(incomplete, "no args, and not marked as incomplete: {event}");
            return Ok(());
        };
        let args = args.as_array().context("process.args is no list")?;
        let args: Vec<&str> = args.iter().filter_map(Value::as_str).collect();
        let [path, "noop", worker, i] = args[..] else { anyhow::bail!("args are {args:?}") };
        let worker: usize = worker.parse()?;
        let parent = number(event, "process.parent.pid");
        let right = path == storm.path
            && parent == storm.workers.get(worker).map(|&pid| pid.into())
            && i.parse::<u64>().is_ok_and(|i| i < TOTAL);
        ensure!(right, "args of somebody else: {args:?}, parent {parent:?}");
        Ok(())
    }
}

fn memory_is_flat(capture: &Capture, began: Duration, over: Duration) -> Result<()> {
    let memory = &capture.memory;
    // The table of processes may fill in the first third.
    let third = (over - began) / 3;
    let during = |n: u32| memory.most_between(began + third * n, began + third * (n + 1));
    let thirds = [0, 1, 2].map(during);
    println!("VmRSS by thirds {thirds:?} kB, peak {} kB", memory.peak_kb);
    ensure!(memory.peak_kb <= 12 * 1024, "{} kB resident at the peak", memory.peak_kb);
    ensure!(thirds[2] <= thirds[1] + 512, "memory grows: {thirds:?} kB");
    Ok(())
}
