//! The books of a run: produced = delivered + dropped + in flight, by action, always.
//!
//! An event is *produced* once it is known to have happened: when it enters the queue, or when a
//! counter says that it was lost before. It is *delivered* when the output has it.

use std::collections::BTreeMap;

use wanglou_api::event::Ledger as View;

use crate::action::Action;
use crate::books::{self, Account, Books};
use crate::output::Destination;

/// Why an event was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The ring had no room.
    RingFull,
    /// The record is larger than the ring.
    Oversized,
    /// The kernel or the probe skipped a run inside a run.
    Recursion,
    /// The netlink socket had no room.
    NetlinkOverrun,
    /// A record or message that does not fit its layout.
    DecodeRefused,
    /// A queue inside the sensor had no room.
    QueueFull,
    /// The output did not take it.
    OutputFailed,
    /// It was given up: the ring was filling up, the sensor cost too much, or the kernel's table of
    /// sockets had no room.
    Shed,
    /// The process or its cgroup did more than its share.
    Throttled,
    /// The worker was killed with it.
    WorkerKilled,
    /// The spool had no room.
    SpoolFull,
    /// It lay in the spool for too long.
    SpoolExpired,
}

impl Cause {
    /// Every cause, in the order of its number.
    pub const ALL: [Self; 12] = [
        Self::RingFull,
        Self::Oversized,
        Self::Recursion,
        Self::NetlinkOverrun,
        Self::DecodeRefused,
        Self::QueueFull,
        Self::OutputFailed,
        Self::Shed,
        Self::Throttled,
        Self::WorkerKilled,
        Self::SpoolFull,
        Self::SpoolExpired,
    ];

    /// As it stands in the ledger.
    pub fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::Oversized => "oversized",
            Self::Recursion => "recursion",
            Self::NetlinkOverrun => "netlink_overrun",
            Self::DecodeRefused => "decode_refused",
            Self::QueueFull => "queue_full",
            Self::OutputFailed => "output_failed",
            Self::Shed => "shed",
            Self::Throttled => "throttled",
            Self::WorkerKilled => "worker_killed",
            Self::SpoolFull => "spool_full",
            Self::SpoolExpired => "spool_expired",
        }
    }

    /// Whether what it takes from the uplink was in a batch: such losses are told batch by batch.
    pub fn is_of_batches(self) -> bool {
        matches!(self, Self::OutputFailed | Self::SpoolFull | Self::SpoolExpired)
    }
}

/// A count for each action.
pub type ByAction = [u64; Action::ALL.len()];

/// A count for each cause and action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses([ByAction; Cause::ALL.len()]);

impl Losses {
    /// Counts `events` lost.
    pub fn add(&mut self, cause: Cause, action: Action, events: u64) {
        self.0[cause as usize][action as usize] += events;
    }

    /// Adds others.
    pub fn merge(&mut self, others: &Self) {
        for (mine, theirs) in self.0.iter_mut().flatten().zip(others.0.iter().flatten()) {
            *mine += theirs;
        }
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().flatten().sum()
    }

    /// What is written: by cause, then action, without zeros.
    pub fn named(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        Cause::ALL
            .into_iter()
            .map(|cause| (cause.name().to_owned(), named(&self.0[cause as usize])))
            .filter(|(_, by_action)| !by_action.is_empty())
            .collect()
    }
}

/// By action, without zeros.
pub fn named(counts: &ByAction) -> BTreeMap<String, u64> {
    Action::ALL
        .into_iter()
        .map(|action| (action.name().to_owned(), counts[action as usize]))
        .filter(|&(_, count)| count > 0)
        .collect()
}

/// What is written into the books of an output.
#[derive(Clone, Debug)]
pub struct Ledger {
    books: Books,
    of: Destination,
}

impl Ledger {
    /// Of these books.
    pub fn of(books: Books, of: Destination) -> Self {
        Self { books, of }
    }

    fn account(&self) -> &Account {
        self.books.account(self.of)
    }

    /// The number of the next line.
    pub fn number(&mut self) -> u64 {
        let sequence = &self.account().sequence;
        sequence.add(1);
        sequence.get()
    }

    /// An event enters the queue.
    pub fn produce(&mut self, action: Action) {
        self.account().produced[action as usize].add(1);
    }

    /// Events are lost that had not been produced yet.
    pub fn lose(&mut self, cause: Cause, action: Action, events: u64) {
        let account = self.account();
        account.produced[action as usize].add(events);
        account.dropped[cause as usize][action as usize].add(events);
    }

    /// What was lost by a cause.
    pub fn lost(&self, cause: Cause) -> ByAction {
        books::read(&self.account().dropped[cause as usize])
    }

    /// The balance as it stands.
    pub fn balance(&self) -> Balance {
        let account = self.account();
        // In this order: what is delivered, or lost at the output, meanwhile has been produced before.
        let delivered = books::read(&account.delivered);
        let dropped = Losses(account.dropped.each_ref().map(books::read));
        let produced = books::read(&account.produced);
        let settled = delivered.iter().sum::<u64>() + dropped.total();
        Balance {
            produced: named(&produced),
            delivered: named(&delivered),
            dropped: dropped.named(),
            in_flight: produced.iter().sum::<u64>().saturating_sub(settled),
        }
    }
}

/// The books at one moment, as they are written.
#[derive(Debug)]
pub struct Balance {
    produced: BTreeMap<String, u64>,
    delivered: BTreeMap<String, u64>,
    dropped: BTreeMap<String, BTreeMap<String, u64>>,
    in_flight: u64,
}

impl Balance {
    /// `wanglou.ledger`.
    pub fn view(&self) -> View<'_> {
        View {
            produced: Some(&self.produced),
            delivered: Some(&self.delivered),
            dropped: Some(&self.dropped),
            in_flight: Some(self.in_flight),
        }
    }

    /// Totals: produced, delivered, dropped.
    pub fn totals(&self) -> (u64, u64, u64) {
        let dropped = self.dropped.values().flat_map(BTreeMap::values).sum();
        (self.produced.values().sum(), self.delivered.values().sum(), dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_produced_is_somewhere() {
        let books = Books::new().expect("memory");
        let mut ledger = Ledger::of(books.clone(), Destination::Stdout);
        for _ in 0..5 {
            ledger.produce(Action::Exec);
        }
        ledger.lose(Cause::RingFull, Action::Fork, 3);
        books.account(Destination::Stdout).delivered[Action::Exec as usize].add(2);
        let balance = ledger.balance();

        assert_eq!(balance.totals(), (8, 2, 3));
        assert_eq!(balance.in_flight, 3);
        assert_eq!(balance.dropped["ring_full"]["fork"], 3);
    }
}
