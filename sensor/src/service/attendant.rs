use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, getpriority_process, kill_process, setpriority_process};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use wanglou_sensor_common::counters::Stream;

use super::WORKER;
use super::breaker::Usage;
use super::message::{self, Attached, Said, Start, VERSION};
use super::usage::Meter;
use crate::action::{Action, Category};
use crate::books::Books;
use crate::channel;
use crate::config::Effective;
use crate::kernel::CounterMap;
use crate::source;
use crate::telemetry::{self, State};

/// Time for a worker to write the rest when it is told to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// A worker, as its supervisor has it.
pub(super) struct Attendant {
    child: Child,
    socket: AsyncFd<OwnedFd>,
    books: Books,
    attached: Option<Probes>,
    state: State,
}

/// The probes of a worker.
struct Probes {
    counters: Option<CounterMap>,
    meter: Meter,
}

/// How a worker ended.
pub(super) enum Ended {
    /// By itself.
    Done(ExitCode),
    /// By a signal.
    Killed(i32),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(_) => f.write_str("has failed"),
            Self::Killed(signal) => write!(f, "was ended by signal {signal}"),
        }
    }
}

impl Attendant {
    /// Starts one, and hands it the closed books of the one before.
    pub(super) fn start(
        effective: &Effective,
        last: Option<&Books>,
        state: &State,
    ) -> io::Result<Self> {
        let (ours, theirs) = channel::pair()?;
        let mut command = std::process::Command::new("/proc/self/exe");
        command.arg0("wanglou-sensor").arg(WORKER).stdin(Stdio::from(theirs));
        if effective.config.telemetry.heap_accumulated {
            let (name, value) = telemetry::ACCUMULATED;
            command.env(name, value);
        }
        let child = Command::from(command).kill_on_drop(true).spawn()?;
        if let Some(worker) = child.id() {
            be_the_first_to_suffer(worker);
        }
        let books = Books::new()?;
        let start = Start { version: VERSION, config: effective.to_string() };
        let mut fds = vec![books.as_fd()];
        fds.extend(last.map(|last| last.as_fd()));
        // A pipe that is broken here is no reader that has seen enough.
        channel::send(&ours, &start, &fds)
            .map_err(|error| io::Error::other(format!("it does not listen: {error}")))?;
        state.begins(child.id().unwrap_or_default(), books.clone(), ours.try_clone()?);
        // SAFETY: the descriptor is ours and stays open and the same until it is dropped.
        let socket = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE) }?;
        Ok(Self { child, socket, books, attached: None, state: state.clone() })
    }

    /// Waits for its end, and notes meanwhile what it says.
    pub(super) async fn ended(&mut self) -> io::Result<Ended> {
        loop {
            tokio::select! {
                // What it said before its end comes first.
                biased;
                readable = self.socket.readable() => {
                    let mut ready = readable?;
                    match channel::try_receive::<Said>(self.socket.get_ref()) {
                        Ok((said, fds)) => self.hear(said, fds)?,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            ready.clear_ready();
                        }
                        // One that does not speak any more is about to be gone.
                        Err(_) => return Ok(how(self.child.wait().await?)),
                    }
                }
                status = self.child.wait() => return Ok(how(status?)),
            }
        }
    }

    fn hear(&mut self, said: Said, fds: Vec<OwnedFd>) -> io::Result<()> {
        if said.version != VERSION {
            let other = said.version;
            return Err(io::Error::other(format!(
                "the worker speaks version {other}, not {VERSION}"
            )));
        }
        if let Some(heap) = said.heap {
            let profile = fds.into_iter().next().ok_or_else(|| {
                io::Error::other(heap.error.unwrap_or_else(|| "nothing came".to_owned()))
            });
            self.state.heap(profile);
        } else if let Some(attached) = said.attached {
            self.attached = Some(self.take(attached, fds)?);
        }
        Ok(())
    }

    fn take(&self, attached: Attached, fds: Vec<OwnedFd>) -> io::Result<Probes> {
        let mut fds = fds.into_iter();
        let map = fds.next();
        let counters = || {
            let map = map.as_ref().map(|map| CounterMap::map(map.as_fd(), attached.cpus as usize));
            map.transpose()
        };
        let (counters, theirs) = (counters()?, counters()?);
        let meter = Meter::of(self.child.id().unwrap_or_default(), fds.collect());
        let probe = |it: message::Probe| telemetry::Probe { name: it.name, instead: it.instead };
        let probes = attached.probes.into_iter().map(probe).collect();
        let describes = attached.describes;
        self.state.attached(telemetry::Attached { describes, probes, counters: theirs });
        Ok(Probes { counters, meter })
    }

    /// Whether it has told of all that was there at its start.
    pub(super) fn is_ready(&self) -> bool {
        self.books.page().ready.get() != 0
    }

    /// What it costs; `None` while it is not ready, as beginning is dear and short.
    pub(super) async fn usage(&mut self, matters: bool) -> Option<Usage> {
        if !self.is_ready() {
            return None;
        }
        Some(self.attached.as_mut()?.meter.sample(matters).await)
    }

    /// Tells it to end and waits, for as long as there is hope.
    pub(super) async fn stop(&mut self) -> Result<ExitCode> {
        if let Some(pid) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // One that has just ended needs no signal.
            let _ = kill_process(pid, Signal::TERM);
        }
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => Ok(match how(status.context("cannot wait for the worker")?) {
                Ended::Done(code) => code,
                Ended::Killed(_) => ExitCode::FAILURE,
            }),
            Err(_) => {
                eprintln!("wanglou-sensor: the worker does not end: it is killed");
                self.child.kill().await.context("cannot kill the worker")?;
                Ok(ExitCode::FAILURE)
            }
        }
    }

    /// Its books, now that it is gone; those of one that could not close them itself are closed. `None` if
    /// it has not written anything.
    pub(super) fn close_books(self, wanted: &[Category], was_killed: bool) -> Option<Books> {
        if self.books.page().run.get() == 0 {
            return None;
        }
        if was_killed {
            let totals = self.attached.and_then(|it| it.counters).map(|it| it.totals());
            let seen = totals.iter().flat_map(|totals| Stream::ALL.map(|stream| (stream, totals)));
            let seen = seen.map(|(stream, totals)| {
                (stream, source::action(stream), totals[stream as usize].seen)
            });
            let is_wanted = |action: Action| {
                action.category().is_none_or(|category| wanted.contains(&category))
            };
            self.books.close(seen.filter(|(_, action, _)| is_wanted(*action)));
        }
        Some(self.books)
    }
}

/// Where the host is short of memory or of CPU, the worker goes without before anybody else does: the kernel
/// ends it first (`oom_score_adj`, `proc_pid_oom_score_adj(5)`), and others run before it.
fn be_the_first_to_suffer(worker: u32) {
    const FIRST: &str = "1000";
    const NICER: i32 = 5;
    let path = format!("/proc/{worker}/oom_score_adj");
    if let Err(error) = fs::write(&path, FIRST) {
        tracing::warn!(%error, path, "the worker is not the first to be ended");
    }
    let pid = Pid::from_raw(worker.cast_signed());
    let nicer = getpriority_process(pid).and_then(|now| setpriority_process(pid, now + NICER));
    if let Err(error) = nicer {
        tracing::warn!(%error, "the worker is as important as others");
    }
}

fn how(status: ExitStatus) -> Ended {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Ended::Killed(signal),
        (None, Some(0)) => Ended::Done(ExitCode::SUCCESS),
        (None, _) => Ended::Done(ExitCode::FAILURE),
    }
}
