//! Sockets that are open at start are all listed, however many, while processes come and go.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use wanglou_testkit::{
    Watch, bins,
    event::{action, pid},
    lock, proc, root_or_skip, storm,
};

/// Resident set at most, whatever the number of sockets.
const MEMORY_KB: u64 = 14 * 1024;
/// Descriptors that a process needs beside its sockets.
const OTHERS: u64 = 100;

#[test]
fn forty_thousand_sockets() -> Result<()> {
    all_are_listed(40_000)
}

#[test]
#[ignore = "takes a minute and a gigabyte of the kernel's memory: nightly"]
fn three_hundred_thousand_sockets() -> Result<()> {
    all_are_listed(300_000)
}

fn all_are_listed(sockets: u64) -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let each = (proc::open_files_limit()? - OTHERS).min(sockets / 2) / 2 * 2;
    let holders = (0..sockets.div_ceil(each)).map(|_| Holder::start(each / 2));
    let holders = holders.collect::<Result<Vec<_>>>()?;
    let storm = storm::start(20_000, 2)?;
    let watch = Watch::builder().backend("ebpf").arg("--include-loopback").start()?;
    let ready = watch.age();
    storm.finish()?;
    let capture = watch.stop()?;

    let audit = capture.audit()?;
    ensure!(audit.dropped_total() == 0, "dropped: {:?}", audit.dropped);
    let mut listed: BTreeMap<u32, u64> = BTreeMap::new();
    for line in capture.lines()? {
        let event = line?;
        if action(&event) == "existing_connection"
            && let Some(pid) = pid(&event)
        {
            *listed.entry(pid).or_default() += 1;
        }
    }
    for holder in &holders {
        let pid = holder.0.id();
        let found = listed.get(&pid).copied().unwrap_or_default();
        ensure!(found == each, "{found} of {each} sockets of {pid} are listed");
    }
    let peak = capture.memory.peak_kb;
    println!("{} sockets in {} ms, {peak} kB", each * holders.len() as u64, ready.as_millis());
    ensure!(peak <= MEMORY_KB, "{peak} kB resident");
    Ok(())
}

/// A process with connections.
struct Holder(Child);

impl Holder {
    fn start(connections: u64) -> Result<Self> {
        let mut child = Command::new(bins::testkit("actor")?)
            .args(["tcp-hold", &connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("no output")?;
        let holder = Self(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        ensure!(line.starts_with("held "), "the connections cannot be had");
        Ok(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
