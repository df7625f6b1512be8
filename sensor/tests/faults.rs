//! What goes wrong on hosts: nothing of it costs an event that is not in the ledger.

use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Context, Result, ensure};
use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    strategy::ValueTree as _,
    test_runner::TestRunner,
};
use wanglou_testkit::{
    bins,
    event::{action, field},
    ledger, lock, root_or_skip,
    scratch::Scratch,
    service::{Service, balanced, by_run},
    storm, sys,
};

/// More than its ring can hold passes by meanwhile.
const STOPPED: Duration = Duration::from_secs(5);

/// By a debugger, by a host that is out of memory, by `kill -STOP`.
#[test]
fn a_worker_that_is_stopped_for_a_while() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    stop_for(STOPPED)
}

#[test]
#[ignore = "takes a minute: part of `cargo xtask test --nightly`"]
fn a_worker_that_is_stopped_for_a_minute() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    stop_for(Duration::from_secs(60))
}

fn stop_for(time: Duration) -> Result<()> {
    let _turn = lock::alone()?;
    let service = Service::start(&[
        "sensor.backend=ebpf",
        "sensor.events=process",
        "sensor.ring_bytes=65536",
        "budget.cpu_percent=10000",
    ])?;
    let worker = service.worker()?;
    sys::kill(worker, libc::SIGSTOP)?;
    let made = storm::run(1_000, 2)?.spawned;
    thread::sleep(time);
    sys::kill(worker, libc::SIGCONT)?;
    storm::run(100, 2)?;
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");

    let runs = by_run(&lines)?;
    ensure!(runs.len() == 1, "{} runs: it is the same worker", runs.len());
    let (dropped, unknown) = balanced(&lines)?;
    ensure!(unknown == 0, "{unknown} lines more than the books say");
    let full = |cause: &String| cause == "ring_full" || cause == "shed";
    ensure!(!dropped.is_empty() && dropped.keys().all(full), "{dropped:?}");
    let execs = |counts: &ledger::Counts| counts.get("exec").copied().unwrap_or_default();
    let told = lines.iter().filter(|line| action(line) == "exec").count() as u64;
    let lost: u64 = dropped.values().map(execs).sum();
    ensure!(told + lost >= made + 100, "{told} execs told of and {lost} lost of {made} + 100");
    let gap = lines.iter().find(|line| action(line) == "gap").context("no gap")?;
    ensure!(field(gap, "wanglou.gap.lost.ring_full").is_some(), "another gap: {gap}");
    Ok(())
}

/// The worker goes on by itself, and hears of the end once there is somebody again.
#[test]
fn a_supervisor_that_is_stopped_for_a_while() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let service = Service::start(&[
        "sensor.backend=ebpf",
        "sensor.events=process",
        "budget.cpu_percent=10000",
    ])?;
    sys::kill(service.pid(), libc::SIGSTOP)?;
    let made = storm::run(1_000, 2)?.spawned;
    thread::sleep(STOPPED);
    sys::kill(service.pid(), libc::SIGCONT)?;
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    let (dropped, _) = balanced(&lines)?;
    ensure!(dropped.is_empty(), "dropped {dropped:?}");
    let told = lines.iter().filter(|line| action(line) == "exec").count() as u64;
    ensure!(told >= made, "{told} of {made}");
    Ok(())
}

/// Each file of /proc takes its time to open; events wait, and those that cannot are counted.
#[test]
fn a_proc_that_answers_slowly() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let service = Service::start(&[
        "sensor.backend=cn_proc",
        "sensor.events=process",
        "budget.cpu_percent=10000",
    ])?;
    let mut slow = Command::new("strace");
    slow.args(["--follow-forks", "-qqq", "--output=/dev/null", "--trace=openat,readlinkat"]);
    slow.args(["--inject=openat,readlinkat:delay_enter=5ms", "--attach"]);
    let Ok(mut slow) = slow.arg(service.worker()?.to_string()).spawn() else {
        eprintln!("skipped: there is no strace to slow it down with");
        return Ok(());
    };
    // Until it holds on to every thread.
    thread::sleep(Duration::from_millis(500));
    let made = storm::run(500, 2)?.spawned;
    thread::sleep(STOPPED);
    sys::kill(slow.id(), libc::SIGTERM)?;
    slow.wait()?;
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    let (dropped, unknown) = balanced(&lines)?;
    ensure!(unknown == 0, "{unknown} lines more than the books say");
    let told = lines.iter().filter(|line| action(line) == "fork").count() as u64;
    let forks = |counts: &ledger::Counts| counts.get("fork").copied().unwrap_or_default();
    let lost: u64 = dropped.values().map(forks).sum();
    ensure!(told + lost >= made, "{told} forks told of and {lost} lost of {made}");
    Ok(())
}

/// Whatever a file has in it, the answer is a few lines, and no panic.
#[test]
fn any_bytes_are_a_configuration_or_refused() -> Result<()> {
    let scratch = Scratch::new("faults")?;
    let file = scratch.join("sensor.toml");
    let words =
        ["[sensor]", "[output.file]", "=", "\"", "backend", "path", "\n", "#", "[[", "1e999"];
    let piece = proptest::prop_oneof![
        vec(any::<u8>(), 0..20),
        proptest::sample::select(words.map(|word| word.as_bytes().to_vec()).to_vec()),
    ];
    let bytes = vec(piece, 0..40).prop_map(|pieces| pieces.concat());
    let mut runner = TestRunner::deterministic();
    for _ in 0..100 {
        let tree = bytes.new_tree(&mut runner).map_err(anyhow::Error::msg)?;
        let text = tree.current();
        fs::write(&file, &text)?;
        let output =
            Command::new(bins::sensor()?).arg("config").arg("check").arg(&file).output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let code = output.status.code();
        ensure!(code == Some(0) || code == Some(1), "{text:?}: {}: {told}", output.status);
        ensure!(code == Some(0) || !told.is_empty(), "{text:?}: refused without a word");
        let good = |line: &str| line.starts_with("wanglou-sensor: ");
        ensure!(told.lines().all(good) && !told.contains("panicked"), "{text:?}: {told}");
    }
    Ok(())
}
