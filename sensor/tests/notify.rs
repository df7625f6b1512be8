//! `run` under a service manager: the manager is this test, at the other end of `NOTIFY_SOCKET`.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use wanglou_testkit::{
    lock, root_or_skip,
    scratch::Scratch,
    service::{READY, Service},
    sys,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// A manager that listens.
struct Manager {
    socket: UnixDatagram,
    scratch: Scratch,
    heard: Vec<(Instant, String)>,
}

impl Manager {
    fn new() -> Result<Self> {
        let scratch = Scratch::new("notify")?;
        let socket = UnixDatagram::bind(scratch.join("socket"))?;
        Ok(Self { socket, scratch, heard: Vec::new() })
    }

    /// Has a service notify it.
    fn of(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", self.scratch.join("socket")).env("WATCHDOG_USEC", "4000000");
    }

    /// Waits for a message that begins so, and returns it.
    fn wait_for(&mut self, start: &str) -> Result<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "no {start:?}: {:?}", self.heard);
            self.socket.set_read_timeout(Some(left))?;
            let mut bytes = [0; 4096];
            let length = self.socket.recv(&mut bytes).with_context(|| format!("no {start:?}"))?;
            let message = String::from_utf8(bytes[..length].to_vec())?;
            self.heard.push((Instant::now(), message.clone()));
            if message.starts_with(start) {
                return Ok(message);
            }
        }
    }

    /// The longest time between two signs of life since a moment.
    fn longest_silence(&self, since: Instant) -> Duration {
        let signs = self.heard.iter().filter(|(at, it)| *at >= since && it.contains("WATCHDOG=1"));
        let moments: Vec<_> = std::iter::once(since).chain(signs.map(|(at, _)| *at)).collect();
        let silences = moments.windows(2).map(|pair| pair[1] - pair[0]);
        silences.max().unwrap_or(PATIENCE)
    }
}

#[test]
fn the_manager_hears_of_a_whole_life() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::shared()?;
    let mut manager = Manager::new()?;
    let config = manager.scratch.join("sensor.toml");
    fs::write(&config, "[sensor]\nevents = [\"process\"]\n")?;
    let mut service = Service::start_as(&["sensor.backend=ebpf"], |command| {
        manager.of(command);
        command.arg("--config").arg(&config);
    })?;
    let ready = manager.wait_for("READY=1\n")?;
    ensure!(ready.contains("STATUS=watching: process\n"), "{ready}");
    let began = Instant::now();

    // Whoever the supervisor starts has another life than its own.
    let environment = fs::read(format!("/proc/{}/environ", service.worker()?))?;
    let environment = String::from_utf8_lossy(&environment);
    for variable in ["NOTIFY_SOCKET", "WATCHDOG_USEC"] {
        ensure!(!environment.contains(variable), "the worker has {variable}");
    }

    // Other settings by a new worker: it is reloading for as long as that takes.
    fs::write(&config, "[sensor]\nevents = [\"process\", \"network\"]\n")?;
    sys::kill(service.pid(), libc::SIGHUP)?;
    let reloading = manager.wait_for("RELOADING=1\n")?;
    ensure!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    let ready = manager.wait_for("READY=1\n")?;
    ensure!(ready.contains("STATUS=watching: process, network\n"), "{ready}");
    ensure!(service.told()?.matches(READY).count() == 2, "{}", service.told()?);

    sys::kill(service.worker()?, libc::SIGKILL)?;
    manager.wait_for("STATUS=the worker was ended by signal 9: another one in ")?;
    manager.wait_for("READY=1\n")?;

    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1\n")?;
    }
    let silence = manager.longest_silence(began);
    ensure!(silence < Duration::from_secs(4), "nothing for {silence:?}: {:?}", manager.heard);

    service.wait_for(READY, 3)?;
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    manager.wait_for("STOPPING=1\n")?;
    Ok(())
}

/// At rest there is no worker, and the supervisor lives all the same.
#[test]
fn a_rest_is_no_end() -> Result<()> {
    if !root_or_skip() {
        return Ok(());
    }
    let _turn = lock::alone()?;
    let mut manager = Manager::new()?;
    // More memory than a worker may have: it is over its budget at once.
    let settings = [
        "sensor.backend=ebpf",
        "sensor.ring_bytes=67108864",
        "budget.memory_bytes=16777216",
        "budget.cpu_percent=0.1",
        "budget.samples=1",
    ];
    let storm = wanglou_testkit::storm::start(5_000, 2)?;
    let service = Service::start_as(&settings, |command| manager.of(command))?;
    manager.wait_for("STATUS=breaker open: ")?;
    storm.finish()?;
    let began = Instant::now();
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1\n")?;
    }
    let silence = manager.longest_silence(began);
    ensure!(silence < Duration::from_secs(4), "nothing for {silence:?}: {:?}", manager.heard);
    ensure!(service.worker().is_err(), "somebody works");
    let (status, _) = service.stop()?;
    ensure!(status.success(), "it ended with {status}");
    manager.wait_for("STOPPING=1\n")?;
    Ok(())
}
