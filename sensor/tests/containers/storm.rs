use std::{
    collections::HashMap,
    fs::{self, File},
    io::Write as _,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use wanglou_testkit::{
    Watch,
    containers::Containerd,
    event::{action, entity, is_metric},
    lock,
    scratch::Scratch,
};

use crate::{container, id, programs, tag, tagged};

const CONTAINERS: usize = 50;
/// Processes of each.
const PROCESSES: usize = 200;

/// What the sensor may need for them.
const GROWTH_KIB: u64 = 2048;

/// Fifty containers that create processes as fast as they can.
#[test]
fn fifty_containers_at_once() -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(60);
    let Some(programs) = programs() else { return Ok(()) };
    let _turn = lock::alone()?;
    let mut containerd = Containerd::start(programs)?;
    let given = Scratch::new("given")?;
    let gate = given.join("gate");
    ensure!(Command::new("mkfifo").arg(&gate).status()?.success(), "no fifo");
    // Whoever comes late finds its line all the same.
    let mut gate = File::options().read(true).write(true).open(&gate)?;
    let watch = Watch::builder()
        .backend("ebpf")
        .ring_bytes(16 << 20)
        .arg("--events")
        .arg("process")
        .arg("--cri-socket")
        .arg(&containerd.socket().to_string_lossy())
        .start()?;
    let before = anonymous_kib(watch.pid())?;
    let tags: HashMap<_, _> = (0..CONTAINERS).map(|n| (format!("tag-{n}"), id(n))).collect();
    for (tag, id) in &tags {
        let script = format!(
            "read x < /given/gate; i=0; while [ $i -lt {PROCESSES} ]; do /bin/busybox true {tag}; \
             i=$((i+1)); done; : > /given/{tag}; read x < /given/gate"
        );
        containerd.run(id, &script, given.path(), None)?;
    }
    gate.write_all(&[b'\n'; CONTAINERS])?;
    let deadline = Instant::now() + PATIENCE;
    let is_over = |tag: &String| given.join(tag).exists();
    while !tags.keys().all(is_over) {
        ensure!(Instant::now() < deadline, "the containers are not done after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(50));
    }
    gate.write_all(&[b'\n'; CONTAINERS])?;
    let after = anonymous_kib(watch.pid())?;
    let capture = watch.stop()?;
    let audit = capture.audit()?;

    let stream = capture.stream()?;
    let whose = tagged(stream.events().iter(), &tags);
    ensure!(whose.len() == CONTAINERS * PROCESSES, "{} processes were told of", whose.len());
    let mut counts = HashMap::<(&str, &str), usize>::new();
    for event in stream.events().iter().filter(|event| !is_metric(event)) {
        let told = container(event);
        if let Some(expected) = tag(event).and_then(|tag| tags.get(tag)) {
            ensure!(told == Some(expected), "{event}");
        }
        if let Some(expected) = entity(event).and_then(|entity| whose.get(entity)) {
            ensure!(told == Some(expected), "{event}");
            *counts.entry((expected, action(event))).or_default() += 1;
        }
    }
    for id in tags.values() {
        for action in ["fork", "exec", "end"] {
            let told = counts.get(&(&**id, action)).copied().unwrap_or_default();
            ensure!(told == PROCESSES, "{told} times {action} in {id}, not {PROCESSES}: {audit:?}");
        }
    }
    // Fifty containers, their names and a thread that asks for them; what the kernel's ring takes is not in it.
    ensure!(after <= before + GROWTH_KIB, "from {before} to {after} KiB of memory");
    eprintln!(
        "{} events of {CONTAINERS} containers; from {before} to {after} KiB",
        3 * whose.len()
    );
    Ok(())
}

/// Memory of a process's own.
fn anonymous_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok());
    kib.context("no RssAnon")
}
