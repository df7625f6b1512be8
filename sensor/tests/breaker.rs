//! A sensor that costs more than it may stops itself, and comes back when it can be carried.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use wanglou_testkit::{
    event::{action, field},
    lock, proc, root_or_skip,
    service::{READY, Service, balanced, by_run},
    storm, sys,
};

const OPEN: &str = "breaker open: ";
const CLOSED: &str = "breaker closed: ";

#[test]
fn it_rests_while_the_host_cannot_carry_it() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let mut service = Service::start(&[
        "sensor.backend=ebpf",
        "budget.cpu_percent=0.8",
        "budget.samples=3",
        "budget.cooldown_seconds=1",
    ])?;
    let programs = proc::programs_held(service.worker()?)?;
    let mut storm = storm::start(100_000, 2)?;
    service.wait_for(OPEN, 1)?;
    for program in programs {
        gone(program)?;
    }
    // It comes back, finds the same, and rests for longer each time.
    service.wait_for(OPEN, 3)?;
    for rest in ["at rest for 1s", "at rest for 2s", "at rest for 4s"] {
        let told = service.told()?;
        ensure!(told.matches(rest).count() == 1, "no {rest:?}: {told}");
    }
    ensure!(storm.is_running()?, "the storm was over too soon");
    storm.finish()?;
    service.wait_for(CLOSED, 1)?;
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");

    let runs = by_run(&lines)?;
    ensure!(runs.len() >= 4, "{} runs", runs.len());
    for (n, run) in runs.iter().enumerate() {
        balanced(run)?;
        // The time in which nobody looked is told by who came next.
        let gap = run.iter().find(|line| action(line) == "gap");
        ensure!(n == 0 || gap.is_some(), "no gap in run {n}");
    }
    Ok(())
}

/// Waits until the kernel has no such program any more.
fn gone(program: u32) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(10);
    while sys::program_exists(program)? {
        ensure!(Instant::now() < until, "a probe is still there");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Nothing happens, and it is still there.
#[test]
fn at_rest_it_costs_next_to_nothing() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let mut service =
        Service::start(&["sensor.backend=ebpf", "budget.samples=2", "budget.cpu_percent=1"])?;
    thread::sleep(Duration::from_secs(6));
    service.wait_for(READY, 1)?;
    let told = service.told()?;
    ensure!(!told.contains(OPEN), "{told}");
    let (_, lines) = service.stop()?;
    let last = lines.last().context("no lines")?;
    ensure!(field(last, "wanglou.ledger").is_some(), "no last ledger: {last}");
    Ok(())
}
