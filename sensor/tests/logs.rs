//! The sensor's own log: where it goes, that it fills nothing and holds nobody up, and what becomes an event.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wanglou_testkit::{
    event::{action, number, text},
    lock, root_or_skip,
    scratch::Scratch,
    service::{READY, Service, by_run},
    sys,
};

const SIGKILL: i32 = 9;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
const NAMES: [&str; 2] = ["sensor.0.log", "sensor.1.log"];

#[test]
fn each_line_says_when_how_severe_who_and_what() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let mut service = Service::start(&["sensor.backend=ebpf"])?;
    sys::kill(service.worker()?, SIGKILL)?;
    service.wait_for(READY, 2)?;
    let told = service.told()?;
    for (level, rest) in [
        ("notice", "worker worker::begin [WL2001]: ready: "),
        ("error", "supervisor service::supervisor [WL1001]: the worker was ended by signal 9: "),
    ] {
        let line = told.lines().find(|line| line.contains(rest));
        let line = line.with_context(|| format!("no {rest:?}: {told}"))?;
        let (at, behind) = line.split_once(' ').context("no time")?;
        ensure!(at.len() == 24 && at.ends_with('Z'), "no time in UTC with milliseconds: {line}");
        ensure!(behind.starts_with(&format!("{level} {rest}")), "{line}");
    }
    service.stop()?;
    Ok(())
}

#[test]
fn an_error_is_an_event_of_the_next_worker() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let mut service = Service::start(&["sensor.backend=ebpf", "sensor.events=process"])?;
    sys::kill(service.worker()?, SIGKILL)?;
    service.wait_for(READY, 2)?;
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");

    let runs = by_run(&lines)?;
    ensure!(runs.len() == 2, "{} runs", runs.len());
    ensure!(alerts(&runs[0]).is_empty(), "the first knows its own end");
    let [alert] = alerts(&runs[1])[..] else {
        anyhow::bail!("not one alert: {:?}", alerts(&runs[1]))
    };
    ensure!(text(alert, "event.kind") == Some("alert"), "{alert}");
    ensure!(text(alert, "event.code") == Some("WL1001"), "{alert}");
    ensure!(text(alert, "log.level") == Some("error"), "{alert}");
    ensure!(number(alert, "event.severity") == Some(3), "{alert}");
    let message = text(alert, "message").context("no message")?;
    ensure!(message.contains("ended by signal 9"), "{message}");
    let first = runs[1].iter().find(|line| action(line) != "gap");
    ensure!(first.map(action) == Some("alert"), "it is not at the beginning: {first:?}");
    Ok(())
}

#[test]
fn why_a_worker_has_failed_is_an_event_too() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let (disk, scratch) = (Disk::mount()?, Scratch::new("logs")?);
    let (stdout, stderr) = (disk.0.join("stdout"), scratch.join("stderr"));
    let service = Command::new(wanglou_testkit::bins::sensor()?)
        .args(["run", "--set", "sensor.events=process"])
        .stdin(Stdio::null())
        .stdout(File::create(&stdout)?)
        .stderr(File::create(&stderr)?)
        .spawn()?;
    let mut service = Killed(service);
    let told = |what: &str, times: usize| {
        wait_until(what, || Ok(fs::read_to_string(&stderr)?.matches(what).count() >= times))
    };
    told(READY, 1)?;
    fs::write(disk.0.join("filler"), vec![0; 128 << 10]).expect_err("there is too much room");
    // Something to tell of.
    wait_until("it has failed", || {
        Command::new("true").status()?;
        Ok(fs::read_to_string(&stderr)?.contains("[WL1009]: cannot write to standard output"))
    })?;
    // An emptied output stands for one with room again.
    fs::remove_file(disk.0.join("filler"))?;
    File::options().write(true).open(&stdout)?.set_len(0)?;
    told("[WL1001]: the worker has failed", 1)?;
    let alert = r#""code":"WL1009","severity":3"#;
    wait_until("it is an event", || {
        Ok(fs::read(&stdout)?.windows(alert.len()).any(|it| it == alert.as_bytes()))
    })?;
    sys::kill(service.0.id(), libc::SIGTERM)?;
    service.0.wait()?;
    Ok(())
}

#[test]
fn two_files_are_written_in_turn() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let scratch = Scratch::new("logs")?;
    const BYTES: u64 = 65_536;
    // What the loader's libraries have to say at this level is long.
    let settings = settings(scratch.path(), &["log.level=trace", "log.file_bytes=65536"]);
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    for start in 1.. {
        let before = written(scratch.path());
        let service = Service::launch(&settings, |_| ())?;
        wait_until("there are events", || {
            ensure!(total(scratch.path()) <= 2 * BYTES, "longer than they may be");
            Ok(service.output_bytes()? > 0)
        })?;
        let (status, _) = service.stop()?;
        ensure!(status.success(), "it ended with {status}");
        let now = written(scratch.path());
        ensure!(now.contains(": done: "), "the last line is missing");
        ensure!(total(scratch.path()) <= 2 * BYTES, "longer than they may be");
        if !before.is_empty() && !now.contains(&before) {
            break;
        }
        ensure!(start < 20, "never turned over: {} bytes", total(scratch.path()));
    }
    ensure!(fs::metadata(scratch.join(NAMES[1]))?.len() > 0, "only one was written");
    Ok(())
}

#[test]
fn a_restart_goes_on_in_the_same_file() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let scratch = Scratch::new("logs")?;
    let settings = settings(&scratch.join("made/by/it"), &[]);
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let file = scratch.join("made/by/it").join(NAMES[0]);
    for times in 1..=2 {
        let service = Service::launch(&settings, |_| ())?;
        wait_until("it is ready", || {
            Ok(fs::read_to_string(&file).is_ok_and(|it| it.matches(READY).count() == times))
        })?;
        let told = service.told()?;
        ensure!(told.is_empty(), "on standard error too: {told}");
        service.stop()?;
    }
    let lines = fs::read_to_string(&file)?;
    ensure!(lines.matches(": done: ").count() == 2, "{lines}");
    ensure!(!file.with_file_name(NAMES[1]).exists(), "another file was begun");
    Ok(())
}

#[test]
fn a_full_disk_harms_nothing() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let disk = Disk::mount()?;
    let folder = disk.0.path();
    fs::write(folder.join("filler"), vec![0; 128 << 10]).expect_err("there is too much room");
    let settings = settings(folder, &["sensor.backend=ebpf", "sensor.events=process"]);
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    let mut service = Service::launch(&settings, |_| ())?;
    service.wait_for(READY, 1)?;
    let told = service.told()?;
    ensure!(told.matches("[WL9001]: cannot write the log to ").count() == 1, "it says: {told}");

    fs::remove_file(folder.join("filler"))?;
    // It is tried again with the first message after ten seconds.
    thread::sleep(Duration::from_secs(11));
    sys::kill(service.worker()?, SIGKILL)?;
    let file = folder.join(NAMES[0]);
    wait_until("the log is written again", || {
        let lines = fs::read_to_string(&file).unwrap_or_default();
        Ok(lines.contains("[WL9002]: ") && lines.contains("[WL1001]: ") && lines.contains(READY))
    })?;
    let lines = fs::read_to_string(&file)?;
    ensure!(lines.lines().all(|line| line.starts_with("20")), "half a line: {lines}");
    let (status, lines) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    let runs = by_run(&lines)?;
    ensure!(runs.len() == 2, "{} runs", runs.len());
    Ok(())
}

#[test]
fn a_standard_error_that_takes_nothing_holds_nobody_up() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let scratch = Scratch::new("logs")?;
    let (reader, mut writer) = std::io::pipe()?;
    // A pipe has room for so much (`pipe(7)`).
    writer.write_all(&[b'\n'; 65_536])?;
    let stdout = scratch.join("stdout");
    let service = Command::new(wanglou_testkit::bins::sensor()?)
        .args(["run", "--set", "sensor.events=process"])
        .stdin(Stdio::null())
        .stdout(File::create(&stdout)?)
        .stderr(writer)
        .spawn()?;
    let mut service = Killed(service);
    wait_until("there are events", || Ok(fs::metadata(&stdout)?.len() > 0))?;
    thread::sleep(Duration::from_millis(500));
    sys::kill(service.0.id(), libc::SIGTERM)?;
    wait_until("it ends", || Ok(service.0.try_wait()?.is_some_and(|status| status.success())))?;
    drop(reader);
    let lines = fs::read_to_string(&stdout)?;
    let last: Value = serde_json::from_str(lines.lines().last().context("no line")?)?;
    ensure!(action(&last) == "ledger", "the last line is {last}");
    Ok(())
}

#[test]
fn a_module_has_a_level_of_its_own() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let told = |level: &str, variables: &[(&str, &str)]| -> Result<String> {
        let mut service = Service::launch(
            &["sensor.events=process", &format!("log.level={level}")],
            |command| {
                command.envs(variables.iter().copied());
            },
        )?;
        wait_until("there are events", || Ok(service.output_bytes()? > 0))?;
        // The worker is ready, and one more is.
        sys::kill(service.worker()?, SIGKILL)?;
        let expected = if level.contains("service=") { READY } else { "by signal 9" };
        service.wait_for(expected, 1)?;
        let told = service.told()?;
        service.stop()?;
        Ok(told)
    };
    let without_worker = told("notice,worker=warning", &[])?;
    ensure!(!without_worker.contains(READY), "{without_worker}");
    let without_service = told("notice,service=emerg", &[])?;
    ensure!(!without_service.contains("by signal 9"), "{without_service}");
    let by_variable = told("emerg", &[("WANGLOU_LOG", "error")])?;
    ensure!(!by_variable.contains(READY), "{by_variable}");
    Ok(())
}

fn alerts(run: &[Value]) -> Vec<&Value> {
    run.iter().filter(|line| action(line) == "alert").collect()
}

fn settings(directory: &Path, others: &[&str]) -> Vec<String> {
    let files = ["log.to=files".to_owned(), format!("log.directory={}", directory.display())];
    files.into_iter().chain(others.iter().map(ToString::to_string)).collect()
}

fn written(directory: &Path) -> String {
    NAMES.map(|name| fs::read_to_string(directory.join(name)).unwrap_or_default()).concat()
}

fn total(directory: &Path) -> u64 {
    let len = |name| fs::metadata(directory.join(name)).map_or(0, |it| it.len());
    NAMES.into_iter().map(len).sum()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !holds()? {
        ensure!(started.elapsed() < PATIENCE, "never: {what}");
        thread::sleep(POLL);
    }
    Ok(())
}

/// However the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A disk of 64 KiB.
struct Disk(Scratch);

impl Disk {
    fn mount() -> Result<Self> {
        let folder = Scratch::new("disk")?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(folder.path());
        ensure!(mount.status()?.success(), "cannot mount a small disk");
        Ok(Self(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}
