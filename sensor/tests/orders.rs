//! Orders and commands of a fleet, given by whoever may and by whoever may not.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use wanglou_api::order::v1::{Order, Selector, SignedOrder, order::Kind};
use wanglou_api::sensor::v1::{
    Command, SetLogLevel, SetModule, Snapshot,
    command::Action,
    control_response::Message,
    heartbeat::State,
    order_receipt::{Refusal, Stage},
};
use wanglou_testkit::{
    event::action,
    fleet::Fleet,
    lock,
    pki::{order, sign},
    proc,
    replica::Replica,
    root_or_skip,
    service::{READY, Service, balanced, by_run},
    sys, telemetry,
};

const OWN: [&str; 2] = ["sensor.backend=ebpf", "budget.cpu_percent=10000"];
const STOPPED: &str = "stopped by order 7 of ops: a fire";
const NONE: Refusal = Refusal::Unspecified;

fn launch(fleet: &Fleet, replica: &Replica, others: &[&str]) -> Result<Service> {
    let endpoints = replica.address.to_string();
    let settings = fleet.settings(&endpoints, &[&OWN, others].concat());
    Service::launch(&settings.iter().map(String::as_str).collect::<Vec<_>>(), |_| ())
}

fn start(fleet: &Fleet, replica: &Replica, others: &[&str]) -> Result<Service> {
    let mut service = launch(fleet, replica, others)?;
    service.wait_for(READY, 1)?;
    Ok(service)
}

fn give(replica: &Replica, order: SignedOrder) -> Result<()> {
    replica.say(Message::Order(order))
}

#[test]
fn a_stop_is_obeyed_remembered_and_ended_by_a_start() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let fleet = Fleet::new()?;
    let mut replica = fleet.replica("one")?;
    let mut service = start(&fleet, &replica, &["telemetry.listen=127.0.0.1:0"])?;
    replica.heartbeat(|it| it.state() == State::Working)?;
    let programs = proc::programs_held(service.worker()?)?;
    ensure!(!programs.is_empty(), "there are no probes");

    let stop = sign(&fleet.stop, &order(Kind::Stop, 7));
    give(&replica, stop.clone())?;
    ensure!(replica.receipt()? == (7, Stage::Received, NONE), "{:?}", replica.log);
    ensure!(fleet.state.join("order").exists(), "it is not kept");
    ensure!(replica.receipt()? == (7, Stage::Detached, NONE), "{:?}", replica.log);
    ensure!(service.worker().is_err(), "somebody works");
    // The kernel takes a moment (RCU) to forget a program that is attached to nothing.
    let until = Instant::now() + Duration::from_secs(20);
    for program in programs {
        while sys::program_exists(program)? {
            ensure!(Instant::now() < until, "the program {program} is still there");
            thread::sleep(Duration::from_millis(50));
        }
    }
    let stopped = replica.heartbeat(|it| it.state() == State::Stopped)?;
    ensure!(stopped.reason == STOPPED && stopped.run_id.is_none(), "{stopped:?}");
    let address = telemetry::address(&service)?;
    ensure!(telemetry::get(address, "/healthz")?.code == 200, "that is no illness");
    ensure!(telemetry::get(address, "/readyz")?.text().trim() == STOPPED, "it is ready");

    // Once more is acknowledged once more.
    give(&replica, stop.clone())?;
    ensure!(replica.receipt()? == (7, Stage::Received, NONE), "{:?}", replica.log);
    ensure!(replica.receipt()? == (7, Stage::Detached, NONE), "{:?}", replica.log);
    // Another stream hears it too.
    replica.break_off();
    ensure!(replica.hello()?.last_order == Some(stop.clone()), "{:?}", replica.log);
    ensure!(replica.receipt()? == (7, Stage::Received, NONE), "{:?}", replica.log);
    ensure!(replica.receipt()? == (7, Stage::Detached, NONE), "{:?}", replica.log);
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");

    service = launch(&fleet, &replica, &[])?;
    ensure!(replica.hello()?.last_order == Some(stop), "it has forgotten");
    ensure!(replica.receipt()? == (7, Stage::Received, NONE), "{:?}", replica.log);
    ensure!(replica.receipt()? == (7, Stage::Detached, NONE), "{:?}", replica.log);
    replica.heartbeat(|it| it.state() == State::Stopped)?;
    ensure!(!service.told()?.contains(READY), "it works: {}", service.told()?);
    ensure!(service.worker().is_err(), "somebody works");

    give(&replica, sign(&fleet.operator, &order(Kind::Start, 8)))?;
    ensure!(replica.receipt()? == (8, Stage::Received, NONE), "{:?}", replica.log);
    ensure!(replica.receipt()? == (8, Stage::Started, NONE), "{:?}", replica.log);
    replica.heartbeat(|it| it.state() == State::Working)?;
    service.wait_for(READY, 1)?;
    let (status, lines) = service.stop()?;
    ensure!(status.success() && !lines.is_empty(), "it ended with {status}");
    Ok(())
}

#[test]
fn what_nobody_may_order_changes_nothing() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let fleet = Fleet::new()?;
    let mut replica = fleet.replica("one")?;
    replica.welcome(|it| {
        it.labels = [("project".to_owned(), "web".to_owned())].into();
        it.labels_known = true;
    });
    let service = start(&fleet, &replica, &["telemetry.listen=127.0.0.1:0"])?;
    replica.heartbeat(|it| it.state() == State::Working)?;
    let worker = service.worker()?;

    let (stop, start) = (order(Kind::Stop, 7), order(Kind::Start, 7));
    let selector = |hosts: &[&str], project: &str| {
        Some(Selector {
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            labels: [("project".to_owned(), project.to_owned())].into(),
        })
    };
    let (thief, _) = fleet.pki.order_key("thief")?;
    let mut forged = sign(&fleet.stop, &stop);
    forged.order[3] ^= 1;
    let of = |order: Order| sign(&fleet.operator, &order);
    let cases = [
        (forged, Refusal::Signature),
        (sign(&thief, &stop), Refusal::Signature),
        (sign(&fleet.stop, &start), Refusal::Signature),
        (of(Order { fleet: "red".to_owned(), ..stop.clone() }), Refusal::Fleet),
        (of(Order { selector: selector(&["b"], "web"), ..stop.clone() }), Refusal::Selector),
        (of(Order { selector: selector(&["a"], "db"), ..stop.clone() }), Refusal::Selector),
        (of(Order { selector: None, ..stop.clone() }), Refusal::Malformed),
        (fleet.operator.sign(vec![0xff; 100]), Refusal::Malformed),
    ];
    for (signed, why) in cases {
        give(&replica, signed)?;
        let (_, stage, refusal) = replica.receipt()?;
        ensure!((stage, refusal) == (Stage::Refused, why), "{refusal:?}, not {why:?}");
    }
    give(&replica, of(start))?;
    ensure!(replica.receipt()? == (7, Stage::Received, NONE), "{:?}", replica.log);
    ensure!(replica.receipt()? == (7, Stage::Started, NONE), "{:?}", replica.log);
    // One of before, said again.
    give(&replica, sign(&fleet.stop, &order(Kind::Stop, 6)))?;
    ensure!(replica.receipt()? == (6, Stage::Refused, Refusal::Epoch), "{:?}", replica.log);
    ensure!(service.worker()? == worker, "the worker has changed");

    for (reason, count) in
        [("signature", 3), ("fleet", 1), ("selector", 2), ("malformed", 2), ("epoch", 1)]
    {
        let counted = refused(&service, reason)?;
        ensure!(counted == count, "{reason}: {counted}, not {count}");
    }
    give(&replica, of(Order { selector: selector(&["b", "a"], "web"), ..stop }))?;
    ensure!(replica.receipt()? == (7, Stage::Received, NONE), "{:?}", replica.log);
    ensure!(replica.receipt()? == (7, Stage::Detached, NONE), "{:?}", replica.log);
    service.stop()?;
    Ok(())
}

#[test]
fn what_was_obeyed_once_is_refused_when_it_is_replayed() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let fleet = Fleet::new()?;
    let mut replica = fleet.replica("one")?;
    let telemetry = ["telemetry.listen=127.0.0.1:0"];
    let service = start(&fleet, &replica, &telemetry)?;
    replica.heartbeat(|it| it.state() == State::Working)?;
    let (stop, again) = (sign(&fleet.stop, &order(Kind::Stop, 7)), order(Kind::Stop, 9));
    let start = sign(&fleet.operator, &order(Kind::Start, 8));
    obeys(&mut replica, stop.clone(), 7, Stage::Detached)?;
    obeys(&mut replica, start.clone(), 8, Stage::Started)?;
    // Whoever has heard both cannot stop it with the first, nor end a later stop with the second.
    give(&replica, stop.clone())?;
    ensure!(replica.receipt()? == (7, Stage::Refused, Refusal::Epoch), "{:?}", replica.log);
    ensure!(service.worker().is_ok(), "nobody works");
    obeys(&mut replica, sign(&fleet.stop, &again), 9, Stage::Detached)?;
    give(&replica, start.clone())?;
    ensure!(replica.receipt()? == (8, Stage::Refused, Refusal::Epoch), "{:?}", replica.log);
    ensure!(service.worker().is_err(), "somebody works");
    ensure!(refused(&service, "epoch")? == 2, "another number is counted");
    service.stop()?;

    // Nor once it has been started again.
    let service = launch(&fleet, &replica, &telemetry)?;
    replica.heartbeat(|it| it.state() == State::Stopped)?;
    for (signed, epoch) in [(stop, 7), (start, 8)] {
        give(&replica, signed)?;
        while replica.receipt()? != (epoch, Stage::Refused, Refusal::Epoch) {}
    }
    ensure!(service.worker().is_err(), "somebody works");
    ensure!(refused(&service, "epoch")? == 2, "another number is counted");
    service.stop()?;
    Ok(())
}

/// No clock decides whether an order counts: a host that has lost its battery is not immune, nor easier to fool.
#[test]
fn a_host_whose_clock_is_in_1970_obeys_and_refuses_as_others_do() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    // Everybody else lives as much later than this host as 2026 is later than 1970.
    let later = SystemTime::now() + Duration::from_secs(56 * 365 * 86_400);
    let fleet = Fleet::new_at(later)?;
    let mut replica = Replica::start_at(&fleet.pki, "one", later)?;
    let service = start(&fleet, &replica, &["telemetry.listen=127.0.0.1:0"])?;
    replica.heartbeat(|it| it.state() == State::Working)?;
    let create_time = Some(later.into());
    let of = |kind, epoch| Order { create_time, ..order(kind, epoch) };
    let stop = sign(&fleet.stop, &of(Kind::Stop, 7));
    let mut forged = stop.clone();
    forged.signature[0] ^= 1;
    give(&replica, forged)?;
    ensure!(replica.receipt()? == (7, Stage::Refused, Refusal::Signature), "{:?}", replica.log);
    obeys(&mut replica, stop.clone(), 7, Stage::Detached)?;
    ensure!(service.worker().is_err(), "somebody works");
    obeys(&mut replica, sign(&fleet.operator, &of(Kind::Start, 8)), 8, Stage::Started)?;
    give(&replica, stop)?;
    ensure!(replica.receipt()? == (7, Stage::Refused, Refusal::Epoch), "{:?}", replica.log);
    for reason in ["signature", "epoch"] {
        ensure!(refused(&service, reason)? == 1, "{reason}: another number is counted");
    }
    service.stop()?;
    Ok(())
}

/// Gives an order, and waits until it is kept and carried out.
fn obeys(replica: &mut Replica, signed: SignedOrder, epoch: u64, done: Stage) -> Result<()> {
    give(replica, signed)?;
    ensure!(replica.receipt()? == (epoch, Stage::Received, NONE), "{:?}", replica.log);
    ensure!(replica.receipt()? == (epoch, done, NONE), "{:?}", replica.log);
    Ok(())
}

/// How many orders were refused so far, for this reason.
fn refused(service: &Service, reason: &str) -> Result<u64> {
    let metrics = telemetry::get(telemetry::address(service)?, "/metrics")?.text();
    let name = format!("wanglou_sensor_control_orders_refused_total{{reason=\"{reason}\"}} ");
    let count = metrics.lines().find_map(|line| line.strip_prefix(&name));
    Ok(count.with_context(|| format!("no {name}: {metrics}"))?.parse()?)
}

#[test]
fn one_that_cannot_be_kept_is_obeyed_all_the_same() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let fleet = Fleet::new()?;
    let mut replica = fleet.replica("one")?;
    let service = start(&fleet, &replica, &["sensor.state_directory=/proc/wanglou"])?;
    replica.hello()?;
    give(&replica, sign(&fleet.stop, &order(Kind::Stop, 7)))?;
    ensure!(replica.receipt()? == (7, Stage::Refused, Refusal::NotKept), "{:?}", replica.log);
    ensure!(replica.receipt()? == (7, Stage::Detached, NONE), "{:?}", replica.log);
    ensure!(service.worker().is_err(), "somebody works");
    let told = service.told()?;
    ensure!(told.contains("the order counts until the service ends"), "{told}");
    service.stop()?;
    Ok(())
}

#[test]
fn a_damaged_disk_undoes_no_stop() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let fleet = Fleet::new()?;
    let mut replica = fleet.replica("one")?;
    fs::create_dir_all(&fleet.state)?;
    fs::write(fleet.state.join("order"), b"what was an order once")?;
    let mut service = launch(&fleet, &replica, &[])?;
    let stopped = replica.heartbeat(|it| it.state() == State::Stopped)?;
    ensure!(stopped.reason.contains("may be a stop"), "{stopped:?}");
    ensure!(service.told()?.contains("the sensor stays stopped"), "{}", service.told()?);
    give(&replica, sign(&fleet.operator, &order(Kind::Start, 1)))?;
    ensure!(replica.receipt()? == (1, Stage::Received, NONE), "{:?}", replica.log);
    ensure!(replica.receipt()? == (1, Stage::Started, NONE), "{:?}", replica.log);
    service.wait_for(READY, 1)?;
    service.stop()?;
    Ok(())
}

#[test]
fn an_order_is_obeyed_whatever_goes_on() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let fleet = Fleet::new()?;
    let mut replica = fleet.replica("one")?;
    // Before a worker is ready.
    let mut service = launch(&fleet, &replica, &[])?;
    replica.hello()?;
    for epoch in [2, 4, 6] {
        give(&replica, sign(&fleet.operator, &order(Kind::Stop, epoch)))?;
        give(&replica, sign(&fleet.operator, &order(Kind::Start, epoch + 1)))?;
    }
    while replica.receipt()? != (7, Stage::Started, NONE) {}
    service.wait_for(READY, 1)?;
    // While it waits for another one.
    sys::kill(service.worker()?, libc::SIGKILL)?;
    give(&replica, sign(&fleet.stop, &order(Kind::Stop, 7)))?;
    while replica.receipt()? != (7, Stage::Detached, NONE) {}
    ensure!(service.worker().is_err(), "somebody works");
    service.stop()?;
    Ok(())
}

#[test]
fn commands_are_done_once_and_answered() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let fleet = Fleet::new()?;
    let mut replica = fleet.replica("one")?;
    let mut service = start(&fleet, &replica, &[])?;
    replica.heartbeat(|it| it.state() == State::Working)?;
    let worker = service.worker()?;
    let mut n = 0;
    let mut command = |replica: &mut Replica, action: Action| -> Result<String> {
        n += 1;
        let command = Command { command_id: n.to_string(), action: Some(action) };
        replica.say(Message::Command(command.clone()))?;
        let (id, error) = replica.result()?;
        // It came twice, as its answer may have been lost.
        replica.say(Message::Command(command))?;
        ensure!(replica.result()? == (id.clone(), error.clone()), "another answer");
        ensure!(id == n.to_string(), "the answer is to {id}");
        Ok(error)
    };
    let module = |name: &str, on| Action::SetModule(SetModule { module: name.to_owned(), on });
    let level = |level: &str| Action::SetLogLevel(SetLogLevel { level: level.to_owned() });
    let is = |name: &'static str, state: &'static str| {
        move |it: &wanglou_api::sensor::v1::Heartbeat| {
            it.modules.iter().any(|module| module.name == name && module.state == state)
        }
    };

    ensure!(command(&mut replica, module("network", false))?.is_empty(), "refused");
    replica.heartbeat(is("network", "off"))?;
    ensure!(command(&mut replica, module("network", true))?.is_empty(), "refused");
    replica.heartbeat(is("network", "running"))?;
    ensure!(service.worker()? == worker, "it took another worker");
    ensure!(command(&mut replica, module("self", false))?.contains("has to be one of"), "done");
    ensure!(command(&mut replica, level("loud"))?.contains("no level"), "done");
    ensure!(command(&mut replica, level("debug"))?.is_empty(), "refused");

    // It holds for the next worker too.
    ensure!(command(&mut replica, module("network", false))?.is_empty(), "refused");
    sys::kill(service.worker()?, libc::SIGKILL)?;
    service.wait_for(READY, 2)?;
    replica.heartbeat(|it| it.state() == State::Working && is("network", "off")(it))?;
    ensure!(command(&mut replica, module("network", true))?.is_empty(), "refused");
    // It has no probes for that.
    service.wait_for(READY, 3)?;
    replica.heartbeat(is("network", "running"))?;
    let snapshot = Action::Snapshot(Snapshot {});
    ensure!(command(&mut replica, snapshot)?.is_empty(), "refused");
    service.wait_for(READY, 4)?;
    let done = service.told()?.matches("the fleet wants").count();
    ensure!(done == 8, "{done} commands: {}", service.told()?);
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    let runs = by_run(&lines)?;
    ensure!(runs.len() == 4, "{} runs", runs.len());
    for run in &runs {
        balanced(run)?;
    }
    let of = |run: &[Value]| run.iter().filter(|it| action(it) == "existing_process").count();
    ensure!(of(&runs[3]) > 0, "it tells of nobody");
    Ok(())
}

/// A service that is to do nothing is up: its manager would start it again for ever.
#[test]
fn the_service_manager_hears_by_whose_order_it_is_stopped() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let fleet = Fleet::new()?;
    let replica = fleet.replica("one")?;
    fs::create_dir_all(&fleet.state)?;
    let stop = sign(&fleet.stop, &order(Kind::Stop, 7));
    fs::write(fleet.state.join("order"), prost::Message::encode_to_vec(&stop))?;
    let address = fleet.scratch().join("notify");
    let manager = UnixDatagram::bind(&address)?;
    manager.set_read_timeout(Some(Duration::from_secs(30)))?;
    let settings = fleet.settings(&replica.address.to_string(), &OWN);
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let service = Service::launch(&settings, |command| {
        command.env("NOTIFY_SOCKET", &address);
    })?;
    let mut bytes = [0; 4096];
    let length = manager.recv(&mut bytes)?;
    let heard = String::from_utf8_lossy(&bytes[..length]);
    ensure!(heard == format!("READY=1\nSTATUS={STOPPED}\n"), "{heard}");
    ensure!(service.worker().is_err(), "somebody works");
    service.stop()?;
    Ok(())
}
