//! The way of an event: from its source to standard output, until it is told to end or the reader goes away.
//!
//! ```text
//! begin   what was before, what is there already     losses   what was lost on the way     end   the last books
//! ```

mod begin;
mod end;
mod losses;

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::sleep;

use begin::Listed;
pub use end::write_last_ledgers;

use crate::books::Books;
use crate::clock;
use crate::container::{Asker, Containers, Sockets};
use crate::enrich::Enricher;
use crate::gap::Gap;
use crate::host::Host;
use crate::kernel::Request;
use crate::log;
use crate::module::{self, Module, Modules};
use crate::outlets::{Holes, Outlets};
use crate::output::{Format, Outputs};
use crate::privileges;
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
}
