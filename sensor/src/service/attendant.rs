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
use super::message::{Ready, Start, VERSION};
use super::usage::Meter;
use crate::action::{Action, Category};
use crate::books::Books;
use crate::channel;
use crate::config::Effective;
use crate::kernel::CounterMap;
use crate::outlet::LastRun;
use crate::source;

/// Time for a worker to write the rest when it is told to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// A worker, as its supervisor has it.
pub(super) struct Attendant {
    child: Child,
    socket: AsyncFd<OwnedFd>,
    books: Books,
    /// What it said once it worked, and what its probes count.
    working: Option<Working>,
}

/// What is known of one that works.
struct Working {
    run_id: String,
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
    pub(super) fn start(effective: &Effective, last: Option<&LastRun>) -> io::Result<Self> {
        let (ours, theirs) = channel::pair()?;
        let mut command = std::process::Command::new("/proc/self/exe");
        command.arg0("wanglou-sensor").arg(WORKER).stdin(Stdio::from(theirs));
        let child = Command::from(command).kill_on_drop(true).spawn()?;
        if let Some(worker) = child.id() {
            be_the_first_to_suffer(worker);
        }
        let books = Books::new()?;
        let start = Start {
            version: VERSION,
            config: effective.to_string(),
            last_run: last.map(|last| last.run_id.clone()),
            last_was_killed: last.is_some_and(|last| last.was_killed),
        };
        let mut fds = vec![books.as_fd()];
        fds.extend(last.map(|last| last.books.as_fd()));
        channel::send(&ours, &start, &fds)?;
        // SAFETY: the descriptor is ours and stays open and the same until it is dropped.
        let socket = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE) }?;
        Ok(Self { child, socket, books, working: None })
    }

    /// Waits for its end, and notes meanwhile what it says.
    pub(super) async fn ended(&mut self) -> io::Result<Ended> {
        loop {
            tokio::select! {
                status = self.child.wait() => return Ok(how(status?)),
                readable = self.socket.readable(), if self.working.is_none() => {
                    readable?.clear_ready();
                    // An end that is closed says no more: its process is about to be gone.
                    match channel::receive::<Ready>(self.socket.get_ref()) {
                        Ok((ready, fds)) => self.working = Some(self.take(ready, fds)?),
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                            return Ok(how(self.child.wait().await?));
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }

    fn take(&self, ready: Ready, fds: Vec<OwnedFd>) -> io::Result<Working> {
        if ready.version != VERSION {
            let other = ready.version;
            return Err(io::Error::other(format!(
                "the worker speaks version {other}, not {VERSION}"
            )));
        }
        let mut fds = fds.into_iter();
        let counters = match fds.next() {
            Some(fd) => Some(CounterMap::map(fd.as_fd(), ready.cpus as usize)?),
            None => None,
        };
        let meter = Meter::of(self.child.id().unwrap_or_default(), fds.collect());
        Ok(Working { run_id: ready.run, counters, meter })
    }

    /// Whether it has ever been ready.
    pub(super) fn has_worked(&self) -> bool {
        self.working.is_some()
    }

    /// What it costs; `None` while it is not ready, as beginning is dear and short.
    pub(super) async fn usage(&mut self) -> Option<Usage> {
        Some(self.working.as_mut()?.meter.sample().await)
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

    /// Closes the books of one that is gone; `None` if it never worked.
    pub(super) fn close_books(self, wanted: &[Category], was_killed: bool) -> Option<LastRun> {
        let Working { run_id, counters, .. } = self.working?;
        if was_killed {
            let totals = counters.map(|counters| counters.totals());
            let seen = totals.iter().flat_map(|totals| Stream::ALL.map(|stream| (stream, totals)));
            let seen = seen.map(|(stream, totals)| {
                (stream, source::action(stream), totals[stream as usize].seen)
            });
            let is_wanted = |action: Action| {
                action.category().is_none_or(|category| wanted.contains(&category))
            };
            self.books.close(seen.filter(|(_, action, _)| is_wanted(*action)));
        }
        Some(LastRun { run_id, books: self.books, was_killed })
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
