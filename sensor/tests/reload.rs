//! Other settings while the sensor works: by SIGHUP, and by a file that changes.

use std::{
    fs, os::unix::process::CommandExt as _, path::PathBuf, process::Command, thread, time::Duration,
};

use anyhow::{Context, Result, ensure};
use wanglou_testkit::{
    event::{action, field},
    lock, root_or_skip,
    scratch::Scratch,
    service::{READY, Service, balanced, by_run},
    sys,
};

const SETTINGS: &str = ": settings: ";
const STAY: &str = "the settings in force stay";

/// A service with a file of settings.
struct Configured {
    service: Service,
    file: PathBuf,
    _scratch: Scratch,
}

impl Configured {
    fn start(text: &str, settings: &[&str]) -> Result<Self> {
        Self::start_as(text, settings, |_| ())
    }

    fn start_as(text: &str, settings: &[&str], prepare: impl FnOnce(&mut Command)) -> Result<Self> {
        let scratch = Scratch::new("reload")?;
        let file = scratch.join("sensor.toml");
        fs::write(&file, text)?;
        let service = Service::start_as(settings, |command| {
            command.arg("--config").arg(&file);
            prepare(command);
        })?;
        Ok(Self { service, file, _scratch: scratch })
    }

    /// Writes the file anew, and says so.
    fn reload(&self, text: &str) -> Result<()> {
        fs::write(&self.file, text)?;
        sys::kill(self.service.pid(), libc::SIGHUP)?;
        Ok(())
    }
}

#[test]
fn what_can_be_applied_at_once_is() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let mut it = Configured::start("", &["sensor.backend=ebpf", "sensor.events=process"])?;
    let worker = it.service.worker()?;
    it.reload("[budget]\ncpu_percent = 4000\nsamples = 7\n")?;
    it.service.wait_for(SETTINGS, 1)?;
    let told = it.service.told()?;
    let line = "budget.cpu_percent 5 -> 4000 at once; budget.samples 10 -> 7 at once";
    ensure!(told.contains(line), "{told}");

    sys::kill(it.service.pid(), libc::SIGHUP)?;
    it.service.wait_for("settings: nothing has changed", 1)?;
    // A file that was written anew with the same in it is not worth a word, nor is one that is gone.
    fs::write(&it.file, "[budget]\nsamples = 7\ncpu_percent = 4000\n")?;
    thread::sleep(Duration::from_secs(4));
    fs::remove_file(&it.file)?;
    thread::sleep(Duration::from_secs(3));
    let told = it.service.told()?;
    ensure!(told.matches(SETTINGS).count() == 2, "{told}");
    ensure!(it.service.worker()? == worker, "another worker");
    let (status, _) = it.service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

#[test]
fn a_budget_that_is_changed_counts() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    // A ring that is mapped twice and filled by a storm is more than the new budget allows.
    let mut it = Configured::start("", &["sensor.backend=ebpf", "sensor.ring_bytes=67108864"])?;
    it.reload("[budget]\ncpu_percent = 0.1\nsamples = 2\nmemory_bytes = 16777216\n")?;
    let storm = wanglou_testkit::storm::start(5_000, 2)?;
    it.service.wait_for("breaker open: ", 1)?;
    storm.finish()?;
    let (status, _) = it.service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

#[test]
fn the_rest_is_applied_by_a_new_worker() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let mut it = Configured::start("", &["sensor.backend=ebpf"])?;
    let worker = it.service.worker()?;
    it.reload("[network]\ninclude_loopback = true\n")?;
    it.service.wait_for(READY, 2)?;
    let told = it.service.told()?;
    let line = "network.include_loopback false -> true by a new worker";
    ensure!(told.contains(line), "{told}");
    ensure!(it.service.worker()? != worker, "the same worker");
    let (status, lines) = it.service.stop()?;
    ensure!(status.success(), "it ended with {status}");

    let runs = by_run(&lines)?;
    ensure!(runs.len() == 2, "{} runs", runs.len());
    for run in &runs {
        let (dropped, unknown) = balanced(run)?;
        ensure!(dropped.is_empty() && unknown == 0, "dropped {dropped:?}, unknown {unknown}");
    }
    let gap = runs[1].iter().find(|line| action(line) == "gap").context("no gap")?;
    let lost = field(gap, "wanglou.gap.lost");
    ensure!(
        lost.is_none_or(|lost| lost.as_object().is_some_and(serde_json::Map::is_empty)),
        "{gap}"
    );
    Ok(())
}

/// `systemctl kill --signal=HUP` reaches every process of a service.
#[test]
fn a_worker_does_not_end_by_sighup() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let mut it = Configured::start("", &["sensor.backend=ebpf", "sensor.events=process"])?;
    let worker = it.service.worker()?;
    for pid in [worker, it.service.pid()] {
        sys::kill(pid, libc::SIGHUP)?;
    }
    it.service.wait_for("settings: nothing has changed", 1)?;
    let (status, lines) = it.service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    ensure!(by_run(&lines)?.len() == 1, "another worker");
    Ok(())
}

/// Settings may be right and yet not be for this host: a worker that cannot begin leaves the host as it was.
#[test]
fn what_no_worker_can_begin_with_is_taken_back() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let mut it = Configured::start_as("", &["sensor.events=process"], |command| {
        // What a backend of probes needs, and the connector does not: <linux/capability.h>.
        const SYS_ADMIN: libc::c_ulong = 21;
        const PERFMON: libc::c_ulong = 38;
        const BPF: libc::c_ulong = 39;
        let drop_rights = || {
            for capability in [SYS_ADMIN, PERFMON, BPF] {
                // SAFETY: prctl(2) with a number; it touches no memory.
                if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        };
        // SAFETY: a system call that may be made between fork and exec.
        unsafe { command.pre_exec(drop_rights) };
    })?;
    it.reload("[sensor]\nbackend = \"ebpf\"\n")?;
    it.service.wait_for("those before are in force again", 1)?;
    it.service.wait_for(READY, 2)?;
    let (status, lines) = it.service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    balanced(by_run(&lines)?.last().context("no run")?)?;
    Ok(())
}

#[test]
fn a_bad_file_changes_nothing() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let mut it = Configured::start("", &["sensor.backend=ebpf", "sensor.events=process"])?;
    let worker = it.service.worker()?;
    // By both ways; each time everything that is wrong, once.
    let bad = "[budget]\ncpu_percent = 3\nsamples = 0\n[sensor]\nbackend = \"magic\"\n";
    fs::write(&it.file, bad)?;
    it.service.wait_for(STAY, 2)?;
    it.reload(bad)?;
    it.service.wait_for(STAY, 4)?;
    fs::remove_file(&it.file)?;
    sys::kill(it.service.pid(), libc::SIGHUP)?;
    it.service.wait_for(STAY, 5)?;
    let told = it.service.told()?;
    for place in [":3: budget.samples = 0: it has to be from", ":5: sensor.backend = \"magic\""] {
        ensure!(told.matches(place).count() >= 2, "no {place:?}: {told}");
    }
    ensure!(!told.contains("->"), "{told}");
    ensure!(it.service.worker()? == worker, "another worker");
    let (status, _) = it.service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}

#[test]
fn a_file_that_changes_is_taken_when_it_is_this_hosts_turn() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let mut it = Configured::start("", &["sensor.backend=ebpf", "sensor.spread_seconds=3600"])?;
    let worker = it.service.worker()?;
    fs::write(&it.file, "[network]\ninclude_loopback = true\n[budget]\nsamples = 7\n")?;
    it.service.wait_for(SETTINGS, 1)?;
    let told = it.service.told()?;
    ensure!(told.contains(" false -> true by a new worker in "), "{told}");
    ensure!(told.contains("budget.samples 10 -> 7 at once"), "{told}");
    ensure!(it.service.worker()? == worker, "it was not its turn");
    // Whoever asks by hand need not wait.
    sys::kill(it.service.pid(), libc::SIGHUP)?;
    it.service.wait_for("settings: a new worker takes what has been waiting", 1)?;
    it.service.wait_for(READY, 2)?;
    ensure!(it.service.worker()? != worker, "the same worker");
    let (status, _) = it.service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    Ok(())
}
