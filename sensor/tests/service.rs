//! `run`: whoever of it is killed, the books balance, and nothing is left behind.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wanglou_testkit::{
    bins,
    event::{action, entity, field, pid},
    ledger, lock, proc, root_or_skip,
    scratch::Scratch,
    service::{READY, Service, balanced, by_run},
    storm, sys,
};

/// Has no rights anywhere.
const NOBODY: u32 = 65534;
const SIGKILL: i32 = 9;
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// What a worker that reads nothing of others needs rights for is done before it is ready (5.19 and later).
#[test]
fn a_worker_has_as_few_capabilities_as_can_be() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    // include/uapi/linux/capability.h
    const DAC_READ_SEARCH: u64 = 1 << 2;
    const SYS_PTRACE: u64 = 1 << 19;
    let _turn = lock::shared()?;
    for (backend, wanted) in [("ebpf", 0), ("cn_proc", DAC_READ_SEARCH | SYS_PTRACE)] {
        let service = Service::start(&[&format!("sensor.backend={backend}")])?;
        for set in ["CapPrm:", "CapEff:", "CapInh:", "CapAmb:"] {
            let has = proc::capabilities(service.worker()?, set).context("no such set")?;
            let wanted = if matches!(set, "CapPrm:" | "CapEff:") { wanted } else { 0 };
            ensure!(has == wanted, "{backend}: {set} {has:#x}, not {wanted:#x}");
        }
        let (status, _) = service.stop()?;
        ensure!(status.success(), "it ended with {status}");
    }
    Ok(())
}

#[test]
fn a_worker_that_is_killed_is_followed_by_another() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let mut service = Service::start(&["sensor.backend=ebpf", "budget.cpu_percent=10000"])?;
    let storm = storm::start(8_000, 2)?;
    thread::sleep(Duration::from_millis(500));
    let before = service.worker()?;
    let first_to_go = fs::read_to_string(format!("/proc/{before}/oom_score_adj"))?;
    ensure!(first_to_go.trim() == "1000", "oom_score_adj is {first_to_go}");
    let killed = Instant::now();
    sys::kill(before, SIGKILL)?;
    service.wait_for(READY, 2)?;
    println!("another worker is ready after {} ms", killed.elapsed().as_millis());
    storm.finish()?;
    ensure!(service.worker()? != before, "the worker lives");
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");

    let runs = by_run(&lines)?;
    ensure!(runs.len() == 2, "{} runs", runs.len());
    let [first, second] = [0, 1].map(|n| &runs[n]);
    let (dropped, unknown) = balanced(first)?;
    ensure!(dropped.keys().all(|cause| cause == "worker_killed"), "{dropped:?}");
    ensure!(!dropped.is_empty(), "nothing was under way in a storm");
    ensure!(unknown == 0, "{unknown} lines more than the books say");
    let (dropped, _) = balanced(second)?;
    ensure!(dropped.is_empty(), "the second dropped {dropped:?}");
    let gap = second.iter().find(|line| action(line) == "gap").context("no gap")?;
    let lost = field(gap, "wanglou.gap.lost.worker_killed").context("no losses in the gap")?;
    ensure!(ledger::total(&ledger::counts(Some(lost))?) > 0, "the gap names no losses: {gap}");

    // The same process is the same entity.
    let me = std::process::id();
    let mine = |run: &[Value]| {
        run.iter().find(|line| pid(line) == Some(me)).and_then(entity).map(ToOwned::to_owned)
    };
    ensure!(mine(first).is_some() && mine(first) == mine(second), "another entity");
    Ok(())
}

#[test]
fn nothing_outlives_the_supervisor() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let service = Service::start(&["sensor.backend=ebpf"])?;
    let worker = service.worker()?;
    let programs = proc::programs_held(worker)?;
    ensure!(!programs.is_empty(), "the worker holds no programs");
    sys::kill(service.pid(), SIGKILL)?;
    let killed = Instant::now();
    // One that nobody has buried yet does nothing any more.
    let lives = || {
        let stat = fs::read_to_string(format!("/proc/{worker}/stat")).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    };
    while lives() || any_exists(&programs)? {
        ensure!(killed.elapsed() < PATIENCE, "worker or probes are still there");
        thread::sleep(POLL);
    }
    println!("all is gone after {} ms", killed.elapsed().as_millis());
    Ok(())
}

#[test]
fn it_ends_when_it_is_told_to() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    for backend in ["ebpf", "cn_proc"] {
        let service =
            Service::start(&[&format!("sensor.backend={backend}"), "sensor.events=process"])?;
        let worker = service.worker()?;
        let (status, lines) = service.stop()?;
        ensure!(status.success(), "{backend}: it ended with {status}");
        ensure!(!fs::exists(format!("/proc/{worker}"))?, "{backend}: the worker lives");
        let (dropped, _) = balanced(&lines)?;
        ensure!(dropped.is_empty(), "{backend}: dropped {dropped:?}");
    }
    Ok(())
}

/// Whatever its worker is about then.
#[test]
fn it_ends_well_before_it_has_begun() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    for after in [0, 1, 2, 4, 8, 16, 32, 64, 128, 256] {
        let service = Service::launch(&["sensor.backend=ebpf"], |_| ())?;
        let until = Instant::now() + PATIENCE;
        while service.worker().is_err() {
            ensure!(Instant::now() < until, "there is no worker");
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(after));
        let told = service.told()?;
        let (status, lines) = service.stop()?;
        ensure!(status.success(), "after {after} ms it ended with {status}: {told}");
        if !lines.is_empty() {
            balanced(&lines)?;
        }
    }
    Ok(())
}

#[test]
fn a_configuration_that_is_wrong_starts_nothing() -> Result<()> {
    let scratch = Scratch::new("service")?;
    let file = scratch.join("sensor.toml");
    fs::write(&file, "[sensor]\nbackend = \"magic\"\nring = 1\n")?;
    let output = Command::new(bins::sensor()?)
        .arg("run")
        .arg("--config")
        .arg(&file)
        .env("WANGLOU_SENSOR__ARGS_BYTES", "12")
        .output()?;
    ensure!(output.status.code() == Some(1), "it ended with {}", output.status);
    let told = String::from_utf8(output.stderr)?;
    ensure!(told.lines().count() == 3, "it says: {told}");
    for place in [
        ":2: sensor.backend",
        ":3: there is no setting \"sensor.ring\"",
        "WANGLOU_SENSOR__ARGS_BYTES: sensor.args_bytes = 12",
    ] {
        ensure!(told.contains(place), "it says: {told}");
    }
    Ok(())
}

#[test]
fn one_that_never_worked_is_not_started_again() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new("service")?;
    // The workspace may lie where others must not look.
    let copy = scratch.join("wanglou-sensor");
    ensure!(Command::new("cp").arg(bins::sensor()?).arg(&copy).status()?.success(), "no copy");
    let output = Command::new(&copy)
        .args(["run", "--set", "sensor.backend=ebpf"])
        .current_dir("/")
        .uid(NOBODY)
        .output()?;
    ensure!(output.status.code() == Some(1), "it ended with {}", output.status);
    let told = String::from_utf8(output.stderr)?;
    ensure!(told.lines().count() == 1 && told.contains("needs root"), "it says: {told}");
    Ok(())
}

fn any_exists(programs: &[u32]) -> Result<bool> {
    for program in programs {
        if sys::program_exists(*program)? {
            return Ok(true);
        }
    }
    Ok(false)
}
