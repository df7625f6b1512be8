//! What a program has to say of itself.
//!
//! ```text
//! event of `tracing` -> levels -> layer -> repeats -> sink   stderr: people, files, journald, or a pipe
//!                                            \-> alerts      from error up, to be written as events
//! ```
//!
//! ```text
//! levels   which messages, by module          ids      every message that has a number, and what to do
//! layer    an event becomes a record          record   how a record is written
//! repeats  identical ones are summed          alerts   what is to go out as an event
//! sink, stderr, files, journal   where records go      pipe   from a worker to its service
//! ```
//!
//! Of a program that starts itself again for its work, only the first process writes to a disk or to somebody
//! else's pipe. A worker's lines reach it by a pipe of its own: the worker never waits for a disk, what it said
//! before it was killed is still there, and two files have one writer. Whoever writes to a pipe looks first whether there is room for the line
//! (up to `PIPE_BUF`, `pipe(7)`), and counts what there is no room for.

mod alerts;
mod files;
pub mod ids;
mod journal;
mod layer;
mod level;
mod levels;
mod pipe;
mod record;
mod repeats;
mod settings;
mod sink;
mod stderr;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

pub use alerts::{Alert, hand_over, take as take_alerts};
pub use level::Level;
pub use levels::Levels;
pub use pipe::{Ear, PIPE};
pub use settings::{Destination, MAX_FILE_BYTES, MIN_FILE_BYTES, Settings};

use crate::clock;
use crate::panics;
use layer::Recorder;
use record::Record;
use repeats::Repeats;
use sink::Sink;

/// Levels that an operator asks for without touching the configuration; they win.
const VARIABLE: &str = "WANGLOU_LOG";

static LOG: OnceLock<Log> = OnceLock::new();

/// The log of this process.
struct Log {
    process: Process,
    levels: reload::Handle<Levels, Registry>,
    /// Whether the environment has said which levels.
    pinned: bool,
    /// Whether something waits to be summed.
    held: AtomicBool,
    state: Mutex<State>,
}

struct State {
    repeats: Repeats,
    sink: Sink,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// The program as it is installed, `wanglou-sensor`; its files are named by what is behind `wanglou-`.
    pub program: &'static str,
    /// The process among those of the program, as lines have it.
    pub name: &'static str,
    /// What it is there for.
    pub role: Role,
}

/// What a process is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To run for as long as the host does: who reads its standard error is a file or a journal, unless it is a
    /// terminal.
    Service,
    /// To do one thing for another process, and to end where it cannot.
    Helper,
    /// To work for a service, or for somebody at a terminal.
    Other,
}

/// Begins, once in a process: notices and up to stderr, unless the environment says otherwise.
pub fn init(process: Process) {
    let of = |name| std::env::var(name).ok().map(|text| text.parse::<Levels>());
    let (asked, misunderstood) = match of(VARIABLE) {
        Some(Err(what)) => (None, Some(what)),
        asked => (asked.and_then(Result::ok), None),
    };
    let pinned = asked.is_some();
    let levels = asked.or_else(|| of(PIPE)?.ok()).unwrap_or_default();
    let (levels, handle) = reload::Layer::new(levels);
    let state = State { repeats: Repeats::default(), sink: Sink::stderr(process, pinned) };
    let log = Log {
        process,
        levels: handle,
        pinned,
        held: AtomicBool::new(false),
        state: Mutex::new(state),
    };
    if LOG.set(log).is_ok() {
        tracing_subscriber::registry().with(levels).with(Recorder).init();
    }
    if let Some(what) = misunderstood.filter(|_| process.role != Role::Helper) {
        tracing::warn!(id = ids::MISUNDERSTOOD.code, "{VARIABLE}: {what}");
    }
    panics::tell();
}

/// Writes from now on where the settings say, from the levels that they say.
pub fn configure(settings: &Settings) {
    set_level(&settings.level);
    if let Some(log) = LOG.get() {
        log.lock().sink.direct(settings);
    }
}

/// Tells from now on what has these levels, unless the environment has said which.
pub fn set_level(levels: &Levels) {
    let Some(log) = LOG.get().filter(|log| !log.pinned) else { return };
    // It fails only where there is no subscriber any more.
    let _ = log.levels.reload(levels.clone());
    ::log::set_max_level(levels.facade());
}

/// Writes the sums that are due; costs next to nothing where there are none.
pub fn tick() {
    flush(false);
}

/// Writes all that is left, before an end.
pub fn finish() {
    flush(true);
}

fn flush(all: bool) {
    if let Some(log) = LOG.get().filter(|log| log.held.load(Ordering::Relaxed)) {
        let mut state = log.lock();
        state.flush(clock::boot_ns(), all);
        log.held.store(state.repeats.holds_any(), Ordering::Relaxed);
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of our own.
    fn record(&self, record: &Record<'_>) {
        // One who panics while it writes shall not wait for itself.
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(_) if std::thread::panicking() => return,
            Err(_) => self.lock(),
        };
        state.record(record, clock::boot_ns());
        self.held.store(state.repeats.holds_any(), Ordering::Relaxed);
    }

    /// One of another process of ours, which has summed already.
    fn pass_on(&self, record: &Record<'_>, is_last_word: bool) {
        let now = clock::boot_ns();
        if is_last_word {
            alerts::add(record, now);
        }
        self.lock().sink.write(record, now);
    }
}

impl State {
    fn record(&mut self, record: &Record<'_>, now: u64) {
        self.flush(now, false);
        if record.id.is_empty() || self.repeats.admit(record, now) {
            self.write(record, now);
        }
    }

    fn flush(&mut self, now: u64, all: bool) {
        for sum in self.repeats.due(now, all) {
            self.write(&sum.record(), now);
        }
    }

    fn write(&mut self, record: &Record<'_>, now: u64) {
        if record.level <= Level::Error {
            alerts::add(record, now);
        }
        self.sink.write(record, now);
    }
}
