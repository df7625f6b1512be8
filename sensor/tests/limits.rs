//! A cgroup of the worker's own, where it is asked for.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use wanglou_testkit::{bins, lock, root_or_skip, service::Service, sys};

const LIMITS: [&str; 4] = [
    "sensor.backend=ebpf",
    "sensor.events=process",
    "limits.memory_bytes=134217728",
    "limits.cpu_percent=50",
];
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_worker_has_the_limits_that_it_is_given() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let service = Service::start(&LIMITS)?;
    let told = service.told()?;
    if told.contains("the worker has no limits of its own") {
        eprintln!("skipped: {told}");
        return service.stop().map(drop);
    }
    let folders = cgroups(service.worker()?)?;
    for (expected, files) in [
        ("134217728", ["memory.max", "memory.limit_in_bytes"]),
        ("50000", ["cpu.max", "cpu.cfs_quota_us"]),
    ] {
        let has = |folder: &PathBuf, file| fs::read_to_string(folder.join(file)).ok();
        let all = || folders.iter().flat_map(|folder| files.map(|file| has(folder, file)));
        let values: Vec<_> = all().flatten().collect();
        ensure!(values.iter().any(|it| it.starts_with(expected)), "{files:?}: {values:?}");
    }
    let supervisor = cgroups(service.pid())?;
    ensure!(folders.iter().all(|it| !supervisor.contains(it)), "the supervisor is limited too");

    // A worker that is killed leaves nothing in the way of the next.
    let first = service.worker()?;
    sys::kill(first, libc::SIGKILL)?;
    until(|| Ok(service.worker().is_ok_and(|worker| worker != first)))?;
    until(|| Ok(cgroups(service.worker()?)? == folders))?;
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    for folder in folders {
        ensure!(!folder.exists(), "{} is left", folder.display());
    }
    Ok(())
}

#[test]
fn what_a_killed_supervisor_leaves_goes_at_the_next_start() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let service = Service::start(&LIMITS)?;
    if service.told()?.contains("the worker has no limits of its own") {
        eprintln!("skipped: {}", service.told()?);
        return service.stop().map(drop);
    }
    let worker = service.worker()?;
    let folders = cgroups(worker)?;
    sys::kill(service.pid(), libc::SIGKILL)?;
    until(|| Ok(!Path::new(&format!("/proc/{worker}/exe")).exists()))?;
    ensure!(folders.iter().all(|folder| folder.exists()), "somebody has removed them");
    // The dead are buried, or they would still be somebody.
    drop(service);
    let next = Service::start(&["sensor.backend=ebpf", "sensor.events=process"])?;
    for folder in folders {
        ensure!(!folder.exists(), "{} is left", folder.display());
    }
    next.stop().map(drop)
}

#[test]
fn limits_that_blind_the_breaker_are_refused() -> Result<()> {
    let output = Command::new(bins::sensor()?)
        .args(["run", "--set", "limits.cpu_percent=4", "--set", "limits.memory_bytes=67108864"])
        .output()?;
    ensure!(output.status.code() == Some(1), "it ended with {}", output.status);
    let told = String::from_utf8(output.stderr)?;
    ensure!(told.lines().count() == 2 && told.contains("blind the breaker"), "it says: {told}");
    Ok(())
}

/// The folders of a process's cgroups that are ours.
fn cgroups(pid: u32) -> Result<Vec<PathBuf>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mut folders = Vec::new();
    for line in fs::read_to_string(format!("/proc/{pid}/cgroup"))?.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let controller = fields.next().context("no controller")?;
        let path = fields.next().context("no path")?;
        let Some(name) = Path::new(path).file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if !name.starts_with("wanglou-worker.") {
            continue;
        }
        let kind = if controller.is_empty() { " - cgroup2 " } else { " - cgroup " };
        let is_it = |mount: &&str| {
            mount.contains(kind)
                && mount.rsplit(',').any(|option| controller.is_empty() || option == controller)
        };
        let mount = mounts.lines().find(is_it).context("no mount")?;
        let point = mount.split(' ').nth(4).context("no mount point")?;
        folders.push(Path::new(point).join(path.trim_start_matches('/')));
    }
    ensure!(folders.iter().all(|folder| folder.is_dir()), "{folders:?}");
    Ok(folders)
}

fn until(mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds().unwrap_or(false) {
        ensure!(Instant::now() < deadline, "it does not come to be");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
