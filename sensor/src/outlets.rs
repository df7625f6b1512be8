//! Every output at once: each has its queue, its books and its own choice of events.
//!
//! When an output is full, events are left in their source, and what does not fit there is counted there. But
//! one output shall not hold up the others for long: once its [`Credit`] is used up, what does not fit into its
//! queue is lost to it, the dearest last ([`Action::worth`]), until it has caught up.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context as _, Result};
use wanglou_api::event::Event;

use crate::action::{Action, Category, Worth};
use crate::books::Books;
use crate::clock::{self, Clock};
use crate::credit::Credit;
use crate::host::Host;
use crate::ledger::{Balance, ByAction, Cause};
use crate::log::Alert;
use crate::outlet::Outlet;
use crate::output::{self, Destination, File, Format, Intake, Outputs, Selection, Sink, Stdout};
use crate::queue::{OnFailure, Queue};
use crate::rate::Rate;
use crate::uplink::Uplink;

/// All of them.
#[derive(Debug)]
pub struct Outlets {
    lanes: Vec<Lane>,
    holes: Holes,
    /// Events so far, and what the last one was.
    reported: u64,
    last: Option<Action>,
}

/// An output among others.
#[derive(Debug)]
struct Lane {
    outlet: Outlet,
    /// What it takes.
    taken: Selection,
    rate: Rate,
    credit: Credit,
    /// It has held up the others for too long, and has not caught up since.
    is_slow: bool,
}

/// What came to light when somebody asked for losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// There are some.
    pub any: bool,
    /// What that means for the process table.
    pub holes: Holes,
}

/// Whether the process table may be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holes {
    /// It is not.
    #[default]
    None,
    /// We gave up events to save work: listing all processes meanwhile would cost more than they do.
    Chosen,
    /// Events got lost.
    Suffered,
}

impl Outlets {
    /// Those that are asked for. A lone standard output that takes no more ends all
    /// the work, by way of `wake`; every other output is tried again. `last` may have left half a line; `uplink` leads
    /// to who keeps what the fleet is to have.
    pub fn open(
        host: &'static Host,
        outputs: &Outputs,
        format: Format,
        books: &Books,
        last: Option<&Books>,
        mut uplink: Option<OwnedFd>,
        wake: impl FnOnce() + Send + 'static,
    ) -> Result<Self> {
        let is_alone = Destination::ALL.into_iter().filter(|it| outputs.has(*it)).count() == 1;
        let (mut format, mut wake) = (Some(format), Some(wake));
        let mut open = |of: Destination| {
            let (sink, format, on_failure): (Box<dyn Sink>, _, _) = match of {
                Destination::Uplink => {
                    let socket = uplink.take().context("there is no socket for the uplink")?;
                    let sink = Uplink::new(socket, host, books.clone());
                    (Box::new(sink), Some(Format::Protobuf), OnFailure::GoOn)
                }
                Destination::Stdout => {
                    let on_failure = match wake.take().filter(|_| is_alone) {
                        Some(wake) => OnFailure::End(Box::new(wake)),
                        None => OnFailure::GoOn,
                    };
                    (Box::new(stdout_after(last)?), format.take(), on_failure)
                }
                Destination::File => {
                    (Box::new(File::new(outputs.file.clone())), None, OnFailure::GoOn)
                }
            };
            Lane::new(host, of, outputs.intake(of), format, sink, on_failure, books)
        };
        let wanted = Destination::ALL.into_iter().filter(|it| outputs.has(*it));
        let mut outlets = Self::of(wanted.map(&mut open).collect::<Result<_>>()?);
        outlets.observe(&Selection::of(&books.wanted()));
        Ok(outlets)
    }

    fn of(lanes: Vec<Lane>) -> Self {
        Self { lanes, holes: Holes::None, reported: 0, last: None }
    }

    /// For a last line in each that takes one now.
    pub fn for_a_line(host: &'static Host, outputs: &Outputs, last: &Books) -> Result<Self> {
        let books = Books::new()?;
        let mut lanes = Vec::new();
        for of in Destination::ALL.into_iter().filter(|it| outputs.has(*it)) {
            let sink: Box<dyn Sink> = match of {
                Destination::Stdout if !output::takes_a_line_now() => continue,
                Destination::Stdout => Box::new(stdout_after(Some(last))?),
                Destination::File => Box::new(File::for_a_line(outputs.file.clone())),
                // Whoever keeps its batches closes its books too.
                Destination::Uplink => continue,
            };
            let intake = outputs.intake(of);
            lanes.push(Lane::new(host, of, intake, None, sink, OnFailure::GoOn, &books)?);
        }
        Ok(Self::of(lanes))
    }

    /// Events that have been reported so far.
    pub fn reported(&self) -> u64 {
        self.reported
    }

    /// Whether an action has been reported after so many events, as the last of them.
    pub fn has_reported(&self, action: Action, before: u64) -> bool {
        self.reported > before && self.last == Some(action)
    }

    /// Whether a line has been begun and not been finished, as whoever wrote it panicked.
    pub fn is_interrupted(&self) -> bool {
        self.lanes.iter().any(|lane| lane.outlet.is_interrupted())
    }

    /// The process table may be wrong, for whatever reason.
    pub fn mistrust_the_table(&mut self) {
        self.holes = Holes::Suffered;
    }

    /// Takes events of these and no others from now on, within what each output takes.
    pub fn observe(&mut self, observed: &Selection) {
        for lane in &mut self.lanes {
            lane.outlet.observe(lane.taken.and(observed));
        }
    }

    /// An event happened.
    pub fn report(&mut self, action: Action, event: &mut Event<'_>) {
        (self.reported, self.last) = (self.reported + 1, Some(action));
        for lane in &mut self.lanes {
            if !lane.outlet.wants(action) {
                continue;
            }
            match lane.refuses(action) {
                None => lane.outlet.report(action, event),
                Some(cause) => {
                    lane.outlet.lose(cause, action, 1);
                }
            }
        }
    }

    /// Events were lost before they could be reported.
    pub fn lose(&mut self, cause: Cause, action: Action, events: u64) {
        for outlet in self.outlets_mut() {
            outlet.lose(cause, action, events);
        }
        // Even if nobody wants to be told of processes: connections need to know their owners.
        if events > 0 && action.category() != Some(Category::Network) {
            self.holes = self.holes.max(match cause {
                Cause::Throttled | Cause::Shed => Holes::Chosen,
                _ => Holes::Suffered,
            });
        }
    }

    /// Notes the losses since this was last asked, all of them younger than `whole_until`, boot-clock ns.
    pub fn note_losses(&mut self, whole_until: u64) -> Noted {
        let mut any = false;
        for outlet in self.outlets_mut() {
            any |= outlet.note_losses(whole_until);
        }
        Noted { any, holes: std::mem::take(&mut self.holes) }
    }

    /// Waits until those that may be waited for have room for more; `false` if they have not within
    /// `patience`.
    pub fn wait_for_room(&mut self, patience: Duration) -> bool {
        if let [lone] = &mut self.lanes[..] {
            return lone.outlet.wait_for_room(patience);
        }
        let (mut any, mut held_up) = (false, false);
        for lane in &mut self.lanes {
            let has_room = lane.wait_for_room(patience);
            any |= has_room;
            held_up |= !has_room && !lane.is_slow;
        }
        if !any && let Some(first) = self.lanes.first_mut() {
            // All of them are stuck: whoever moves first is noticed a moment later.
            return first.outlet.wait_for_room(patience);
        }
        any && !held_up
    }

    /// Hands over what has been written so far.
    pub fn flush(&mut self) {
        let now = clock::boot_ns();
        for lane in &mut self.lanes {
            lane.outlet.flush();
            lane.rate.refill(now);
        }
    }

    /// Tells each of its losses until `end`, and of what was rebuilt after them; one that takes nothing now
    /// is told another time.
    pub fn report_gap(&mut self, clock: Clock, end: u64, recovered: &ByAction) {
        for outlet in self.taking() {
            outlet.report_gap(clock, end, recovered);
        }
    }

    /// Tells of something that went wrong with the sensor itself.
    pub fn report_alert(&mut self, clock: Clock, alert: &Alert) {
        for outlet in self.taking() {
            outlet.report_alert(clock, alert);
        }
    }

    /// Tells of the time in which nobody worked, and of what was lost with the one before.
    pub fn report_pause(&mut self, clock: Clock, pause: (u64, u64), last: &Books) {
        for outlet in self.outlets_mut() {
            outlet.report_pause(clock, pause, last);
        }
    }

    /// Writes the books as they stand to those that take anything.
    pub fn report_ledgers(&mut self, clock: Clock, now: u64) {
        for outlet in self.taking() {
            outlet.report_ledger(clock, now);
        }
    }

    /// Writes the last books, whoever takes them.
    pub fn report_last(&mut self, clock: Clock, now: u64) -> Vec<(Destination, Balance)> {
        let report = |it: &mut Outlet| (it.destination(), it.report_ledger(clock, now));
        self.outlets_mut().map(report).collect()
    }

    /// Writes the last books of a run that was killed, as it would have itself.
    pub fn report_killed(&mut self, clock: Clock, now: u64, killed: &Books) {
        for outlet in self.outlets_mut() {
            outlet.report_killed(clock, now, killed);
            // What comes next begins a line.
            killed.account(outlet.destination()).writing.set(0);
        }
    }

    /// Why the output that ends the work takes no more.
    pub fn take_failure(&self) -> Option<io::Error> {
        self.lanes.iter().find_map(|lane| lane.outlet.take_failure())
    }

    /// Waits until everything is written; says which output is stuck, if one is.
    pub fn settle(&mut self, patience: Duration) -> Option<Destination> {
        let mut stuck = None;
        for outlet in self.outlets_mut() {
            if !outlet.settle(patience) {
                stuck = Some(outlet.destination());
            }
        }
        stuck
    }

    /// Writes the rest and ends; says why writing failed.
    pub fn close(self, patience: Duration) -> Option<io::Error> {
        let mut failure = None;
        for lane in self.lanes {
            failure = lane.outlet.close(patience).or(failure);
        }
        failure
    }

    /// Those that have room: what is not counted would pile up in the others.
    fn taking(&mut self) -> impl Iterator<Item = &mut Outlet> {
        self.outlets_mut().filter(|outlet| !outlet.is_failing() && outlet.fill() < 1.0)
    }

    fn outlets_mut(&mut self) -> impl Iterator<Item = &mut Outlet> {
        self.lanes.iter_mut().map(|lane| &mut lane.outlet)
    }
}

impl Lane {
    fn new(
        host: &'static Host,
        of: Destination,
        intake: &Intake,
        format: Option<Format>,
        sink: Box<dyn Sink>,
        on_failure: OnFailure,
        books: &Books,
    ) -> Result<Self> {
        let queue = Queue::start(books.clone(), of, sink, intake.queue_bytes, on_failure)
            .context("cannot start the output thread")?;
        let format = format.unwrap_or(Format::Json);
        let (taken, now) = (intake.events, clock::boot_ns());
        let outlet = Outlet::new(host, of, taken, format, queue, books.clone());
        let rate = Rate::full(intake.events_per_second, now);
        Ok(Self { outlet, taken, rate, credit: Credit::full(now), is_slow: false })
    }

    /// Why an event does not go into its queue.
    fn refuses(&mut self, action: Action) -> Option<Cause> {
        if self.is_slow && self.outlet.fill() >= give_up_at(action.worth()) {
            return Some(Cause::QueueFull);
        }
        (!self.rate.takes(action.worth())).then_some(Cause::Throttled)
    }

    /// Waits for room for as long as its credit lasts; one that has caught up is not slow any more.
    fn wait_for_room(&mut self, patience: Duration) -> bool {
        if self.is_slow {
            self.is_slow = self.outlet.fill() > CAUGHT_UP;
            return self.outlet.wait_for_room(Duration::ZERO);
        }
        if self.outlet.wait_for_room(Duration::ZERO) {
            return true;
        }
        let began = clock::boot_ns();
        let left = self.credit.left(began);
        let has_room = self.outlet.wait_for_room(patience.min(left));
        self.credit.spend(Duration::from_nanos(clock::boot_ns() - began));
        self.is_slow = !has_room && left <= patience;
        has_room
    }
}

/// Behind what the last worker wrote, which may be half a line.
fn stdout_after(last: Option<&Books>) -> Result<Stdout<std::fs::File>> {
    let is_broken = last.is_some_and(|it| it.account(Destination::Stdout).writing.get() != 0);
    Stdout::open(is_broken).context("cannot write to standard output")
}

/// How full the queue of one that has caught up is.
const CAUGHT_UP: f64 = 0.25;

/// How full a queue is, 1 being full, when it takes no more events that are worth so much.
fn give_up_at(worth: Worth) -> f64 {
    match worth {
        Worth::Least => 0.5,
        Worth::Less => 0.7,
        Worth::More => 0.85,
        Worth::Most => 1.0,
    }
}
