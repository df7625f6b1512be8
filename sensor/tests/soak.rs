//! For long: memory stays what it is, and the books balance to the last event.

use std::{env, fs, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use wanglou_testkit::{
    event::{action, field},
    ledger, lock, root_or_skip,
    scratch::Scratch,
    service::{Service, lines},
    soak::Soak,
    telemetry,
};

/// Both processes together, bytes.
const MOST: u64 = 15_000_000;
/// What the second half may have more than the first one.
const GROWTH: f64 = 1.03;
/// What two profiles may differ by, bytes: of 1.3 MB one in 64 KiB is sampled, so that 0.4 MB is one deviation.
const NOISE: i64 = 1_000_000;

/// An hour; `WANGLOU_SOAK_MINUTES` for another time, `WANGLOU_SOAK_PICTURE` for a picture of it in a file.
#[test]
#[ignore = "takes an hour: part of `cargo xtask test --nightly`"]
fn an_hour_of_fifty_namespaces_leaves_no_trace_in_memory() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let minutes: u64 = env::var("WANGLOU_SOAK_MINUTES").map_or(Ok(60), |text| text.parse())?;
    let soak = Soak { namespaces: 50, per_second: 10, time: Duration::from_secs(minutes * 60) };
    let scratch = Scratch::new("soak")?;
    let file = scratch.join("events.json");
    let service = Service::start(&[
        "sensor.backend=ebpf",
        "budget.cpu_percent=10000",
        "output.stdout.enabled=false",
        &format!("output.file.path={}", file.display()),
        "output.file.max_bytes=16777216",
        "output.file.keep=3",
        "telemetry.listen=127.0.0.1:0",
    ])?;
    let address = telemetry::address(&service)?;
    let mut heaps = Vec::new();
    let course = soak.run(&service, |point| {
        if point.at.as_secs() % 60 == 0 {
            let (seconds, kb) = (point.at.as_secs(), point.both_kb());
            eprintln!("after {seconds} s: {kb} kB");
        }
        let (seconds, time) = (point.at.as_secs(), minutes * 60);
        if heaps.len() < 2 && seconds >= [time / 4, time - 10][heaps.len()] {
            let profile = telemetry::profile(address, "/debug/pprof/heap?process=worker")?;
            heaps.push(profile.total(1));
        }
        Ok(())
    })?;
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    let lines = lines(&file)?;
    let last = lines.last().filter(|line| action(line) == "ledger").context("no last ledger")?;
    let part = |name: &str| ledger::counts(field(last, &format!("wanglou.ledger.{name}")));
    let (produced, delivered) = (part("produced")?, part("delivered")?);
    ensure!(produced == delivered, "lost: {last}");
    ensure!(produced["exec"] >= course.spawned, "{} made: {last}", course.spawned);
    if let Some(picture) = env::var_os("WANGLOU_SOAK_PICTURE") {
        fs::write(picture, course.svg(MOST as f64 / 1e6))?;
    }
    let (before, after) = (course.most_kb(0.05, 0.5), course.most_kb(0.5, 1.0));
    let [early, late] = heaps[..] else { bail!("not two profiles: {heaps:?}") };
    println!(
        "{} processes; at most {before} kB, then {after} kB; of the worker's heap {early} bytes were in use, \
         then {late}",
        course.spawned
    );
    ensure!(late - early < NOISE, "the heap grew from {early} to {late} bytes");
    ensure!(after * 1024 < MOST, "{after} kB are too much");
    ensure!(after as f64 <= before as f64 * GROWTH, "it grew from {before} kB to {after} kB");
    Ok(())
}
