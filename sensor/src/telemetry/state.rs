use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use wanglou_api::sensor::v1::Heartbeat;
use wanglou_daemon::telemetry::Process;

use super::fleet::{self, Link, Spent};
use super::uplink::Uplink;
use crate::books::Books;
use crate::config::Effective;
use crate::kernel::CounterMap;
use crate::ledger::{Balance, Ledger};
use crate::output::{Destination, Outputs};
use crate::service::{Usage, ask_for_heap};

/// What the supervisor knows, for whoever asks; clones share it.
#[derive(Clone, Debug)]
pub struct State(Arc<Mutex<Known>>);

/// Everything of it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) began: Instant,
    pub(super) effective: Effective,
    /// Those of the worker that is there, or of the last one.
    outputs: Outputs,
    pub(super) phase: Phase,
    pub(super) worker: Option<Worker>,
    /// Those of the worker that is there, or of the last one.
    pub(super) books: Option<Books>,
    pub(super) attached: Option<Attached>,
    /// Workers so far.
    pub(super) workers: u64,
    pub(super) breaker: Breaker,
    pub(super) usage: Option<Usage>,
    pub(super) trips: u64,
    /// What is given up: events that are worth less than this.
    pub(super) shed: u32,
    pub(super) link: Link,
    pub(super) uplink: Uplink,
    pub(super) spent: Spent,
}

/// What goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A worker is there.
    Working,
    /// None is, on purpose, until then.
    Resting(Instant),
    /// None is, as one has failed; another is started then.
    Failed(Instant),
    /// None is to be, by order, as the line says.
    Stopped(String),
}

/// As in electricity: closed is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaker {
    Closed,
    HalfOpen,
    Open,
}

impl Breaker {
    pub(super) const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

/// A worker that is there.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) pid: u32,
    socket: OwnedFd,
    /// Whether it owes us a profile, and who waits for it.
    owes: bool,
    waits: Option<oneshot::Sender<io::Result<OwnedFd>>>,
}

/// What a worker says of its source.
#[derive(Debug)]
pub struct Attached {
    /// In a line.
    pub describes: String,
    /// Its probes, if it has any.
    pub probes: Vec<Probe>,
    /// What they count.
    pub counters: Option<CounterMap>,
}

/// A probe of the worker.
#[derive(Debug)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// What serves instead of it; `None`: it is attached.
    pub instead: Option<String>,
}

impl State {
    /// Of a supervisor that has not started a worker yet.
    pub fn new(effective: &Effective) -> Self {
        Self(Arc::new(Mutex::new(Known {
            began: Instant::now(),
            effective: effective.clone(),
            outputs: effective.config.outputs.clone(),
            phase: Phase::Working,
            worker: None,
            books: None,
            attached: None,
            workers: 0,
            breaker: Breaker::Closed,
            usage: None,
            trips: 0,
            shed: 0,
            link: Link::default(),
            uplink: Uplink::default(),
            spent: Spent::new(),
        })))
    }

    /// There is a worker, with these books, that hears through this socket.
    pub(crate) fn begins(&self, pid: u32, books: Books, socket: OwnedFd) {
        let mut known = self.lock();
        known.worker = Some(Worker { pid, socket, owes: false, waits: None });
        known.phase = Phase::Working;
        known.books = Some(books);
        known.outputs = known.effective.config.outputs.clone();
        known.attached = None;
        known.workers += 1;
        if known.breaker == Breaker::Open {
            known.breaker = Breaker::HalfOpen;
        }
    }

    /// It has attached its probes.
    pub(crate) fn attached(&self, attached: Attached) {
        self.lock().attached = Some(attached);
    }

    /// It costs this.
    pub(crate) fn costs(&self, usage: Usage) {
        let mut known = self.lock();
        known.spent.add(&usage);
        known.usage = Some(usage);
    }

    /// Other settings are in force; `true` if it is to listen elsewhere.
    pub(crate) fn configure(&self, effective: &Effective) -> bool {
        let mut known = self.lock();
        let changed = known.effective.config.telemetry.listen != effective.config.telemetry.listen;
        known.effective = effective.clone();
        changed
    }

    /// Events are given up that are worth less than a level.
    pub(crate) fn sheds(&self, level: u32) {
        self.lock().shed = level;
    }

    /// That is too much.
    pub(crate) fn trips(&self) {
        let mut known = self.lock();
        known.trips += 1;
        known.breaker = Breaker::Open;
    }

    /// All is well again.
    pub(crate) fn recovers(&self) {
        self.lock().breaker = Breaker::Closed;
    }

    /// There is no worker for so long.
    pub(crate) fn waits(&self, pause: Duration) {
        let mut known = self.lock();
        let until = Instant::now() + pause;
        let rests = known.breaker == Breaker::Open;
        known.phase = if rests { Phase::Resting(until) } else { Phase::Failed(until) };
        known.worker = None;
    }

    /// There is to be no worker, as the line says; what belonged to the last one is gone.
    pub(crate) fn stops(&self, why: String) {
        let mut known = self.lock();
        known.phase = Phase::Stopped(why);
        known.breaker = Breaker::Closed;
        (known.worker, known.attached, known.usage, known.shed) = (None, None, None, 0);
    }

    /// There is to be one again.
    pub(crate) fn starts(&self) {
        self.lock().phase = Phase::Working;
    }

    /// The link to the fleet has changed.
    pub(crate) fn link<T>(&self, change: impl FnOnce(&mut Link) -> T) -> T {
        change(&mut self.lock().link)
    }

    /// What the fleet gets has changed.
    pub(crate) fn uplink<T>(&self, change: impl FnOnce(&mut Uplink) -> T) -> T {
        change(&mut self.lock().uplink)
    }

    /// How the sensor is now, and what it has cost since this was last asked.
    pub(crate) fn heartbeat(&self) -> Heartbeat {
        fleet::heartbeat(&mut self.lock())
    }

    /// Of the worker that there is: boot-clock time of its start, ns.
    pub(crate) fn run(&self) -> Option<u64> {
        self.lock().run()
    }

    /// Of the configuration in force.
    pub(crate) fn configuration_hash(&self) -> String {
        self.lock().effective.hash()
    }

    /// Here is the profile that the worker was asked for.
    pub(crate) fn heap(&self, answer: io::Result<OwnedFd>) {
        let mut known = self.lock();
        let Some(worker) = &mut known.worker else { return };
        worker.owes = false;
        if let Some(waits) = worker.waits.take() {
            // Who does not wait any more needs no answer.
            let _ = waits.send(answer);
        }
    }

    /// Asks the worker for its heap profile; if it cannot be asked, why. At most one question is on its way, so
    /// that a worker that hears nothing cannot make us wait.
    pub(super) fn ask(&self) -> Result<oneshot::Receiver<io::Result<OwnedFd>>, String> {
        const NO_WORKER: &str = "there is no worker that is ready";
        let mut known = self.lock();
        if !known.is_ready() {
            return Err(NO_WORKER.to_owned());
        }
        let Some(worker) = &mut known.worker else { return Err(NO_WORKER.to_owned()) };
        if worker.owes {
            return Err("the worker has been asked already".to_owned());
        }
        ask_for_heap(worker.socket.as_fd())
            .map_err(|error| format!("the worker cannot be asked: {error}"))?;
        let (waits, answer) = oneshot::channel();
        (worker.owes, worker.waits) = (true, Some(waits));
        Ok(answer)
    }

    /// Everything.
    pub(super) fn lock(&self) -> MutexGuard<'_, Known> {
        // Nobody leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Whether a worker is there and has told of all that was there at its start.
    pub(super) fn is_ready(&self) -> bool {
        let told = self.books.as_ref().is_some_and(|books| books.page().ready.get() != 0);
        self.worker.is_some() && told
    }

    /// Of the worker that there is, once it has begun to count.
    pub(super) fn run(&self) -> Option<u64> {
        let books = self.worker.as_ref().and(self.books.as_ref())?;
        Some(books.page().run.get()).filter(|run| *run != 0)
    }

    /// The books of each output, as they stand.
    pub(super) fn balances(&self) -> impl Iterator<Item = (Destination, Balance)> {
        let of = Destination::ALL.into_iter().filter(|it| self.outputs.has(*it));
        of.filter_map(|it| Some((it, Ledger::of(self.books.clone()?, it).balance())))
    }

    /// Time to the end of the rest.
    pub(super) fn rest(&self) -> Duration {
        match self.phase {
            Phase::Resting(until) => until.saturating_duration_since(Instant::now()),
            Phase::Working | Phase::Failed(_) | Phase::Stopped(_) => Duration::ZERO,
        }
    }

    /// Supervisor and worker.
    pub(super) fn processes(&self) -> Vec<Process> {
        let supervisor = Process::of("supervisor", std::process::id());
        let worker = self.worker.as_ref().and_then(|worker| Process::of("worker", worker.pid));
        supervisor.into_iter().chain(worker).collect()
    }
}
