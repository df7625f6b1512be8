//! `run` joined to a fleet: what a replica hears, and what becomes of the sensor when there is none.

use std::{
    fs, thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use wanglou_api::sensor::v1::{
    Drain, Endpoints, Heartbeat, Probe, control_response::Message, goodbye::Reason,
    heartbeat::State,
};
use wanglou_testkit::{
    fleet::Fleet,
    lock, proc,
    replica::Replica,
    root_or_skip,
    service::{READY, Service},
    sys, telemetry,
};

const SIGKILL: i32 = 9;
const OWN: [&str; 2] = ["sensor.backend=ebpf", "budget.cpu_percent=10000"];

fn start(fleet: &Fleet, endpoints: &str, others: &[&str]) -> Result<Service> {
    let settings = fleet.settings(endpoints, &[&OWN, others].concat());
    Service::start(&settings.iter().map(String::as_str).collect::<Vec<_>>())
}

fn at(replica: &Replica) -> String {
    replica.address.to_string()
}

#[test]
fn a_replica_hears_who_the_sensor_is_and_how() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let fleet = Fleet::new()?;
    let mut replica = fleet.replica("one")?;
    // A name, which the host's own files know.
    let by_name = format!("localhost:{}", replica.address.port());
    let service = start(&fleet, &by_name, &["telemetry.listen=127.0.0.1:0"])?;

    let hello = replica.hello()?;
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    ensure!(hello.boot_id == boot_id.trim(), "{hello:?}");
    ensure!(hello.instance_id.len() == 16 && hello.configuration_hash.len() == 16, "{hello:?}");
    ensure!(!hello.hostname.is_empty() && !hello.kernel_release.is_empty(), "{hello:?}");
    ensure!(hello.last_order.is_none(), "{hello:?}");
    let local: SystemTime = hello.local_time.context("no time")?.try_into()?;
    ensure!(local.elapsed()? < Duration::from_secs(60), "{hello:?}");

    let working = replica.heartbeat(|it| it.state() == State::Working && it.ledger.is_some())?;
    ensure!(working.run_id.is_some() && working.reason.is_empty(), "{working:?}");
    ensure!((4 << 20..64 << 20).contains(&working.memory_bytes), "{working:?}");
    ensure!(working.modules.len() == 3, "{working:?}");
    ensure!(working.configuration_hash == hello.configuration_hash, "{working:?}");
    let ledger = working.ledger.context("no ledger")?;
    let lost: u64 = ledger.dropped.values().sum();
    ensure!(ledger.produced > 0, "nothing is there: {ledger:?}");
    ensure!(ledger.produced == ledger.delivered + lost + ledger.in_flight, "{ledger:?}");

    // Whoever asks is answered at once, however long the interval is.
    replica.welcome(|welcome| {
        welcome.heartbeat_interval = Some(prost_types::Duration { seconds: 600, nanos: 0 });
    });
    replica.break_off();
    replica.hello()?;
    replica.heartbeat(|_| true)?;
    replica.say(Message::Probe(Probe {}))?;
    replica.heartbeat(|_| true)?;
    // And nobody has to ask how it is when that changes.
    sys::kill(service.worker()?, SIGKILL)?;
    let again = |it: &Heartbeat| it.state() == State::Working && it.run_id != working.run_id;
    replica.heartbeat(again)?;

    let address = telemetry::address(&service)?;
    let metrics = telemetry::get(address, "/metrics")?.text();
    for line in [
        "wanglou_sensor_control_connected 1",
        "wanglou_sensor_control_connects_total 2",
        "wanglou_sensor_control_order_epoch 0",
    ] {
        ensure!(metrics.lines().any(|it| it == line), "no {line}: {metrics}");
    }
    let status = telemetry::get(address, "/status")?.text();
    ensure!(status.contains("\"replica\": \"one\""), "{status}");
    ensure!(service.told()?.contains("host a of the fleet blue: joined"), "{}", service.told()?);

    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    ensure!(replica.goodbye()?.reason() == Reason::Ended, "{:?}", replica.log);
    Ok(())
}

#[test]
fn without_a_replica_the_sensor_goes_on_and_finds_one_that_comes() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let fleet = Fleet::new()?;
    let mut replica = fleet.replica("one")?;
    // Nobody listens at the first two.
    let endpoints = format!("127.0.0.1:1,nowhere.invalid:1,{}", replica.address);
    let service = start(&fleet, &endpoints, &[])?;
    let first = replica.hello()?;
    for _ in 0..3 {
        replica.break_off();
        ensure!(replica.hello()?.instance_id == first.instance_id, "it is another one");
    }
    ensure!(service.told()?.matches(READY).count() == 1, "{}", service.told()?);
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

#[test]
fn files_that_are_wrong_stop_nobody_from_working() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let (fleet, other) = (Fleet::new()?, Fleet::new()?);
    let mut replica = fleet.replica("one")?;
    let certificate = other.pki.issue("spiffe://blue/host/a")?.certificate;
    let wrong = format!("control.certificate={}", certificate.display());
    let mut service = start(&fleet, &at(&replica), &[&wrong])?;
    // The key is not that of the certificate.
    service.wait_for("the fleet is out of reach: ", 1)?;
    ensure!(service.worker().is_ok(), "nobody works");
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");

    // One of another authority.
    let key = other.scratch().join("pki").join("spiffe---blue-host-a.key.pem");
    let both = [wrong, format!("control.key={}", key.display())];
    let mut service = start(&fleet, &at(&replica), &both.each_ref().map(String::as_str))?;
    service.wait_for("no stream to ", 1)?;
    ensure!(service.worker().is_ok(), "nobody works");
    service.stop()?;

    // A host that pretends to be a replica.
    let thief = Replica::start(&other.pki, "two")?;
    let mut service = start(&fleet, &at(&thief), &[])?;
    service.wait_for("[WL4003]", 1)?;
    service.stop()?;
    ensure!(replica.streams() == 0 && thief.streams() == 0, "somebody was welcome");
    let service = start(&fleet, &at(&replica), &[])?;
    replica.hello()?;
    service.stop()?;
    Ok(())
}

#[test]
fn a_host_by_whose_clock_nothing_is_valid_yet_is_within_reach() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    // To a clock of 1970 it is 1971.
    let later = SystemTime::now() + Duration::from_secs(365 * 86_400);
    let fleet = Fleet::new_at(later)?;
    let mut replica = Replica::start_at(&fleet.pki, "one", later)?;
    let service = start(&fleet, &at(&replica), &[])?;
    replica.heartbeat(|it| it.state() == State::Working)?;
    service.stop()?;
    Ok(())
}

#[test]
fn a_replica_that_goes_is_left_for_another() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let fleet = Fleet::new()?;
    let (mut one, mut two) = (fleet.replica("one")?, fleet.replica("two")?);
    let service = start(&fleet, &at(&one), &[])?;
    one.hello()?;
    one.say(Message::Endpoints(Endpoints { addresses: vec![at(&one), at(&two)] }))?;
    one.say(Message::Drain(Drain {
        within: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
    }))?;
    ensure!(one.goodbye()?.reason() == Reason::Moves, "{:?}", one.log);
    two.hello()?;

    // It is remembered where else there are some.
    two.welcome(|welcome| {
        welcome.max_connection_age = Some(prost_types::Duration { seconds: 2, nanos: 0 });
    });
    two.break_off();
    service.stop()?;
    let service = start(&fleet, &at(&one), &[])?;
    one.hello()?;
    drop(one);
    two.hello()?;
    ensure!(two.goodbye()?.reason() == Reason::Moves, "it grew old: {:?}", two.log);
    two.hello()?;
    service.stop()?;
    Ok(())
}

#[test]
fn a_replica_that_is_busy_is_left_alone_for_as_long_as_it_says() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let fleet = Fleet::new()?;
    let mut replica = fleet.replica("one")?;
    replica.be_busy(2, Duration::from_secs(2));
    let began = Instant::now();
    let service = start(&fleet, &at(&replica), &[])?;
    replica.hello()?;
    ensure!(replica.refused() == 2, "{} were told", replica.refused());
    ensure!(began.elapsed() >= Duration::from_secs(4), "it came after {:?}", began.elapsed());
    service.stop()?;
    Ok(())
}

/// What the whole service costs, the link included.
#[test]
fn a_link_costs_little() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    /// Both processes, kB.
    const LIMIT_KB: u64 = 15 * 1024;
    let _turn = lock::alone()?;
    let fleet = Fleet::new()?;
    let mut replica = fleet.replica("one")?;
    replica.welcome(|welcome| {
        welcome.heartbeat_interval = Some(prost_types::Duration { seconds: 10, nanos: 0 });
    });
    let service = start(&fleet, &at(&replica), &[])?;
    replica.heartbeat(|it| it.state() == State::Working)?;
    let of = |pid| proc::status_kb(pid, "VmRSS:").context("it is gone");
    let mut both = Vec::new();
    for _ in 0..20 {
        thread::sleep(Duration::from_secs(1));
        both.push((of(service.pid())?, of(service.worker()?)?));
    }
    both.sort_by_key(|(supervisor, worker)| supervisor + worker);
    let (supervisor, worker) = both[both.len() / 2];
    println!("VmRSS: supervisor {supervisor} kB, worker {worker} kB; all: {both:?}");
    ensure!(supervisor + worker <= LIMIT_KB, "{supervisor} + {worker} kB");
    service.stop()?;
    Ok(())
}
