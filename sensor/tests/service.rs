//! `run`: whoever of it is killed, the books balance, and nothing is left behind.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wanglou_testkit::{
    bins,
    event::{action, entity, field, is_metric, number, pid, text},
    ledger, lock, proc, root_or_skip,
    scratch::Scratch,
    storm, sys,
};

/// Has no rights anywhere.
const NOBODY: u32 = 65534;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

#[test]
fn a_worker_that_is_killed_is_followed_by_another() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let mut service = Service::start(&["sensor.backend=ebpf"])?;
    let storm = storm::start(8_000, 2)?;
    thread::sleep(Duration::from_millis(500));
    let before = service.worker()?;
    let killed = Instant::now();
    sys::kill(before, SIGKILL)?;
    service.wait_until_ready(2)?;
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
    sys::kill(service.child.id(), SIGKILL)?;
    let killed = Instant::now();
    let lives = || fs::exists(format!("/proc/{worker}")).unwrap_or_default();
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

/// The service, with its output in a file.
struct Service {
    child: Child,
    scratch: Scratch,
}

impl Service {
    fn start(settings: &[&str]) -> Result<Self> {
        let scratch = Scratch::new("service")?;
        let child = Command::new(bins::sensor()?)
            .arg("run")
            .args(settings.iter().flat_map(|setting| ["--set", setting]))
            .stdin(Stdio::null())
            .stdout(File::create(scratch.join("stdout"))?)
            .stderr(File::create(scratch.join("stderr"))?)
            .spawn()?;
        let mut service = Self { child, scratch };
        service.wait_until_ready(1)?;
        Ok(service)
    }

    fn wait_until_ready(&mut self, times: usize) -> Result<()> {
        let started = Instant::now();
        loop {
            let told = fs::read_to_string(self.scratch.join("stderr"))?;
            if told.matches(": ready: ").count() >= times {
                return Ok(());
            }
            ensure!(self.child.try_wait()?.is_none(), "it ended: {told}");
            ensure!(started.elapsed() < PATIENCE, "it is not ready: {told}");
            thread::sleep(POLL);
        }
    }

    fn worker(&self) -> Result<u32> {
        let children = proc::children(self.child.id());
        children.first().copied().context("there is no worker")
    }

    /// Tells it to end; how it did, and its lines.
    fn stop(mut self) -> Result<(ExitStatus, Vec<Value>)> {
        sys::kill(self.child.id(), SIGTERM)?;
        let status = self.child.wait()?;
        Ok((status, lines(self.scratch.join("stdout"))?))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn any_exists(programs: &[u32]) -> Result<bool> {
    for program in programs {
        if sys::program_exists(*program)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn lines(path: PathBuf) -> Result<Vec<Value>> {
    let lines = BufReader::new(File::open(path)?).lines();
    // Half a line of one who was killed is followed by an end of line.
    let whole = |line: std::io::Result<String>| -> Option<Result<Value>> {
        match line {
            Ok(line) => serde_json::from_str(&line).ok().map(Ok),
            Err(error) => Some(Err(error.into())),
        }
    };
    lines.filter_map(whole).collect()
}

/// The lines of each run, in the order of their beginning.
fn by_run(lines: &[Value]) -> Result<Vec<Vec<Value>>> {
    let mut runs: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for line in lines {
        let run = text(line, "wanglou.run.id").context("no run")?.parse()?;
        runs.entry(run).or_default().push(line.clone());
    }
    Ok(runs.into_values().collect())
}

/// What the last ledger of a run says was dropped, by cause, and how many lines there are that it does not
/// know of; fails unless it balances.
fn balanced(run: &[Value]) -> Result<(BTreeMap<String, ledger::Counts>, u64)> {
    let last = run.iter().rev().find(|line| action(line) == "ledger").context("no ledger")?;
    let part = |name: &str| field(last, &format!("wanglou.ledger.{name}"));
    let produced = ledger::total(&ledger::counts(part("produced"))?);
    let delivered = ledger::total(&ledger::counts(part("delivered"))?);
    let dropped = ledger::by_cause(part("dropped").context("no losses")?)?;
    let lost: u64 = dropped.values().map(ledger::total).sum();
    ensure!(number(last, "wanglou.ledger.in_flight") == Some(0), "something is under way: {last}");
    ensure!(produced == delivered + lost, "{produced} is not {delivered} + {lost}");
    let seen = run.iter().filter(|line| !is_metric(line)).count() as u64;
    ensure!(seen >= delivered, "{delivered} delivered, {seen} seen");
    Ok((dropped, seen - delivered))
}
