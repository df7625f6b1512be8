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
use tokio::time::sleep;

use crate::books::Books;
use crate::clock::{self, Clock};
use crate::container::{Asker, Containers, Sockets};
use crate::enrich::Enricher;
use crate::gap::Gap;
use crate::host::Host;
use crate::image;
use crate::kernel::Request;
use crate::ledger::{Balance, ByAction, Cause};
use crate::log::{self, ids};
use crate::module::{self, Module, Modules};
use crate::observation::Observation;
use crate::outlets::{Holes, Outlets};
use crate::output::{Destination, Format, Outputs};
use crate::privileges;
use crate::reconcile;
use crate::service::Budget;
use crate::source::{self, Backend, Source};

/// How often the ring is looked at; it wakes us earlier when a quarter of it is full.
const ROUND: Duration = Duration::from_millis(100);
/// How often while nothing happens: the first that does wakes us at once.
const QUIET_ROUND: Duration = Duration::from_millis(500);
/// How often the books are written.
const LEDGER_NS: u64 = 10_000_000_000;
/// Losses that go on are told of so often.
const GAP_NS: u64 = 1_000_000_000;
/// Losses that we chose are over when there have been none for so long.
const MEND_NS: u64 = 10_000_000_000;
/// Time for the output to take the rest at the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// What to do.
#[derive(Debug)]
pub struct Options {
    /// Which way to see.
    pub backend: Backend,
    /// How to write to standard output.
    pub format: Format,
    /// Where to write.
    pub outputs: Outputs,
    /// What the probes are to do.
    pub request: Request,
    /// What modules may do.
    pub modules: module::Settings,
    /// With how much patience.
    pub budget: Budget,
    /// What is to be written into, and what asks for events.
    pub books: Books,
    /// Those of the worker before this one, if there was one, closed.
    pub last: Option<Books>,
    /// Who can be asked about containers.
    pub runtimes: Sockets,
    /// Leads to who keeps what the fleet is to have, if that is an output.
    pub uplink: Option<OwnedFd>,
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
    let Options {
        backend,
        format,
        outputs,
        request,
        modules,
        budget,
        books,
        last,
        runtimes,
        uplink,
    } = options;

    let source = source::open(backend, &request, &books)?;
    let attached_at = clock::boot_ns();
    match &last {
        Some(last) => books.begin_after(last),
        None => books.page().whole_until.set(attached_at),
    }
    attached(&*source).context("cannot say what is attached")?;
    books.page().run.set(run);
    privileges::give_up(source.reads_others()).context("cannot give up capabilities")?;
    let output_ended = Arc::new(Notify::new());
    let wake_us = {
        let ended = Arc::clone(&output_ended);
        move || ended.notify_one()
    };
    let outlets = Outlets::open(host, &outputs, format, &books, last.as_ref(), uplink, wake_us)?;
    let wake = wake_up(&*source).context("cannot poll the source of events")?;

    let containers = Containers::open(Asker::new(runtimes));
    let modules = Modules::new(Enricher::new(host, containers), &modules, &budget, books.clone());
    let mut worker = Worker::new(source, modules, outlets, books);
    if let Some(last) = &last {
        worker.report_pause(last);
    }
    worker.report_alerts();
    worker.begin(attached_at)?;

    let mut next = worker.round()?;
    tokio::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => break,
            () = output_ended.notified() => return worker.output_ended(),
            () = tokio::task::yield_now(), if next == Next::AtOnce => {}
            ready = wake.readable() => ready.context("cannot poll the source of events")?.clear_ready(),
            () = sleep(next.pause()) => {}
        }
        next = worker.round()?;
    }
    worker.finish()
}

fn wake_up(source: &dyn Source) -> io::Result<AsyncFd<OwnedFd>> {
    let fd = source.wake().try_clone_to_owned()?;
    // SAFETY: the descriptor is our own copy and stays open and the same until it is dropped.
    Ok(unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?)
}

/// When the next round is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// More waits.
    AtOnce,
    /// Something has happened.
    Soon,
    /// Nothing has.
    Later,
}

impl Next {
    fn pause(self) -> Duration {
        match self {
            Self::AtOnce => Duration::ZERO,
            Self::Soon => ROUND,
            Self::Later => QUIET_ROUND,
        }
    }
}

/// The way of an event, from its source to the outlet.
struct Worker {
    source: Box<dyn Source>,
    modules: Modules,
    outlets: Outlets,
    /// Boot-clock time at which nothing was missing that has not been told of, ns.
    whole_until: u64,
    /// Boot-clock time until which all that the source had has been taken from it, ns.
    taken_until: u64,
    gap: Option<Gap>,
    /// Those of gaps that have been told of, for which the table is still to be mended.
    holes: Holes,
    /// When that is done, unless there are new ones; boot-clock time, ns.
    mend_at: u64,
    next_ledger: u64,
    books: Books,
}

impl Worker {
    fn new(source: Box<dyn Source>, modules: Modules, outlets: Outlets, books: Books) -> Self {
        let now = clock::boot_ns();
        let next_ledger = now + LEDGER_NS;
        Self {
            source,
            modules,
            outlets,
            whole_until: now,
            taken_until: now,
            gap: None,
            holes: Holes::None,
            mend_at: 0,
            next_ledger,
            books,
        }
    }

    /// Tells of the time in which nobody worked, and of what was lost with the one before.
    fn report_pause(&mut self, last: &Books) {
        let pause = (last.absent_since(), self.whole_until);
        self.outlets.report_pause(self.modules.clock(), pause, last);
    }

    /// Writes as events what went wrong with the sensor itself.
    fn report_alerts(&mut self) {
        if !self.outlets.wait_for_room(Duration::ZERO) {
            return;
        }
        self.modules.attempt(Module::Own, &mut self.outlets, |modules, outlets| {
            for alert in log::take_alerts() {
                outlets.report_alert(modules.clock(), &alert);
            }
        });
    }

    /// Tells what has been learnt of containers since.
    fn tell_of_containers(&mut self) {
        if !self.outlets.wait_for_room(Duration::ZERO) {
            return;
        }
        self.modules.attempt(Module::Process, &mut self.outlets, |modules, outlets| {
            modules.enricher().tell_of_containers(clock::boot_ns(), outlets);
        });
    }

    /// Builds the table, and says that we are ready.
    fn begin(&mut self, attached: u64) -> Result<()> {
        self.whole_until = attached;
        let source = &mut *self.source;
        let listed =
            self.modules.attempt(Module::Process, &mut self.outlets, |modules, outlets| {
                reconcile::begin(source, modules, outlets, attached)
            });
        match listed {
            Some(listed) => listed.context("cannot list the processes of this host")?,
            None => self.holes = Holes::Suffered,
        }
        self.modules
            .attempt(Module::Network, &mut self.outlets, |modules, outlets| {
                let mut listed = Listed::for_output(modules, outlets);
                source.sockets(&mut |seen| listed.observe(seen))
            })
            .transpose()
            .context("cannot list the sockets of this host")?;
        self.outlets.flush();
        let page = self.books.page();
        page.whole_until.set(attached);
        page.ready.set(1);
        let (processes, _) = self.modules.enricher().table_size();
        let how = self.source.describe();
        tracing::info!(id = ids::READY.code, "ready: {how}; {processes} processes");
        image::give_back();
        Ok(())
    }

    /// Takes what waits, and does what is due.
    fn round(&mut self) -> Result<Next> {
        self.modules.enricher().adjust_clock();
        let taken = self.take();
        self.source.flush_log();
        log::tick();
        self.report_alerts();
        self.tell_of_containers();
        self.take_overdue(false)?;
        self.look_for_losses()?;
        // Now that all from before somebody switched a module on or off has been told of.
        self.modules.look(&mut self.outlets);
        self.source.shed(self.modules.levels());
        // What is still to be taken goes with us.
        self.books.page().whole_until.set(self.whole_until.min(self.taken_until));
        let now = clock::boot_ns();
        if now >= self.next_ledger && self.outlets.wait_for_room(Duration::ZERO) {
            self.next_ledger = now + LEDGER_NS;
            self.modules.attempt(Module::Own, &mut self.outlets, |modules, outlets| {
                outlets.report_ledgers(modules.clock(), now);
            });
        }
        self.outlets.flush();
        if taken == Next::Later && self.source.wake_at_once() {
            // What came while we asked has woken nobody.
            return Ok(self.take());
        }
        Ok(taken.min(Next::Soon))
    }

    /// Moves events on for at most a round, and no faster than the output takes them.
    fn take(&mut self) -> Next {
        let until = clock::boot_ns() + ROUND.as_nanos() as u64;
        let mut next = Next::Later;
        loop {
            let now = clock::boot_ns();
            if now >= until || !self.outlets.wait_for_room(ROUND) {
                return Next::AtOnce;
            }
            let (modules, outlets) = (&mut self.modules, &mut self.outlets);
            if !self.source.drain(&mut |seen| modules.observe(seen, outlets)) {
                self.taken_until = now;
                return next;
            }
            next = Next::Soon;
        }
    }

    fn take_overdue(&mut self, last: bool) -> Result<()> {
        // What a stuck output does not take can wait where it is.
        if !last && !self.outlets.wait_for_room(Duration::ZERO) {
            return Ok(());
        }
        let (source, outlets) = (&mut *self.source, &mut self.outlets);
        let mut look = |modules: &mut Modules, outlets: &mut Outlets| {
            let mut listed = Listed::for_output(modules, outlets);
            source.overdue(last, &mut |seen| listed.observe(seen))
        };
        // The kernel's tables have to be looked through even if nobody wants to know.
        let done = if self.modules.runs(Module::Network) {
            self.modules.attempt(Module::Network, outlets, look).transpose()
        } else {
            look(&mut self.modules, outlets).map(Some)
        };
        done.map(drop).context("cannot list the connections of this host")
    }

    /// Tells of losses, and mends, when they are over or have gone on for long.
    fn look_for_losses(&mut self) -> Result<()> {
        let lost = self.book_losses();
        // What a stuck output does not take would only have to wait in between.
        if !self.outlets.wait_for_room(Duration::ZERO) {
            return Ok(());
        }
        match self.gap {
            Some(gap) if !lost || gap.end > gap.start + GAP_NS => self.end_gap(gap, false),
            Some(_) => Ok(()),
            None if self.holes != Holes::None && clock::boot_ns() >= self.mend_at => {
                self.end_gap(Gap::since(self.whole_until), true)
            }
            None => {
                // One that took nothing then may have losses that it has not been told of.
                let (clock, none) = (self.modules.clock(), ByAction::default());
                self.outlets.report_gap(clock, self.whole_until, &none);
                Ok(())
            }
        }
    }

    /// Books what was lost since the last look; `true` if that is anything.
    fn book_losses(&mut self) -> bool {
        let (modules, outlets) = (&mut self.modules, &mut self.outlets);
        let all = self.source.losses(&mut |cause, action, events| {
            modules.lose(cause, action, events, outlets);
        });
        let (noted, now) = (outlets.note_losses(self.whole_until), clock::boot_ns());
        if noted.any {
            let gap = self.gap.get_or_insert(Gap::since(self.whole_until));
            gap.end = now;
            gap.holes = gap.holes.max(noted.holes);
            self.mend_at = now + MEND_NS;
        } else if self.gap.is_none() && all {
            self.whole_until = now;
        }
        if !noted.any && noted.holes != Holes::None {
            // Nobody misses them, but who owns a connection is known from the table.
            self.holes = self.holes.max(noted.holes);
            self.mend_at = now + MEND_NS;
        }
        noted.any
    }

    /// Tells of a gap. After losses that we chose the table is mended only once they have been `over` for
    /// long, and never while nobody keeps it.
    fn end_gap(&mut self, gap: Gap, over: bool) -> Result<()> {
        self.gap = None;
        let holes = gap.holes.max(std::mem::take(&mut self.holes));
        let mut recovered = ByAction::default();
        match holes {
            Holes::None => {}
            Holes::Chosen if !over => self.holes = holes,
            Holes::Chosen | Holes::Suffered => {
                let source = &mut *self.source;
                let mended =
                    self.modules.attempt(Module::Process, &mut self.outlets, |modules, outlets| {
                        reconcile::mend(source, modules, outlets)
                    });
                match mended {
                    Some(mended) => {
                        recovered =
                            mended.context("cannot list the processes of this host again")?;
                    }
                    None => (self.holes, self.mend_at) = (holes, clock::boot_ns() + MEND_NS),
                }
            }
        }
        self.whole_until = gap.end;
        self.outlets.report_gap(self.modules.clock(), gap.end, &recovered);
        Ok(())
    }

    /// Detaches, takes what is left, writes the last books.
    fn finish(mut self) -> Result<ExitCode> {
        self.source.detach();
        self.take_overdue(true)?;
        while self.outlets.wait_for_room(PATIENCE) {
            let (modules, outlets) = (&mut self.modules, &mut self.outlets);
            if !self.source.drain(&mut |seen| modules.observe(seen, outlets)) {
                break;
            }
        }
        self.book_losses();
        if self.gap.is_some() || self.holes != Holes::None {
            let gap = self.gap.unwrap_or(Gap::since(self.whole_until));
            self.end_gap(gap, true)?;
        }
        if let Some(stuck) = self.outlets.settle(PATIENCE) {
            bail!("{} takes nothing: the last events are not written", stuck.name());
        }
        let (_, forgotten) = self.modules.enricher().table_size();
        if forgotten > 0 {
            tracing::warn!(
                id = ids::TABLE_FULL.code,
                forgotten,
                "the process table was full: later events of these know less"
            );
        }
        log::finish();
        self.report_alerts();
        let balances = self.outlets.report_last(self.modules.clock(), clock::boot_ns());
        let failure = self.outlets.close(PATIENCE);
        conclude(failure.as_ref(), &balances)
    }

    fn output_ended(mut self) -> Result<ExitCode> {
        self.source.detach();
        let balances = self.outlets.report_last(self.modules.clock(), clock::boot_ns());
        conclude(self.outlets.take_failure().as_ref(), &balances)
    }
}

/// What comes from a list, which may be long and cannot be put off once it has begun: it goes no faster
/// than the output takes it, and what a stuck one does not take is lost.
struct Listed<'a> {
    modules: &'a mut Modules,
    outlets: &'a mut Outlets,
    patience: Duration,
}

impl<'a> Listed<'a> {
    fn for_output(modules: &'a mut Modules, outlets: &'a mut Outlets) -> Self {
        Self { modules, outlets, patience: PATIENCE }
    }

    fn observe(&mut self, seen: &Observation<'_>) {
        if self.outlets.wait_for_room(self.patience) {
            return self.modules.observe(seen, self.outlets);
        }
        // It is waited for once, not for each.
        self.patience = Duration::ZERO;
        self.modules.lose(Cause::QueueFull, seen.action.name(), 1, self.outlets);
    }
}

/// A reader that goes away has seen enough; every other failure is one.
fn conclude(failure: Option<&io::Error>, balances: &[(Destination, Balance)]) -> Result<ExitCode> {
    if failure.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return Ok(ExitCode::SUCCESS);
    }
    for (output, balance) in balances {
        let (produced, delivered, dropped) = balance.totals();
        if let Some(error) = failure {
            bail!(
                "cannot write to standard output: {error}: {} events are not written; make room \
                 or write elsewhere",
                produced - delivered - dropped
            );
        }
        let of = if balances.len() > 1 { format!("{}: ", output.name()) } else { String::new() };
        tracing::info!(
            id = ids::DONE.code,
            "done: {of}{produced} events, {delivered} written, {dropped} dropped"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the last ledgers of a run whose worker was killed, in its stead.
pub fn write_last_ledgers(killed: &Books, outputs: &Outputs) -> Result<()> {
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
    let mut outlets = Outlets::for_a_line(host, outputs, killed)?;
    outlets.report_killed(Clock::now(), now, killed);
    // A reader that has gone away needs no ledger.
    let _ = outlets.close(PATIENCE);
    Ok(())
}
