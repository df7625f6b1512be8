//! The way of an event: from its source to standard output, until it is told to end or the reader goes away.

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use crate::action::{Action, Category};
use crate::books::{self, Books};
use crate::clock::{self, Clock};
use crate::enrich::Enricher;
use crate::gap::Gap;
use crate::host::Host;
use crate::image;
use crate::kernel::Request;
use crate::ledger::{Balance, Cause};
use crate::observation::Observation;
use crate::outlet::Outlet;
use crate::output::Format;
use crate::privileges;
use crate::queue::Queue;
use crate::reconcile;
use crate::source::{self, Backend, Source};

/// How often the ring is looked at; it wakes us earlier when a quarter of it is full.
const ROUND: Duration = Duration::from_millis(100);
/// How often the books are written.
const LEDGER_NS: u64 = 10_000_000_000;
/// Losses that go on are told of so often.
const GAP_NS: u64 = 1_000_000_000;
/// Time for the output to take the rest at the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// What to do.
#[derive(Debug)]
pub struct Options {
    /// Which way to see.
    pub backend: Backend,
    /// How to write.
    pub format: Format,
    /// What to report.
    pub events: Vec<Category>,
    /// What the probes are to do.
    pub request: Request,
    /// What is to be written into.
    pub books: Books,
    /// Those of the worker before this one, if there was one, closed.
    pub last: Option<Books>,
}

/// Works until `stop`, or until the output takes no more; calls `attached` before anything is written.
pub async fn work(
    options: Options,
    stop: impl Future<Output = ()>,
    attached: impl FnOnce(&dyn Source) -> io::Result<()>,
) -> Result<ExitCode> {
    let run = clock::boot_ns();
    // Every event borrows it, to the end of the process.
    let host: &'static Host = Box::leak(Box::new(Host::read(run)?));
    let Options { backend, format, events, request, books, last } = options;

    let source = source::open(backend, &request, &books)?;
    let attached_at = clock::boot_ns();
    let whole_until = last.as_ref().map_or(attached_at, |last| last.page().whole_until.get());
    books.page().whole_until.set(whole_until);
    attached(&*source).context("cannot say what is attached")?;
    books.page().run.set(run);
    privileges::keep_reading_only().context("cannot give up capabilities")?;
    let output_ended = Arc::new(Notify::new());
    let queue = start_output(&output_ended, &books).context("cannot start the output thread")?;
    let wake = wake_up(&*source).context("cannot poll the source of events")?;

    let enricher = Enricher::new(host);
    let outlet = Outlet::new(host, events, format, queue, books.clone());
    let mut worker = Worker::new(source, enricher, outlet, books);
    if let Some(last) = &last {
        worker.report_pause(last);
    }
    worker.begin(attached_at)?;

    let mut round = interval(ROUND);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut busy = false;
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = output_ended.notified() => return worker.output_ended(),
            () = tokio::task::yield_now(), if busy => {}
            ready = wake.readable() => ready.context("cannot poll the source of events")?.clear_ready(),
            _ = round.tick() => {}
        }
        busy = worker.round()?;
    }
    worker.finish()
}

fn start_output(ended: &Arc<Notify>, books: &Books) -> io::Result<Queue> {
    let ended = Arc::clone(ended);
    // Standard output unbuffered: chunks are large, and a half-written one must be noticed.
    let output = std::fs::File::from(rustix::io::dup(rustix::stdio::stdout())?);
    Queue::start(books.clone(), output, move || ended.notify_one())
}

fn wake_up(source: &dyn Source) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = source.wake().try_clone_to_owned()?;
    // SAFETY: the descriptor is our own copy and stays open and the same until it is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

/// The way of an event, from its source to the outlet.
struct Worker {
    source: Box<dyn Source>,
    enricher: Enricher,
    outlet: Outlet,
    /// Boot-clock time at which nothing was missing that has not been told of, ns.
    whole_until: u64,
    gap: Option<Gap>,
    next_ledger: u64,
    books: Books,
}

impl Worker {
    fn new(source: Box<dyn Source>, enricher: Enricher, outlet: Outlet, books: Books) -> Self {
        let now = clock::boot_ns();
        let next_ledger = now + LEDGER_NS;
        Self { source, enricher, outlet, whole_until: now, gap: None, next_ledger, books }
    }

    /// Tells of the time in which nobody worked, and of what was lost with the one before.
    fn report_pause(&mut self, last: &Books) {
        let page = last.page();
        let mut gap = Gap::since(page.whole_until.get());
        gap.end = self.whole_until;
        let lost = books::read(&page.dropped[Cause::WorkerKilled as usize]);
        for (action, events) in Action::ALL.into_iter().zip(lost) {
            gap.lost.add(Cause::WorkerKilled, action, events);
        }
        self.outlet.report_gap(self.enricher.clock(), &gap);
    }

    /// Builds the table, and says that we are ready.
    fn begin(&mut self, attached: u64) -> Result<()> {
        self.whole_until = attached;
        reconcile::begin(&mut *self.source, &mut self.enricher, &mut self.outlet, attached)
            .context("cannot list the processes of this host")?;
        let mut listed = Listed::for_output(&mut self.enricher, &mut self.outlet);
        self.source
            .sockets(&mut |seen| listed.observe(seen))
            .context("cannot list the sockets of this host")?;
        self.outlet.flush();
        let page = self.books.page();
        page.whole_until.set(attached);
        page.ready.set(1);
        let (processes, _) = self.enricher.table_size();
        eprintln!("wanglou-sensor: ready: {}; {processes} processes", self.source.describe());
        image::give_back_the_beginning();
        Ok(())
    }

    /// Takes what waits, and does what is due; `true` if there is more at once.
    fn round(&mut self) -> Result<bool> {
        self.enricher.adjust_clock();
        let more = self.take();
        self.source.flush_log();
        self.take_overdue(false)?;
        self.look_for_losses()?;
        self.books.page().whole_until.set(self.whole_until);
        let now = clock::boot_ns();
        if now >= self.next_ledger && self.outlet.wait_for_room(Duration::ZERO) {
            self.next_ledger = now + LEDGER_NS;
            self.outlet.report_ledger(self.enricher.clock(), now);
        }
        self.outlet.flush();
        Ok(more)
    }

    /// Moves events on for at most a round, and no faster than the output takes them.
    fn take(&mut self) -> bool {
        let until = clock::boot_ns() + ROUND.as_nanos() as u64;
        while clock::boot_ns() < until {
            if !self.outlet.wait_for_room(ROUND) {
                return true;
            }
            let (enricher, outlet) = (&mut self.enricher, &mut self.outlet);
            if !self.source.drain(&mut |seen| enricher.observe(seen, outlet)) {
                return false;
            }
        }
        true
    }

    fn take_overdue(&mut self, last: bool) -> Result<()> {
        // What a stuck output does not take can wait where it is.
        if !last && !self.outlet.wait_for_room(Duration::ZERO) {
            return Ok(());
        }
        let mut listed = Listed::for_output(&mut self.enricher, &mut self.outlet);
        self.source
            .overdue(last, &mut |seen| listed.observe(seen))
            .context("cannot list the connections of this host")
    }

    /// Tells of losses, and mends, when they are over or have gone on for long.
    fn look_for_losses(&mut self) -> Result<()> {
        let lost = self.book_losses();
        // What a stuck output does not take would only have to wait in between.
        let Some(gap) = self.gap.filter(|_| self.outlet.wait_for_room(Duration::ZERO)) else {
            return Ok(());
        };
        if !lost || gap.end > gap.start + GAP_NS { self.mend() } else { Ok(()) }
    }

    /// Books what was lost since the last look; `true` if that is anything.
    fn book_losses(&mut self) -> bool {
        let outlet = &mut self.outlet;
        let all =
            self.source.losses(&mut |cause, action, events| outlet.lose(cause, action, events));
        let (lost, now) = (outlet.take_losses(), clock::boot_ns());
        if lost.total() > 0 {
            let gap = self.gap.get_or_insert(Gap::since(self.whole_until));
            gap.lost.merge(&lost);
            gap.end = now;
        } else if self.gap.is_none() && all {
            self.whole_until = now;
        }
        lost.total() > 0
    }

    fn mend(&mut self) -> Result<()> {
        let Some(mut gap) = self.gap.take() else { return Ok(()) };
        if gap.lost.concern_processes() {
            gap.recovered =
                reconcile::mend(&mut *self.source, &mut self.enricher, &mut self.outlet)
                    .context("cannot list the processes of this host again")?;
        }
        self.whole_until = gap.end;
        self.outlet.report_gap(self.enricher.clock(), &gap);
        Ok(())
    }

    /// Detaches, takes what is left, writes the last books.
    fn finish(mut self) -> Result<ExitCode> {
        self.source.detach();
        self.take_overdue(true)?;
        while self.outlet.wait_for_room(PATIENCE) {
            let (enricher, outlet) = (&mut self.enricher, &mut self.outlet);
            if !self.source.drain(&mut |seen| enricher.observe(seen, outlet)) {
                break;
            }
        }
        self.book_losses();
        self.mend()?;
        if !self.outlet.settle(PATIENCE) {
            bail!("standard output takes nothing: the last events are not written");
        }
        let (_, forgotten) = self.enricher.table_size();
        if forgotten > 0 {
            tracing::warn!(
                forgotten,
                "the process table was full: later events of these know less"
            );
        }
        let balance = self.outlet.report_ledger(self.enricher.clock(), clock::boot_ns());
        let failure = self.outlet.close(PATIENCE);
        conclude(failure, &balance)
    }

    fn output_ended(mut self) -> Result<ExitCode> {
        self.source.detach();
        let balance = self.outlet.report_ledger(self.enricher.clock(), clock::boot_ns());
        conclude(self.outlet.take_failure(), &balance)
    }
}

/// What comes from a list, which may be long and cannot be put off once it has begun: it goes no faster
/// than the output takes it, and what a stuck one does not take is lost.
struct Listed<'a> {
    enricher: &'a mut Enricher,
    outlet: &'a mut Outlet,
    patience: Duration,
}

impl<'a> Listed<'a> {
    fn for_output(enricher: &'a mut Enricher, outlet: &'a mut Outlet) -> Self {
        Self { enricher, outlet, patience: PATIENCE }
    }

    fn observe(&mut self, seen: &Observation<'_>) {
        if self.outlet.wait_for_room(self.patience) {
            return self.enricher.observe(seen, self.outlet);
        }
        // It is waited for once, not for each.
        self.patience = Duration::ZERO;
        self.outlet.lose(Cause::QueueFull, seen.action.name(), 1);
    }
}

/// A reader that goes away has seen enough; every other failure is one.
fn conclude(failure: Option<io::Error>, balance: &Balance) -> Result<ExitCode> {
    let (produced, delivered, dropped) = balance.totals();
    match failure {
        Some(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Some(error) => bail!(
            "cannot write to standard output: {error}: {} events are not written; make room or \
             write elsewhere",
            produced - delivered - dropped
        ),
        None => eprintln!(
            "wanglou-sensor: done: {produced} events, {delivered} written, {dropped} dropped"
        ),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the last ledger of a run whose worker was killed, in its stead.
pub fn write_last_ledger(killed: &Books) -> Result<()> {
    // A supervisor may have to do this for years.
    static HOST: OnceLock<Host> = OnceLock::new();
    let now = clock::boot_ns();
    let host = match HOST.get() {
        Some(host) => host,
        None => HOST.get_or_init({
            let host = Host::read(now)?;
            || host
        }),
    };
    let (books, ended) = (Books::new()?, Arc::default());
    let queue = start_output(&ended, &books).context("cannot start the output thread")?;
    let mut outlet = Outlet::new(host, Vec::new(), Format::Json, queue, books);
    outlet.report_killed(Clock::now(), now, killed);
    // A reader that has gone away needs no ledger.
    let _ = outlet.close(PATIENCE);
    Ok(())
}
