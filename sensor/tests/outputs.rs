//! Several outputs at once: each with its own events, its own books, and its own trouble.

use std::{
    fs,
    io::{BufRead as _, Read},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::Value;
use wanglou_testkit::{
    disk::SmallDisk,
    event::{action, field, is_metric},
    ledger, lock, root_or_skip,
    scratch::Scratch,
    service::{Service, balanced, lines},
    storm,
};

const PATIENCE: Duration = Duration::from_secs(20);
const MB: u64 = 1 << 20;

#[test]
fn each_has_its_own_events_and_books() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let scratch = Scratch::new("outputs")?;
    let path = scratch.join("log/events.json");
    let service = Service::start(&[
        "sensor.backend=ebpf",
        "sensor.events=process",
        "budget.cpu_percent=10000",
        &format!("output.file.path={}", path.display()),
        "output.file.events=exec,end",
        "output.file.max_bytes=1048576",
        "output.file.keep=100",
        "output.file.compression=none",
    ])?;
    storm::run(4_000, 2)?;
    let (status, on_stdout) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    let in_files = all_files(&path)?;

    for (output, lines) in [("stdout", &on_stdout), ("file", &in_files)] {
        let (dropped, unknown) = balanced(lines)?;
        ensure!(dropped.is_empty() && unknown == 0, "{output}: {dropped:?}, {unknown} unknown");
        let sequence = |line: &Value| field(line, "event.sequence").and_then(Value::as_u64);
        for (n, line) in (1..).zip(lines) {
            ensure!(sequence(line) == Some(n), "{output}: line {n} is {line}");
        }
    }
    for kind in ["exec", "end", "fork"] {
        let count = |lines: &[Value]| lines.iter().filter(|line| action(line) == kind).count();
        let wanted = if kind == "fork" { 0 } else { count(&on_stdout) };
        ensure!(count(&in_files) == wanted, "{kind}: {} in files", count(&in_files));
        ensure!(count(&on_stdout) >= 4_000, "{kind}: {} on stdout", count(&on_stdout));
    }
    let files = fs::read_dir(scratch.join("log"))?.count();
    ensure!(files >= 3, "{files} files: it was not turned over");
    Ok(())
}

/// One that is told of so much a second and no more has the rest in its books, and what is worth most in its lines.
#[test]
fn one_with_a_limit_is_told_of_what_is_worth_most() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let scratch = Scratch::new("outputs")?;
    let path = scratch.join("events.json");
    let service = Service::start(&[
        "sensor.backend=ebpf",
        "sensor.events=process",
        "process.cgroup_limit=0",
        "budget.cpu_percent=10000",
        "output.stdout.events_per_second=300",
        &format!("output.file.path={}", path.display()),
        "output.file.compression=none",
    ])?;
    let seconds = storm::run(6_000, 2)?.wall_ns as f64 / 1e9;
    let (status, on_stdout) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    let in_files = all_files(&path)?;

    let (dropped, unknown) = balanced(&in_files)?;
    ensure!(dropped.is_empty() && unknown == 0, "the file: {dropped:?}, {unknown} unknown");
    let (dropped, unknown) = balanced(&on_stdout)?;
    ensure!(dropped.keys().eq(["throttled"]) && unknown == 0, "{dropped:?}, {unknown} unknown");
    let count = |lines: &[Value], kind: &str| {
        lines.iter().filter(|line| action(line) == kind).count() as u64
    };
    for kind in ["fork", "exec", "end"] {
        let lost = dropped["throttled"].get(kind).copied().unwrap_or_default();
        let told = count(&on_stdout, kind);
        ensure!(told + lost == count(&in_files, kind), "{kind}: {told} told, {lost} lost");
    }
    let told = on_stdout.iter().filter(|line| !is_metric(line)).count() as f64;
    // A bucket that was full, and a second at both ends.
    ensure!(told < 300.0 * (seconds + 3.0), "{told} in {seconds} s");
    let (forks, ends) = (count(&on_stdout, "fork"), count(&on_stdout, "end"));
    ensure!(forks * 2 < ends, "{forks} forks and {ends} ends");
    Ok(())
}

#[test]
fn a_full_disk_is_in_the_books_of_that_output_only() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let disk = SmallDisk::new(8 * MB)?;
    let path = disk.join("events.json");
    let mut service = Service::start(&[
        "sensor.backend=ebpf",
        "sensor.events=process",
        "budget.cpu_percent=10000",
        &format!("output.file.path={}", path.display()),
    ])?;
    let filler = disk.fill(MB / 2)?;
    storm::run(2_000, 2)?;
    service.wait_for("cannot write", 1)?;
    fs::remove_file(filler)?;
    let until = Instant::now() + PATIENCE;
    while !service.told()?.contains("can write to ") {
        ensure!(Instant::now() < until, "it does not write again: {}", service.told()?);
        storm::run(1, 1)?;
        thread::sleep(Duration::from_millis(100));
    }
    let (status, on_stdout) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");

    let (dropped, _) = balanced(&on_stdout)?;
    ensure!(dropped.is_empty(), "stdout lost {dropped:?}");
    let text = fs::read_to_string(&path)?;
    for line in text.lines() {
        serde_json::from_str::<Value>(line).with_context(|| format!("no JSON: {line}"))?;
    }
    let in_file = lines(&path)?;
    let (dropped, unknown) = balanced(&in_file)?;
    let causes: Vec<_> = dropped.keys().map(String::as_str).collect();
    ensure!(causes == ["output_failed"] && unknown == 0, "{dropped:?}, {unknown} unknown");
    let gap = in_file.iter().find(|line| action(line) == "gap").context("no gap in the file")?;
    let lost = ledger::counts(field(gap, "wanglou.gap.lost.output_failed"))?;
    ensure!(ledger::total(&lost) > 0, "the gap names no losses: {gap}");
    Ok(())
}

#[test]
fn one_that_is_slow_does_not_hold_up_the_other() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let scratch = Scratch::new("outputs")?;
    let path = scratch.join("events.json");
    let (reader, writer) = std::io::pipe()?;
    let service = Service::start_as(
        &[
            "sensor.backend=ebpf",
            "sensor.events=process",
            "budget.cpu_percent=10000",
            &format!("output.file.path={}", path.display()),
        ],
        |command| {
            command.stdout(writer);
        },
    )?;
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || read_slowly(reader, &is_over)
    });
    storm::run(6_000, 2)?;
    is_over.store(true, Ordering::Relaxed);
    let (status, _) = service.stop()?;
    let on_stdout = reader.join().map_err(|_| anyhow!("the reader panicked"))??;
    ensure!(status.success(), "it ended with {status}");

    let in_file = lines(&path)?;
    let (dropped, _) = balanced(&in_file)?;
    ensure!(dropped.is_empty(), "the file lost {dropped:?}");
    let (dropped, unknown) = balanced(&on_stdout)?;
    ensure!(unknown == 0, "{unknown} lines more than the books say");
    let lost = dropped.get("queue_full").context("stdout lost nothing")?;
    ensure!(dropped.len() == 1, "stdout lost {dropped:?}");
    // What is worth less goes first.
    let told = |kind: &str| on_stdout.iter().filter(|line| action(line) == kind).count();
    let (forks, execs) = (told("fork"), told("exec"));
    ensure!(forks < execs, "{forks} forks and {execs} execs were kept; lost: {lost:?}");
    ensure!(on_stdout.iter().any(|line| !is_metric(line)), "nothing was written");
    Ok(())
}

/// Reads less than there is, until it is over.
fn read_slowly(mut from: impl Read, is_over: &AtomicBool) -> Result<Vec<Value>> {
    let (mut text, mut piece) = (Vec::new(), vec![0; 16 << 10]);
    loop {
        match from.read(&mut piece)? {
            0 => break,
            bytes => text.extend_from_slice(&piece[..bytes]),
        }
        if !is_over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
    }
    text.lines().map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

/// The lines of a file and of those that were turned over, the oldest first.
fn all_files(path: &Path) -> Result<Vec<Value>> {
    let folder = path.parent().context("no folder")?;
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file != path);
    files.sort();
    files.push(path.to_owned());
    let mut all = Vec::new();
    for file in files {
        all.extend(lines(&file)?);
    }
    Ok(all)
}
