//! Where events leave the sensor by one output: numbered, marked with host and run, written as lines, booked.

use std::io;
use std::time::Duration;

use wanglou_api::event::{
    Boot, Event, EventMeta, Gap as GapView, Host as HostView, Log, Run, Strings, Wanglou,
};

use crate::action::Action;
use crate::books::{self, Books};
use crate::clock::Clock;
use crate::host::Host;
use crate::ledger::{Balance, ByAction, Cause, Ledger, Losses};
use crate::log::Alert;
use crate::output::{Destination, Format, Selection};
use crate::queue::{Chunk, Queue};

/// One output with its queue and its books.
#[derive(Debug)]
pub struct Outlet {
    host: &'static Host,
    of: Destination,
    wanted: Selection,
    format: Format,
    queue: Queue,
    chunk: Chunk,
    /// Whether a line is under way.
    writing: bool,
    ledger: Ledger,
    /// Those that nobody has noted yet.
    fresh: Losses,
    /// Those that no gap has told of yet, and since when there are any, boot-clock ns.
    losses: Losses,
    since: Option<u64>,
    /// Those at the output itself that have been noted, of the whole run.
    failed: ByAction,
}

impl Outlet {
    /// An outlet of this host's events of some categories, with the books that the queue has too.
    pub fn new(
        host: &'static Host,
        of: Destination,
        wanted: Selection,
        format: Format,
        queue: Queue,
        books: Books,
    ) -> Self {
        Self {
            host,
            of,
            wanted,
            format,
            queue,
            chunk: Chunk::default(),
            writing: false,
            ledger: Ledger::of(books, of),
            fresh: Losses::default(),
            losses: Losses::default(),
            since: None,
            failed: ByAction::default(),
        }
    }

    /// Which one it is.
    pub fn destination(&self) -> Destination {
        self.of
    }

    /// Whether somebody asked for it.
    pub fn wants(&self, action: Action) -> bool {
        self.wanted.has(action)
    }

    /// Wants these from now on.
    pub fn observe(&mut self, wanted: Selection) {
        self.wanted = wanted;
    }

    /// An event happened that is wanted.
    pub fn report(&mut self, action: Action, event: &mut Event<'_>) {
        self.ledger.produce(action);
        self.write(Some(action), event);
    }

    /// Events were lost before they could be reported.
    pub fn lose(&mut self, cause: Cause, action: Action, events: u64) {
        let action = self.wanted.standing_for(action);
        if events > 0 && self.wanted.has(action) {
            self.ledger.lose(cause, action, events);
            self.fresh.add(cause, action, events);
        }
    }

    /// Notes the losses since this was last asked, those at the output itself too, all of them younger than
    /// `whole_until`, boot-clock ns; `true` if there are any.
    pub fn note_losses(&mut self, whole_until: u64) -> bool {
        // What is lost of the uplink's batches may be long ago, and is told batch by batch.
        if self.of != Destination::Uplink {
            let failed = self.ledger.lost(Cause::OutputFailed);
            for action in Action::ALL {
                let more = failed[action as usize] - self.failed[action as usize];
                self.fresh.add(Cause::OutputFailed, action, more);
            }
            self.failed = failed;
        }
        let fresh = std::mem::take(&mut self.fresh);
        let any = fresh.total() > 0;
        if any {
            self.losses.merge(&fresh);
            self.since.get_or_insert(whole_until);
        }
        any
    }

    /// Whether its output did not take what it was given last.
    pub fn is_failing(&self) -> bool {
        self.queue.is_failing()
    }

    /// Whether a line has been begun and not been finished.
    pub fn is_interrupted(&self) -> bool {
        self.writing
    }

    /// How full its queue is: 1 is full.
    pub fn fill(&self) -> f64 {
        self.queue.fill(&self.chunk)
    }

    /// Waits until the output has room for more; `false` if it has none within `patience`.
    pub fn wait_for_room(&mut self, patience: Duration) -> bool {
        self.queue.wait_for_room(&self.chunk, patience)
    }

    /// Hands over what has been written so far.
    pub fn flush(&mut self) {
        self.queue.send(&mut self.chunk);
    }

    /// Tells of the losses until `end`, and of what was rebuilt after them, if there was anything of either.
    pub fn report_gap(&mut self, clock: Clock, end: u64, recovered: &ByAction) {
        let mut recovered = *recovered;
        for action in Action::ALL.into_iter().filter(|action| !self.wanted.has(*action)) {
            recovered[action as usize] = 0;
        }
        let since = self.since.take();
        if since.is_none() && recovered.iter().all(|events| *events == 0) {
            return;
        }
        // Of what was lost earlier the gaps before have told.
        let start = since.unwrap_or(end);
        let losses = std::mem::take(&mut self.losses);
        self.write_gap(clock, (start, end), &losses, &recovered);
    }

    /// Tells of the time in which nobody worked, and of what was lost with the one before.
    pub fn report_pause(&mut self, clock: Clock, (start, end): (u64, u64), last: &Books) {
        let lost = books::read(&last.account(self.of).dropped[Cause::WorkerKilled as usize]);
        let mut losses = Losses::default();
        for (action, events) in Action::ALL.into_iter().zip(lost) {
            losses.add(Cause::WorkerKilled, action, events);
        }
        self.write_gap(clock, (start, end), &losses, &ByAction::default());
    }

    fn write_gap(
        &mut self,
        clock: Clock,
        (start, end): (u64, u64),
        lost: &Losses,
        recovered: &ByAction,
    ) {
        // What reconciliation found stands for some of them; nothing stands for the rest.
        let unrecovered = lost.total().saturating_sub(recovered.iter().sum());
        let (lost, recovered) = (lost.named(), crate::ledger::named(recovered));
        let view = GapView {
            lost: Some(&lost),
            recovered: Some(&recovered),
            unrecovered: Some(unrecovered),
        };
        let mut event = metric(clock, end, "gap");
        if let Some(meta) = &mut event.event {
            (meta.start, meta.end) = (Some(clock.utc(start)), Some(clock.utc(end)));
        }
        event.wanglou = Some(Wanglou { gap: Some(view), ..Wanglou::default() });
        self.write(None, &mut event);
    }

    /// Writes the books as they stand.
    pub fn report_ledger(&mut self, clock: Clock, now: u64) -> Balance {
        let balance = self.ledger.balance();
        let mut event = metric(clock, now, "ledger");
        event.wanglou = Some(Wanglou { ledger: Some(balance.view()), ..Wanglou::default() });
        self.write(None, &mut event);
        balance
    }

    /// Tells of something that went wrong with the sensor itself.
    pub fn report_alert(&mut self, clock: Clock, alert: &Alert) {
        let mut event = metric(clock, alert.time, "alert");
        if let Some(meta) = &mut event.event {
            (meta.kind, meta.code) = (Some("alert"), Some(alert.id.as_str()));
            meta.severity = Some(alert.severity);
        }
        event.message = Some(&alert.message);
        event.log = Some(Log { level: Some(alert.level()) });
        self.write(None, &mut event);
    }

    /// Writes the last books of a run that was killed, as it would have itself.
    pub fn report_killed(&mut self, clock: Clock, now: u64, killed: &Books) {
        let run_id = killed.page().run.get().to_string();
        let mut ledger = Ledger::of(killed.clone(), self.of);
        let balance = ledger.balance();
        let mut event = metric(clock, now, "ledger");
        event.wanglou = Some(Wanglou {
            ledger: Some(balance.view()),
            run: Some(Run { id: Some(&run_id) }),
            ..Wanglou::default()
        });
        self.write_as(ledger.number(), None, &mut event);
    }

    /// Why the output takes no more.
    pub fn take_failure(&self) -> Option<io::Error> {
        self.queue.take_failure()
    }

    /// Waits until everything is written; `false` if the output is stuck.
    pub fn settle(&mut self, patience: Duration) -> bool {
        self.flush();
        self.queue.wait_written(patience)
    }

    /// Writes the rest and ends; says why writing failed.
    pub fn close(mut self, patience: Duration) -> Option<io::Error> {
        self.flush();
        self.queue.close(patience)
    }

    fn write(&mut self, action: Option<Action>, event: &mut Event<'_>) {
        let sequence = self.ledger.number();
        event.wanglou.get_or_insert_default().run = Some(Run { id: Some(&self.host.run_id) });
        self.write_as(sequence, action, event);
    }

    fn write_as(&mut self, sequence: u64, action: Option<Action>, event: &mut Event<'_>) {
        if let Some(meta) = &mut event.event {
            meta.sequence = Some(sequence);
        }
        let host = self.host;
        event.host = Some(HostView {
            id: Some(&host.id),
            name: Some(&host.name),
            boot: Some(Boot { id: Some(&host.boot_id) }),
        });
        self.writing = true;
        self.format.write(event, &mut self.chunk.bytes);
        self.writing = false;
        self.chunk.lines.push(action);
        if Queue::is_worth_sending(&self.chunk) {
            self.queue.send(&mut self.chunk);
        }
    }
}

fn metric<'a>(clock: Clock, now: u64, action: &'static str) -> Event<'a> {
    let meta = EventMeta {
        kind: Some("metric"),
        category: Some(Strings::Slice(&["process"])),
        r#type: Some(Strings::Slice(&["info"])),
        action: Some(action),
        ..EventMeta::default()
    };
    Event { timestamp: Some(clock.utc(now)), event: Some(meta), ..Event::default() }
}
