use anyhow::{Result, ensure};
use wanglou_testkit::{fleet::Fleet, lock, root_or_skip, storm};

use crate::truth::{Truth, wait_closed};
use crate::{spooled, start};

const TOTAL: u64 = 8_000;

/// All of it, once, and nothing is left behind.
#[test]
fn a_storm_arrives() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let replica = fleet.replica("one")?;
    let service = start(&fleet, &replica, &[])?;
    storm::run(TOTAL, 2)?;
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    wait_closed(&replica.ingest, 1)?;

    let truth = Truth::of(&replica.ingest)?;
    truth.balances()?;
    ensure!(truth.lost_at_all() == 0, "lost: {:?}", truth.runs);
    let execs = truth.execs_of_storms() as u64;
    ensure!(execs == TOTAL, "{execs} of {TOTAL} arrived");
    // Those of the last run, which know since when nobody works.
    ensure!(spooled(&fleet.state, "books") == 1, "there are other books than the last");
    Ok(())
}

/// Two workers, one after the other.
#[test]
fn each_run_is_closed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let replica = fleet.replica("one")?;
    for _ in 0..2 {
        let service = start(&fleet, &replica, &[])?;
        storm::run(100, 1)?;
        service.stop()?;
    }
    wait_closed(&replica.ingest, 2)?;
    let truth = Truth::of(&replica.ingest)?;
    truth.balances()?;
    ensure!(truth.execs_of_storms() == 200, "{} of 200 arrived", truth.execs_of_storms());
    Ok(())
}
