use std::{
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use wanglou_testkit::{
    fleet::Fleet,
    lock, root_or_skip,
    service::{READY, Service},
    storm, sys,
};

use crate::truth::{Truth, wait, wait_closed};
use crate::{spooled, start};

const KILLED: usize = 6;

/// Whatever was on its way is lost with it, and counted.
#[test]
fn a_worker_that_is_killed_in_a_storm_leaves_its_books() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let replica = fleet.replica("one")?;
    let mut service = start(&fleet, &replica, &[])?;
    let mut storm = storm::start(12_000, 2)?;
    for n in 1..=KILLED {
        thread::sleep(Duration::from_millis(300 + 170 * n as u64));
        sys::kill(service.worker()?, libc::SIGKILL)?;
        service.wait_for(READY, n + 1)?;
    }
    if storm.is_running()? {
        thread::sleep(Duration::from_millis(500));
    }
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    storm.finish()?;
    wait_closed(&replica.ingest, KILLED + 1)?;
    let truth = Truth::of(&replica.ingest)?;
    truth.balances()?;
    ensure!(truth.runs.len() == KILLED + 1, "{} runs", truth.runs.len());
    println!("{} events stored, lost: {}", truth.events.len(), truth.lost_at_all());
    ensure!(truth.execs_of_storms() > 0, "nothing arrived");
    Ok(())
}

/// The next one finds what it has kept, closes its books, and tells of the time in which nobody watched.
#[test]
fn a_supervisor_that_is_killed_in_a_storm_leaves_all_that_it_has_kept() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let replica = fleet.replica("one")?;
    let storm = storm::start(12_000, 2)?;
    let mut killed = Vec::new();
    for n in 1..=KILLED {
        let service = start(&fleet, &replica, &[])?;
        thread::sleep(Duration::from_millis(300 + 330 * n as u64));
        killed.push(SystemTime::now());
        kill(service)?;
    }
    let service = start(&fleet, &replica, &[])?;
    wait_closed(&replica.ingest, KILLED).with_context(|| service.told().unwrap_or_default())?;
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    storm.finish()?;
    wait_closed(&replica.ingest, KILLED + 1)?;
    let truth = Truth::of(&replica.ingest)?;
    truth.balances()?;
    ensure!(truth.runs.len() == KILLED + 1, "{} runs", truth.runs.len());
    println!("{} events stored, lost: {}", truth.events.len(), truth.lost_at_all());
    // Those of the last run, which know since when nobody works.
    ensure!(spooled(&fleet.state, "books") == 1, "there are other books than the last");
    for at in killed {
        let gaps = truth.gaps();
        let covers = |(start, end): &(SystemTime, SystemTime)| (*start..*end).contains(&at);
        ensure!(gaps.iter().any(covers), "no gap tells of {at:?}: {gaps:?}");
    }
    Ok(())
}

/// One that is killed while nobody works, as its worker was killed before.
#[test]
fn a_pause_in_which_the_supervisor_is_killed_too_is_told_of() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let replica = fleet.replica("one")?;
    let service = start(&fleet, &replica, &[])?;
    thread::sleep(Duration::from_secs(2));
    let at = SystemTime::now();
    sys::kill(service.worker()?, libc::SIGKILL)?;
    wait("closed books", || Ok(service.told()?.contains("[WL1001]")))?;
    kill(service)?;
    let (status, _) = start(&fleet, &replica, &[])?.stop()?;
    ensure!(status.success(), "it ended with {status}");
    wait_closed(&replica.ingest, 2)?;
    let truth = Truth::of(&replica.ingest)?;
    truth.balances()?;
    let gaps = truth.gaps();
    let covers = |(start, end): &(SystemTime, SystemTime)| (*start..*end).contains(&at);
    ensure!(gaps.iter().any(covers), "no gap tells of {at:?}: {gaps:?}");
    Ok(())
}

fn kill(service: Service) -> Result<()> {
    sys::kill(service.pid(), libc::SIGKILL)?;
    // It is waited for as it is dropped.
    drop(service);
    Ok(())
}
