//! As many processes as two cores can make: each of them is told of once, exactly, in order.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wanglou_testkit::{
    Watch,
    event::{action, entity, field},
    lock, number, root_or_skip,
    storm::{self, Storm},
};

const TOTAL: u64 = 50_000;

#[test]
fn every_process_of_a_storm_is_told_of() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let watch = Watch::builder().backend("ebpf").start()?;
    let storm = storm::run(TOTAL, 2)?;
    let capture = watch.stop()?;
    ensure!(capture.status.success(), "the sensor ended with {}", capture.status);

    let audit = capture.audit()?;
    ensure!(audit.dropped_total() == 0, "dropped: {:?}", audit.dropped);
    ensure!(audit.gaps.is_empty(), "a gap although nothing was lost: {:?}", audit.gaps);

    let mut told = Told::default();
    for line in capture.lines()? {
        told.line(&line?, &storm)?;
    }
    told.close(&storm)?;
    let events = audit.seen.values().sum::<u64>();
    println!(
        "{events} events, {} ns of sensor CPU each, {} ns a process, peak {} kB",
        capture.cpu.as_nanos() / u128::from(events),
        storm.wall_ns / TOTAL,
        capture.memory.peak_kb
    );
    Ok(())
}

/// The lives of the storm's processes, as far as told.
#[derive(Default)]
struct Told {
    lives: HashMap<String, usize>,
    execs: HashMap<String, u32>,
}

const LIFE: [&str; 3] = ["fork", "exec", "end"];

impl Told {
    fn line(&mut self, event: &Value, storm: &Storm) -> Result<()> {
        let parent = number(event, "process.parent.pid").and_then(|pid| u32::try_from(pid).ok());
        if !parent.is_some_and(|parent| storm.workers.contains(&parent)) {
            return Ok(());
        }
        let entity = entity(event).context("an event without process.entity_id")?;
        let stage = self.lives.entry(entity.to_owned()).or_default();
        let expected = LIFE.get(*stage).copied();
        ensure!(expected == Some(action(event)), "expected {expected:?}, got {event}");
        *stage += 1;
        if action(event) == "exec" {
            let args = field(event, "process.args").and_then(Value::as_array);
            let args = args.context("an exec without process.args")?;
            let args: Vec<&str> = args.iter().filter_map(Value::as_str).collect();
            ensure!(args.len() == 4 && args[0] == storm.path, "args are {args:?}");
            *self.execs.entry(args[1..].join(" ")).or_default() += 1;
        }
        if action(event) == "end" {
            ensure!(number(event, "process.exit_code") == Some(0), "not exit 0: {event}");
        }
        Ok(())
    }

    fn close(&self, storm: &Storm) -> Result<()> {
        let (lives, spawned) = (self.lives.len() as u64, storm.spawned);
        ensure!(lives == spawned, "{lives} processes told of, {spawned} made");
        let cut = self.lives.values().filter(|&&stage| stage != LIFE.len()).count();
        ensure!(cut == 0, "{cut} processes without fork, exec and end");
        let workers = storm.workers.len() as u64;
        for i in 0..spawned {
            let args = format!("noop {} {}", i % workers, i / workers);
            let times = self.execs.get(&args).copied().unwrap_or_default();
            ensure!(times == 1, "`{args}` was told of {times} times");
        }
        Ok(())
    }
}
