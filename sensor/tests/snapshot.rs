//! What was there before the sensor is told of once, also when it starts in the midst of a storm.

use std::{
    collections::HashMap,
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use wanglou_testkit::{
    Watch, bins,
    event::{action, entity, is_metric, pid, time_ns},
    field, lock, root_or_skip, storm, text,
};

#[test]
fn by_the_probes() -> Result<()> {
    nothing_is_missed_or_doubled("ebpf")
}

#[test]
fn by_cn_proc() -> Result<()> {
    nothing_is_missed_or_doubled("cn_proc")
}

fn nothing_is_missed_or_doubled(backend: &str) -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let sleepers = (0..50).map(Sleeper::start).collect::<Result<Vec<_>>>()?;
    let storm = storm::start(20_000, 2)?;
    thread::sleep(Duration::from_millis(300));
    let watch = Watch::builder().backend(backend).start()?;
    let ready = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let present = present_processes()?;
    storm.finish()?;
    let capture = watch.stop()?;
    ensure!(capture.status.success(), "the sensor ended with {}", capture.status);
    let lost = capture.audit()?.dropped_total();

    let events = capture.filter(|event| !is_metric(event))?;
    let mut lives: HashMap<&str, Vec<&Value>> = HashMap::new();
    for event in &events {
        // A process that cn_proc had to guess the start of has no identity.
        if let Some(entity) = entity(event) {
            lives.entry(entity).or_default().push(event);
        }
    }
    for (entity, life) in &lives {
        let tale: Vec<_> = life.iter().map(|e| (action(e), text(e, "@timestamp"))).collect();
        let count = |wanted: &str| life.iter().filter(|event| action(event) == wanted).count();
        let births = count("existing_process") + count("fork");
        ensure!(births <= 1, "{entity} has {births} beginnings: {tale:?}");
        // One whose exec or end is the first that was seen of it need not be listed: it is told of.
        let first = life.first().and_then(|event| time_ns(event, "@timestamp"));
        let meanwhile = first.is_some_and(|first| Duration::from_nanos(first) < ready);
        ensure!(births == 1 || meanwhile || lost > 0, "{entity} has no beginning: {tale:?}");
    }
    for sleeper in &sleepers {
        sleeper.is_told_of(&events)?;
    }
    let begun = |event: &&Value| matches!(action(event), "existing_process" | "fork" | "exec");
    let told: Vec<u32> = events.iter().filter(begun).filter_map(pid).collect();
    let missing: Vec<_> = present.iter().filter(|pid| !told.contains(pid)).collect();
    ensure!(missing.is_empty() || lost > 0, "there at the start and never told of: {missing:?}");
    Ok(())
}

/// Everyone with a program, as opposed to the kernel's own threads.
fn present_processes() -> Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        if fs::read_link(format!("/proc/{pid}/exe")).is_ok() {
            pids.push(pid);
        }
    }
    Ok(pids)
}

/// A process that is there before the sensor and does nothing.
struct Sleeper {
    child: Child,
    args: Vec<String>,
}

impl Sleeper {
    fn start(n: u32) -> Result<Self> {
        let path = bins::testkit("actor")?;
        let args = ["hold".to_owned(), format!("sleeper {n}")];
        let child =
            Command::new(&path).args(&args).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let path = path.to_str().context("a path that is not UTF-8")?.to_owned();
        Ok(Self { child, args: [path].into_iter().chain(args).collect() })
    }

    fn is_told_of(&self, events: &[Value]) -> Result<()> {
        let own: Vec<_> = events.iter().filter(|e| pid(e) == Some(self.child.id())).collect();
        let actions: Vec<_> = own.iter().map(|event| action(event)).collect();
        ensure!(actions == ["existing_process"], "of one who sleeps: {actions:?}");
        let args = field(own[0], "process.args");
        ensure!(args == Some(&json!(self.args)), "{args:?} instead of {:?}", self.args);
        Ok(())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
