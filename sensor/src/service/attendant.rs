use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, getpriority_process, kill_process, setpriority_process};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use wanglou_daemon::service::NOTIFY_VARIABLES;
use wanglou_sensor_common::counters::Stream;

use super::WORKER;
use super::breaker::Usage;
use super::cgroup::{Cgroup, CgroupError};
use super::message::{self, Asked, Attached, Said, Start, VERSION};
use super::usage::Meter;
use crate::action::Category;
use crate::books::Books;
use crate::channel;
use crate::config::{Config, Effective};
use crate::kernel::CounterMap;
use crate::log::{self, Alert, Ear, Levels, ids};
use crate::output::{Destination, Selection};
use crate::source;
use crate::telemetry::{self, State};
use crate::uplink::Keeping;

/// Time for a worker to write the rest when it is told to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// A worker, as its supervisor has it.
pub(super) struct Attendant {
    child: Child,
    socket: AsyncFd<OwnedFd>,
    books: Books,
    attached: Option<Probes>,
    said: Ear,
    /// Those that it is to write.
    alerts: Vec<Alert>,
    /// Gone after its process.
    _cgroup: Option<Cgroup>,
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
    /// Starts one, and hands it the closed books of the one before; it gives up what is worth less than the
    /// level `shed`, and hands over what the fleet is to have to who is `keeping` it.
    pub(super) async fn start(
        effective: &Effective,
        last: Option<&Books>,
        shed: u32,
        state: &State,
        keeping: Option<&Keeping>,
    ) -> io::Result<Self> {
        // Version 2 wants nobody where the worker would be until it is moved.
        let cgroup = Cgroup::new(&effective.config.limits).inspect_err(without_limits).ok();
        let (ours, theirs) = channel::pair()?;
        let (said, stderr) = Ear::new(log::WORKER, &[log::LOADER])?;
        let mut command = std::process::Command::new("/proc/self/exe");
        command.arg0("wanglou-sensor").arg(WORKER).stdin(Stdio::from(theirs));
        for variable in NOTIFY_VARIABLES {
            command.env_remove(variable);
        }
        command.stderr(stderr).env(log::PIPE, effective.config.log.level.to_string());
        if effective.config.heap_accumulated {
            let (name, value) = telemetry::ACCUMULATED;
            command.env(name, value);
        }
        let child = Command::from(command).kill_on_drop(true).spawn()?;
        if let Some(worker) = child.id() {
            be_the_first_to_suffer(worker);
        }
        // It waits for us to say what to do: whatever it takes is counted.
        let cgroup = child.id().zip(cgroup).and_then(|(worker, cgroup)| {
            cgroup.take(worker).map(|()| cgroup).inspect_err(without_limits).ok()
        });
        let mut effective = effective.clone();
        // Where nobody can keep anything for the fleet, a host is watched all the same.
        effective.config.outputs.is_uplink_on &= keeping.is_some();
        let keeping = keeping.filter(|_| effective.config.outputs.has(Destination::Uplink));
        let (books, uplink) = match keeping {
            None => (Books::new()?, None),
            Some(keeping) => {
                let (ours, theirs) = channel::stream()?;
                let books = keeping.books().await?;
                if let Some(last) = last {
                    // Should we be killed now, these are all that knows of it.
                    books.begin_after(last);
                }
                keeping.attend(ours, books.clone()).await;
                (books, Some(theirs))
            }
        };
        books.page().shed.set(shed.into());
        books.want(&effective.config.events);
        let (config, alerts) = (effective.to_string(), log::take_alerts());
        let start = Start { version: VERSION, config, alerts, has_uplink: uplink.is_some() };
        let mut fds = vec![books.as_fd()];
        fds.extend(uplink.as_ref().map(|uplink| uplink.as_fd()));
        fds.extend(last.map(|last| last.as_fd()));
        // A pipe that is broken here is no reader that has seen enough.
        if let Err(error) = channel::send(&ours, &start, &fds) {
            log::hand_over(start.alerts);
            return Err(io::Error::other(format!("it does not listen: {error}")));
        }
        state.begins(child.id().unwrap_or_default(), books.clone(), ours.try_clone()?);
        // SAFETY: the descriptor is ours and stays open and the same until it is dropped.
        let socket = unsafe { AsyncFd::register_with_interest(ours, Interest::READABLE) }?;
        let alerts = start.alerts;
        Ok(Self {
            child,
            socket,
            books,
            attached: None,
            state: state.clone(),
            said,
            alerts,
            _cgroup: cgroup,
        })
    }

    /// Waits for its end, and notes meanwhile what it says.
    pub(super) async fn ended(&mut self) -> io::Result<Ended> {
        let status = loop {
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
                        Err(_) => break self.child.wait().await?,
                    }
                }
                () = self.said.listen() => {}
                status = self.child.wait() => break status?,
            }
        };
        // What it said last explains its end.
        self.said.drain();
        Ok(how(status))
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
        let about = |n: u32| Category::ALL.into_iter().find(|category| *category as u32 == n);
        let programs = attached.categories.iter().zip(fds);
        let programs = programs.filter_map(|(n, program)| Some((about(*n)?, program))).collect();
        let meter = Meter::of(self.child.id().unwrap_or_default(), programs);
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

    /// Whether it can give up some events and not others: its probes do that.
    pub(super) fn can_shed(&self) -> bool {
        self.attached.as_ref().is_some_and(|it| it.counters.is_some())
    }

    /// Has it give up what is worth less than a level.
    pub(super) fn shed(&self, level: u32) {
        self.books.page().shed.set(level.into());
    }

    /// Has it tell of events of these categories and no others.
    pub(super) fn want(&self, categories: &[Category]) {
        self.books.want(categories);
    }

    /// Has it say what these levels ask for.
    pub(super) fn set_log_level(&self, level: &Levels) {
        let log_level = Some(level.to_string());
        let asked = Asked { version: VERSION, heap: false, log_level };
        // One that is about to be gone says what it always said.
        let _ = channel::try_send(self.socket.get_ref(), &asked, &[]);
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
        let ended = timeout(PATIENCE, self.child.wait()).await;
        self.said.drain();
        match ended {
            Ok(status) => Ok(match how(status.context("cannot wait for the worker")?) {
                Ended::Done(code) => code,
                // Ours found one that had not begun: it has nothing to write.
                Ended::Killed(signal)
                    if signal == Signal::TERM.as_raw() && self.books.page().run.get() == 0 =>
                {
                    ExitCode::SUCCESS
                }
                ended @ Ended::Killed(_) => {
                    tracing::error!(id = ids::WORKER_GONE.code, "told to end, the worker {ended}");
                    ExitCode::FAILURE
                }
            }),
            Err(_) => {
                tracing::error!(
                    id = ids::WORKER_DOES_NOT_END.code,
                    "the worker does not end: it is killed"
                );
                self.child.start_kill().context("cannot kill the worker")?;
                // One that waits for a disk in the kernel ends when that answers.
                if timeout(PATIENCE, self.child.wait()).await.is_err() {
                    bail!(
                        "the worker cannot even be killed: see what it waits for (`ps -o wchan`)"
                    );
                }
                Ok(ExitCode::FAILURE)
            }
        }
    }

    /// Its books, now that it is gone; those of one that could not close them itself are closed. `None` if
    /// it has not written anything.
    pub(super) fn close_books(self, config: &Config, was_killed: bool) -> Option<Books> {
        if !self.is_ready() {
            // It may not have written them.
            log::hand_over(self.alerts);
        }
        if self.books.page().run.get() == 0 {
            return None;
        }
        if was_killed {
            let totals = self.attached.and_then(|it| it.counters).map(|it| it.totals());
            let seen = totals.iter().flat_map(|totals| Stream::ALL.map(|stream| (stream, totals)));
            let seen = seen.map(|(stream, totals)| {
                (stream, source::action(stream), totals[stream as usize].seen)
            });
            let (outputs, observed) = (&config.outputs, Selection::of(&self.books.wanted()));
            self.books.close(seen, |output, action| {
                let wanted = outputs.intake(output).events.and(&observed);
                let action = wanted.standing_for(action);
                (outputs.has(output) && wanted.has(action)).then_some(action)
            });
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
        tracing::warn!(
            id = ids::NOT_FIRST_TO_END.code,
            %error,
            path,
            "the worker is not the first to be ended"
        );
    }
    let pid = Pid::from_raw(worker.cast_signed());
    let nicer = getpriority_process(pid).and_then(|now| setpriority_process(pid, now + NICER));
    if let Err(error) = nicer {
        tracing::warn!(id = ids::NOT_NICER.code, %error, "the worker is as important as others");
    }
}

/// It works all the same where the host does not allow them.
fn without_limits(error: &CgroupError) {
    tracing::warn!(id = ids::NO_LIMITS.code, "the worker has no limits of its own: {error}");
}

fn how(status: ExitStatus) -> Ended {
    match (status.signal(), status.code()) {
        (Some(signal), _) => Ended::Killed(signal),
        (None, Some(0)) => Ended::Done(ExitCode::SUCCESS),
        (None, _) => Ended::Done(ExitCode::FAILURE),
    }
}
