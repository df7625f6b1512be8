use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use wanglou_api::sensor::v1::{Limits, publish_request::Record};
use wanglou_testkit::{
    disk::SmallDisk, fleet::Fleet, ingest::Answer, lock, root_or_skip, storm, telemetry,
};

use crate::truth::{Truth, wait, wait_closed};
use crate::{spooled, start};

const MB: u64 = 1 << 20;

/// What comes meanwhile is kept, also over a restart of the service, and told once there is a replica again.
#[test]
fn a_replica_that_is_away_misses_nothing() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let replica = fleet.replica("one")?;
    replica.ingest.limits(None);
    let service = start(&fleet, &replica, &[])?;
    storm::run(3_000, 2)?;
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    ensure!(spooled(&fleet.state, "spool") > 0, "nothing is kept");
    ensure!(replica.ingest.stored() == 0, "who knows of no telemetry has some");

    let service = start(&fleet, &replica, &[])?;
    storm::run(1_000, 2)?;
    replica.ingest.limits(Some(limits(256 << 10)));
    // With the next stream.
    replica.break_off();
    wait_closed(&replica.ingest, 1)?;
    service.stop()?;
    // What the end of the service has left.
    let service = start(&fleet, &replica, &[])?;
    wait_closed(&replica.ingest, 2)?;
    service.stop()?;
    wait_closed(&replica.ingest, 3)?;
    let truth = Truth::of(&replica.ingest)?;
    truth.balances()?;
    ensure!(truth.execs_of_storms() == 4_000, "{} arrived", truth.execs_of_storms());
    ensure!(truth.lost_at_all() == 0, "lost: {:?}", truth.runs);
    Ok(())
}

/// Answers that were not heard, streams that break: stored once, whatever is told again.
#[test]
fn what_has_no_answer_is_told_again_and_counts_once() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let replica = fleet.replica("one")?;
    let mut n = 0;
    replica.ingest.answer(move |_| {
        n += 1;
        if n % 3 == 0 { Answer::StoreSilently } else { Answer::Store }
    });
    let service = start(&fleet, &replica, &[])?;
    for _ in 0..4 {
        storm::run(500, 2)?;
        replica.break_off();
        thread::sleep(Duration::from_millis(700));
    }
    replica.ingest.answer(|_| Answer::Store);
    replica.break_off();
    let streams = replica.ingest.streams();
    wait("stream", || Ok(replica.ingest.streams() > streams))?;
    service.stop()?;
    wait_closed(&replica.ingest, 1)?;
    let truth = Truth::of(&replica.ingest)?;
    truth.balances()?;
    ensure!(truth.execs_of_storms() == 2_000, "{} arrived", truth.execs_of_storms());
    let ids = replica.ingest.records().len();
    println!("{ids} records came");
    Ok(())
}

/// The oldest goes first, and each batch of it is told of as lost.
#[test]
fn what_a_spool_has_no_room_for_is_told_as_lost() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let replica = fleet.replica("one")?;
    replica.ingest.limits(None);
    let service = start(&fleet, &replica, &["uplink.spool_bytes=4194304"])?;
    let full = || -> Result<u64> {
        let files = fs::read_dir(fleet.state.join("spool"))?.flatten();
        Ok(files.filter_map(|file| Some(file.metadata().ok()?.len())).sum())
    };
    let until = Instant::now() + Duration::from_secs(120);
    let mut most = 0;
    for _ in 0..40 {
        storm::run(4_000, 2)?;
        let now = full()?;
        if now < most || Instant::now() > until {
            break;
        }
        most = now;
    }
    ensure!(most <= 5 * MB, "{most} bytes lie there");
    replica.ingest.limits(Some(limits(256 << 10)));
    replica.break_off();
    wait("stream", || Ok(replica.ingest.streams() > 0))?;
    wait("room in the spool", || Ok(full()? < MB))?;
    service.stop()?;
    wait_closed(&replica.ingest, 1)?;
    let truth = Truth::of(&replica.ingest)?;
    truth.balances()?;
    ensure!(truth.lost("spool_full") > 0, "nothing was lost: {:?}", truth.runs);
    Ok(())
}

/// It does not blind the fleet: what fits into memory arrives, the rest is told as lost, and that ends by itself.
#[test]
fn a_full_disk_is_in_the_books() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let disk = SmallDisk::new(4 * MB)?;
    let replica = fleet.replica("one")?;
    let state = format!("sensor.state_directory={}", disk.join("state").display());
    let filler = disk.fill(0)?;
    let mut service = start(&fleet, &replica, &[&state])?;
    service.wait_for("[WL4101]", 1)?;
    storm::run(1_000, 2)?;
    wait("batch", || Ok(replica.ingest.stored() > 3))?;
    fs::remove_file(filler)?;
    service.wait_for("[WL4102]", 1)?;
    storm::run(1_000, 2)?;
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    wait_closed(&replica.ingest, 1)?;
    let truth = Truth::of(&replica.ingest)?;
    truth.balances()?;
    ensure!(truth.execs_of_storms() == 2_000, "{} arrived", truth.execs_of_storms());
    Ok(())
}

#[test]
fn what_a_replica_refuses_is_told_as_lost() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let replica = fleet.replica("one")?;
    let refused = |record: &Record| matches!(record, Record::Batch(batch) if batch.number == 2);
    replica.ingest.answer(move |it| if refused(it) { Answer::Refuse } else { Answer::Store });
    let mut service = start(&fleet, &replica, &["telemetry.listen=127.0.0.1:0"])?;
    storm::run(2_000, 2)?;
    service.wait_for("[WL4110]", 1)?;
    let metrics = telemetry::get(telemetry::address(&service)?, "/metrics")?.text();
    let line = "wanglou_sensor_uplink_records_refused_total 1";
    ensure!(metrics.lines().any(|it| it == line), "no {line}: {metrics}");
    service.stop()?;
    wait_closed(&replica.ingest, 1)?;
    let truth = Truth::of(&replica.ingest)?;
    truth.balances()?;
    ensure!(replica.ingest.refused().len() == 1, "{:?}", replica.ingest.refused());
    ensure!(truth.lost("output_failed") > 0, "{:?}", truth.runs);
    Ok(())
}

/// One that takes nothing, for ever: the sensor neither spins nor waits for it at its end.
#[test]
fn limits_that_are_lies_cost_nothing() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let forever = prost_types::Duration { seconds: i64::MAX, nanos: 0 };
    let paused = Limits { pause: Some(forever), ..limits(256 << 10) };
    for lie in [limits(0), paused, Limits { bytes_per_second: 1, ..limits(1) }] {
        let fleet = Fleet::new()?;
        let replica = fleet.replica("one")?;
        replica.ingest.limits(Some(lie));
        let service = start(&fleet, &replica, &[])?;
        storm::run(200, 1)?;
        wait("stream", || Ok(replica.ingest.streams() > 0))?;
        let ticks = |pid: u32| -> Result<u64> {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
            let numbers = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
            Ok(numbers.skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum())
        };
        let before = ticks(service.pid())?;
        thread::sleep(Duration::from_secs(3));
        let spent = ticks(service.pid())? - before;
        ensure!(spent < 30, "{spent} ticks in 3 s under {lie:?}");
        let began = Instant::now();
        let (status, _) = service.stop()?;
        ensure!(status.success(), "it ended with {status}");
        ensure!(began.elapsed() < Duration::from_secs(6), "its end took {:?}", began.elapsed());
    }
    Ok(())
}

/// Half a record at the end of a segment, and one that is damaged in the middle of another.
#[test]
fn a_damaged_spool_is_told_as_far_as_it_can_be_read() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let replica = fleet.replica("one")?;
    replica.ingest.limits(None);
    let service = start(&fleet, &replica, &[])?;
    storm::run(4_000, 2)?;
    service.stop()?;
    let mut segments: Vec<_> = fs::read_dir(fleet.state.join("spool"))?
        .map(|entry| Ok(entry?.path()))
        .filter(|path: &std::io::Result<_>| {
            path.as_ref().is_ok_and(|it| it.extension().is_some_and(|it| it == "spool"))
        })
        .collect::<std::io::Result<_>>()?;
    segments.sort();
    let mut bytes = fs::read(&segments[0])?;
    // The head of the second record, whose place is known by how each begins.
    let second = bytes.windows(4).enumerate().filter(|(_, it)| it == b"WLR1").nth(1);
    let (second, _) = second.unwrap_or_default();
    ensure!(second > 0, "there is no second record");
    bytes[second + 30] ^= 0xff;
    bytes.extend_from_slice(b"WLR1 and not a whole one");
    fs::write(&segments[0], bytes)?;

    replica.ingest.limits(Some(limits(256 << 10)));
    let mut service = start(&fleet, &replica, &[])?;
    service.wait_for("[WL4103]", 1)?;
    wait_closed(&replica.ingest, 1).with_context(|| service.told().unwrap_or_default())?;
    service.stop()?;
    wait_closed(&replica.ingest, 2)?;
    let truth = Truth::of(&replica.ingest)?;
    truth.balances()?;
    ensure!(truth.lost("output_failed") > 0, "{:?}", truth.runs);
    Ok(())
}

fn limits(window_bytes: u32) -> Limits {
    Limits { max_content_bytes: 1 << 20, window_bytes, bytes_per_second: 0, pause: None }
}
