//! Modules: one fails or does too much, and the others go on; each event that this costs is in the books.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wanglou_testkit::{
    connections::Load,
    event::{action, field},
    ledger, lock, root_or_skip,
    scratch::Scratch,
    service::{Service, balanced},
    storm, sys,
};

const PROCESS: [&str; 4] = ["existing_process", "fork", "exec", "end"];
const NETWORK: [&str; 6] = [
    "existing_connection",
    "connection_attempted",
    "connection_accepted",
    "disconnect_received",
    "listen",
    "flow",
];

/// Takes longer than any rest in these tests.
const PAUSE: Duration = Duration::from_millis(2_500);

fn connect(total: u64) -> Result<()> {
    Load { total, servers: 1, clients: 1, null: false, spread: false }.run().map(drop)
}

fn count(lines: &[Value], wanted: &[&str]) -> usize {
    lines.iter().filter(|line| wanted.contains(&action(line))).count()
}

/// A module that panics is told of with its place, misses what it is handed, and begins again; the worker stays.
fn one_that_panics(drill: &str, name: &str, of_it: &[&str], others: &[&str]) -> Result<()> {
    let mut service = Service::start(&[
        "sensor.backend=ebpf",
        "network.include_loopback=true",
        "process.cgroup_limit=0",
        "budget.cpu_percent=10000",
        &format!("modules.drill={drill}"),
    ])?;
    let worker = service.worker()?;
    let load = || -> Result<()> {
        storm::run(600, 2)?;
        connect(300)
    };
    load()?;
    let place = format!("module {name} panicked at sensor/src/module/modules.rs:");
    service.wait_for(&place, 1)?;
    // What happens while it rests.
    load()?;
    service.wait_for(&format!("module {name} begins again"), 1)?;
    ensure!(service.worker()? == worker, "another worker");
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");

    let (dropped, unknown) = balanced(&lines)?;
    ensure!(unknown == 0, "{unknown} lines more than the books say");
    let causes: Vec<_> = dropped.keys().map(String::as_str).collect();
    ensure!(causes.iter().all(|cause| *cause == "shed"), "{dropped:?}");
    let lost = dropped.get("shed").cloned().unwrap_or_default();
    ensure!(lost.keys().all(|action| of_it.contains(&action.as_str())), "others lost: {lost:?}");
    let is_missed = !of_it.is_empty();
    ensure!(is_missed == (ledger::total(&lost) > 0), "missed: {lost:?}");
    ensure!(is_missed == (count(&lines, &["gap"]) > 0), "a gap, or none");
    // The others were told of whole.
    let wanted = [("exec", 1_200), ("connection_attempted", 600), ("disconnect_received", 1_200)];
    for (action, least) in wanted.into_iter().filter(|(action, _)| others.contains(action)) {
        let told = count(&lines, &[action]);
        ensure!(told >= least, "{told} {action} of {least}");
    }
    let is_alert = |line: &&Value| {
        let code = field(line, "event.code").and_then(Value::as_str);
        action(line) == "alert" && code == Some("WL2008")
    };
    let alert = lines.iter().find(is_alert).context("no alert")?;
    let message = field(alert, "message").and_then(Value::as_str).unwrap_or_default();
    ensure!(message.contains(&place), "{message}");
    Ok(())
}

#[test]
fn processes_that_fail() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    one_that_panics("process=700", "process", &PROCESS, &NETWORK)
}

#[test]
fn the_network_that_fails() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    one_that_panics("network=200", "network", &NETWORK, &PROCESS)
}

#[test]
fn what_the_sensor_says_of_itself_that_fails() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let all = [&PROCESS[..], &NETWORK].concat();
    one_that_panics("self=5", "self", &[], &all)
}

#[test]
#[ignore = "takes half a minute: part of `cargo xtask test --nightly`"]
fn one_that_fails_again_and_again_is_given_up() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let mut service = Service::start(&[
        "sensor.backend=ebpf",
        "network.include_loopback=true",
        "budget.cpu_percent=10000",
        "modules.drill=network=1",
    ])?;
    let worker = service.worker()?;
    for times in 1..=5 {
        service.wait_for("module network panicked", times)?;
        connect(20)?;
    }
    service.wait_for("given up after too many failures in a row", 1)?;
    storm::run(100, 1)?;
    ensure!(service.worker()? == worker, "another worker");
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    balanced(&lines)?;
    ensure!(count(&lines, &["exec"]) >= 100, "processes are not told of");
    Ok(())
}

/// A module has limits of its own: beyond them it rests, and the others do not.
#[test]
fn one_that_does_too_much_rests() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let mut service = Service::start(&[
        "sensor.backend=ebpf",
        "network.include_loopback=true",
        "process.cgroup_limit=0",
        "budget.cpu_percent=10000",
        "budget.samples=2",
        "budget.cooldown_seconds=1",
        "modules.process.events_per_second=1000",
    ])?;
    let worker = service.worker()?;
    let storm = storm::start(20_000, 2)?;
    service.wait_for("more than 1000 for 2 s: at rest for 1s", 1)?;
    connect(200)?;
    storm.finish()?;
    service.wait_for("module process begins again", 1)?;
    ensure!(service.worker()? == worker, "another worker");
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    let (dropped, unknown) = balanced(&lines)?;
    ensure!(unknown == 0, "{unknown} lines more than the books say");
    ensure!(dropped.keys().eq(["shed"]), "{dropped:?}");
    ensure!(dropped["shed"].keys().all(|it| PROCESS.contains(&it.as_str())), "{dropped:?}");
    ensure!(count(&lines, &["connection_attempted"]) >= 200, "the network is not told of");
    Ok(())
}

/// What is not wanted any more ends, and begins again, while the rest goes on in the same worker.
#[test]
fn one_ends_and_begins_while_the_others_go_on() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let scratch = Scratch::new("modules")?;
    let file = scratch.join("sensor.toml");
    fs::write(&file, "")?;
    let mut service = Service::start_as(
        &["sensor.backend=ebpf", "network.include_loopback=true", "budget.cpu_percent=10000"],
        |command| {
            command.arg("--config").arg(&file);
        },
    )?;
    let worker = service.worker()?;
    let mut reload = |text: &str, said: &str| -> Result<()> {
        fs::write(&file, text)?;
        sys::kill(service.pid(), libc::SIGHUP)?;
        service.wait_for(said, 1)?;
        // A quiet round of the worker's.
        thread::sleep(Duration::from_millis(700));
        Ok(())
    };
    connect(50)?;
    reload(
        "[sensor]\nevents = [\"process\"]\n",
        "[\"process\", \"network\"] -> [\"process\"] at once",
    )?;
    connect(70)?;
    storm::run(30, 1)?;
    reload("", "[\"process\"] -> [\"process\", \"network\"] at once")?;
    connect(90)?;
    thread::sleep(PAUSE);
    ensure!(service.worker()? == worker, "another worker");
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    let (dropped, unknown) = balanced(&lines)?;
    ensure!(dropped.is_empty() && unknown == 0, "{dropped:?}, {unknown} unknown");
    let (told, execs) = (count(&lines, &["connection_attempted"]), count(&lines, &["exec"]));
    ensure!((140..200).contains(&told), "{told} of 140 connections, or some of the others");
    ensure!(execs >= 30, "{execs} of 30 processes");
    Ok(())
}
