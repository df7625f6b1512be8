//! Where events leave the sensor: numbered, marked with host and run, written as lines, booked.

use std::io;
use std::time::Duration;

use wanglou_api::event::{
    Boot, Event, EventMeta, Gap as GapView, Host as HostView, Log, Run, Strings, Wanglou,
};

use crate::action::{Action, Category};
use crate::books::Books;
use crate::clock::Clock;
use crate::gap::Gap;
use crate::host::Host;
use crate::ledger::{Balance, Cause, Ledger, Losses};
use crate::log::Alert;
use crate::output::Format;
use crate::queue::{Chunk, Queue};

/// One output with its queue and its books.
#[derive(Debug)]
pub struct Outlet {
    host: &'static Host,
    wanted: Vec<Category>,
    format: Format,
    queue: Queue,
    chunk: Chunk,
    books: Books,
    ledger: Ledger,
    losses: Losses,
}

impl Outlet {
    /// An outlet of this host's events of some categories, with the books that the queue has too.
    pub fn new(
        host: &'static Host,
        wanted: Vec<Category>,
        format: Format,
        queue: Queue,
        books: Books,
    ) -> Self {
        Self {
            host,
            wanted,
            format,
            queue,
            chunk: Chunk::default(),
            ledger: Ledger::of(books.clone()),
            books,
            losses: Losses::default(),
        }
    }

    /// An event happened; one that nobody asked for does not count.
    pub fn report(&mut self, action: Action, event: &mut Event<'_>) {
        if !self.wants(action) {
            return;
        }
        self.ledger.produce(action);
        self.write(Some(action), event);
    }

    /// Events were lost before they could be reported.
    pub fn lose(&mut self, cause: Cause, action: Action, events: u64) {
        if events > 0 && self.wants(action) {
            self.ledger.lose(cause, action, events);
            self.losses.add(cause, action, events);
        }
    }

    /// The losses that no gap has told of yet.
    pub fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }

    /// Waits until the output has room for more; `false` if it has none within `patience`.
    pub fn wait_for_room(&mut self, patience: Duration) -> bool {
        self.queue.wait_for_room(&self.chunk, patience)
    }

    /// Hands over what has been written so far.
    pub fn flush(&mut self) {
        self.queue.send(&mut self.chunk);
    }

    /// Tells of an interval with losses.
    pub fn report_gap(&mut self, clock: Clock, gap: &Gap) {
        let (lost, recovered) = (gap.lost.named(), crate::ledger::named(&gap.recovered));
        let view = GapView {
            lost: Some(&lost),
            recovered: Some(&recovered),
            unrecovered: Some(gap.unrecovered()),
        };
        let mut event = metric(clock, gap.end, "gap");
        if let Some(meta) = &mut event.event {
            (meta.start, meta.end) = (Some(clock.utc(gap.start)), Some(clock.utc(gap.end)));
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
        let page = killed.page();
        if page.writing.get() != 0 {
            // What comes next shall not stand behind half a line.
            self.chunk.bytes.push(b'\n');
        }
        let run_id = page.run.get().to_string();
        let balance = Ledger::of(killed.clone()).balance();
        let mut event = metric(clock, now, "ledger");
        event.wanglou = Some(Wanglou {
            ledger: Some(balance.view()),
            run: Some(Run { id: Some(&run_id) }),
            ..Wanglou::default()
        });
        self.write_as(page.sequence.get() + 1, None, &mut event);
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

    fn wants(&self, action: Action) -> bool {
        action.category().is_none_or(|category| self.wanted.contains(&category))
    }

    fn write(&mut self, action: Option<Action>, event: &mut Event<'_>) {
        let sequence = &self.books.page().sequence;
        sequence.add(1);
        let sequence = sequence.get();
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
        self.format.write(event, &mut self.chunk.bytes);
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
