//! The books of every run, as records tell: by action,
//!
//! ```text
//! produced = stored batches + lost batches + dropped before a batch had it + in flight
//! ```
//!
//! A record counts once, however often it comes. Nothing here does I/O or knows the time.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use wanglou_api::sensor::v1::publish_request::Record;
use wanglou_api::sensor::v1::{ActionCounts, BatchLedger};

use crate::numbers::Numbers;

/// A batch that is missing while later ones are there is on its way for so long at most, ms: by then its sensor has told
/// of it again.
pub const GAP_MS: i64 = 600_000;

/// Counts by action.
pub type Counts = BTreeMap<String, u64>;

/// Which run: one start of a worker on a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Run {
    /// As the certificate of whoever told says.
    pub host: String,
    /// The kernel's random boot id.
    pub boot: String,
    /// Boot-clock time of its start, ns.
    pub run: u64,
}

/// Those of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// Batches that are stored, and batches that are lost.
    stored: Numbers,
    lost: Numbers,
    stored_counts: Counts,
    /// Of lost batches, by cause.
    lost_counts: BTreeMap<String, Counts>,
    /// The last of the run's own books, and the batch that they came with.
    last: Option<(u64, Ledger)>,
    /// The last batch, once the run is over.
    closed: Option<u64>,
    /// Of the first and last event that is stored, ns since 1970.
    times: Option<(u64, u64)>,
    /// Since when batches are missing although later ones are there, ms since 1970.
    gap_since: Option<i64>,
}

/// What a run says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// All that happened.
    pub produced: Counts,
    /// What no batch will have, by cause.
    pub dropped: BTreeMap<String, Counts>,
    /// What no batch has yet.
    pub in_flight: Counts,
}

/// What there is to say of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// How it stands.
    pub state: State,
    /// The run's own last books.
    pub produced: Counts,
    /// In batches that are stored.
    pub stored: Counts,
    /// Lost with batches and before them, by cause.
    pub lost: BTreeMap<String, Counts>,
    /// On their way.
    pub in_flight: Counts,
    /// Produced, and nowhere.
    pub unexplained: Counts,
    /// Batches that are neither stored nor lost although later ones are, from the first to the last of them.
    pub missing: Vec<(u64, u64)>,
    /// The last batch of which anything is known.
    pub last_number: u64,
    /// Of the first and last event that is stored, ns since 1970.
    pub times: Option<(u64, u64)>,
    /// What is wrong, in a line.
    pub reason: String,
}

/// How a run's books stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Events are missing that nothing explains, or the books contradict themselves.
    Unbalanced,
    /// It goes on, and everything is somewhere.
    Open,
    /// It is over, and everything is somewhere.
    Balanced,
}

impl Books {
    /// Whether a record has been counted already.
    pub fn has(&self, record: &Record) -> bool {
        match record {
            Record::Batch(batch) => self.has_number(batch.number),
            Record::LostBatch(batch) => self.has_number(batch.number),
            Record::ClosedRun(_) => self.closed.is_some(),
        }
    }

    /// Whether a batch is stored or lost.
    pub fn has_number(&self, number: u64) -> bool {
        self.stored.contains(number) || self.lost.contains(number)
    }

    /// Counts a record that is stored; `false` if that has been done before. `times` are those of the first and last of
    /// its events, ns since 1970; `now` is ms since 1970.
    pub fn count(&mut self, record: &Record, times: Option<(u64, u64)>, now: i64) -> bool {
        if self.has(record) {
            return false;
        }
        match record {
            Record::Batch(batch) => {
                self.stored.insert(batch.number);
                add(&mut self.stored_counts, &batch.counts);
                self.keep(batch.number, batch.ledger.as_ref());
                if let Some((first, last)) = times {
                    let (from, to) = self.times.unwrap_or((first, last));
                    self.times = Some((from.min(first), to.max(last)));
                }
            }
            Record::LostBatch(batch) => {
                self.lost.insert(batch.number);
                add(self.lost_counts.entry(batch.cause.clone()).or_default(), &batch.counts);
            }
            Record::ClosedRun(closed) => {
                self.closed = Some(closed.last_number);
                self.keep(u64::MAX, closed.ledger.as_ref());
            }
        }
        let is_whole = self.missing().is_empty();
        self.gap_since = if is_whole { None } else { self.gap_since.or(Some(now)) };
        true
    }

    /// What a batch's own books say may not contradict what there is: that of one who lies or is broken is not stored.
    /// Says what is wrong.
    pub fn contradicts(&self, record: &Record) -> Result<(), String> {
        let (number, ledger, counts) = match record {
            Record::Batch(batch) => (batch.number, batch.ledger.as_ref(), &batch.counts),
            Record::LostBatch(batch) => (batch.number, None, &batch.counts),
            Record::ClosedRun(closed) => {
                (closed.last_number, closed.ledger.as_ref(), &BTreeMap::new())
            }
        };
        if let Some(last) = self.closed
            && number > last
        {
            return Err(format!("batch {number} of a run that was closed after {last}"));
        }
        if matches!(record, Record::ClosedRun(_)) && self.last_number() > number {
            let there = self.last_number();
            return Err(format!("closed after batch {number}, and batch {there} is there"));
        }
        let Some(ledger) = ledger else { return Ok(()) };
        let ledger = Ledger::of(ledger);
        if let Some((at, last)) = &self.last
            && number >= *at
            && let Some(action) = last
                .produced
                .iter()
                .find(|(action, produced)| ledger.produced.get(*action).unwrap_or(&0) < *produced)
                .map(|(action, _)| action)
        {
            return Err(format!("less of {action} was produced than before"));
        }
        // With all batches before it here, its books can be checked to the last event.
        let is_next = matches!(record, Record::Batch(_)) && number == self.last_number() + 1;
        let is_last = matches!(record, Record::ClosedRun(_)) && number == self.last_number();
        if (is_next || is_last) && self.missing().is_empty() {
            let mut here = self.present();
            add(&mut here, counts);
            let off = unexplained(&ledger, &here);
            if let Some((action, (produced, known))) = off.first_key_value() {
                return Err(format!(
                    "{produced} of {action} were produced, and {known} are somewhere"
                ));
            }
        }
        Ok(())
    }

    /// Of the first and last event that is stored, ns since 1970.
    pub fn times(&self) -> Option<(u64, u64)> {
        self.times
    }

    /// How it stands, at ms since 1970; `is_superseded` says that a later run of the host is there.
    pub fn balance(&self, is_superseded: bool, now: i64) -> Balance {
        let last_number = self.closed.unwrap_or_else(|| self.last_number());
        let missing = self.missing();
        let ledger = self.last.as_ref().map(|(_, ledger)| ledger.clone()).unwrap_or_default();
        let off = match self.last {
            // The books are of a batch; later ones may be lost ones, which have none.
            Some((at, _)) if at >= self.last_number() => unexplained(&ledger, &self.present()),
            _ => BTreeMap::new(),
        };
        let contradiction = off.iter().find(|(_, (produced, known))| known > produced);
        let contradiction = contradiction.map(|(action, (produced, known))| {
            format!("{known} of {action} are somewhere, and {produced} were produced")
        });
        let less = |(action, (produced, known)): (String, (u64, u64))| {
            (known < produced).then(|| (action, produced - known))
        };
        let unexplained: Counts = off.into_iter().filter_map(less).collect();
        let is_late = self.gap_since.is_some_and(|since| now - since > GAP_MS);
        let (state, reason) = match (contradiction, self.closed) {
            (Some(why), _) => (State::Unbalanced, why),
            (None, Some(_)) if missing.is_empty() && unexplained.is_empty() => {
                (State::Balanced, String::new())
            }
            (None, Some(_)) => (State::Unbalanced, "events are missing".to_owned()),
            (None, None) if is_late => (State::Unbalanced, "batches are missing".to_owned()),
            (None, None) if missing.is_empty() && !unexplained.is_empty() => {
                (State::Unbalanced, "events are missing".to_owned())
            }
            (None, None) if is_superseded => {
                (State::Open, "another run has begun, and this one has no last books".to_owned())
            }
            (None, None) => (State::Open, String::new()),
        };
        let mut lost = self.lost_counts.clone();
        for (cause, counts) in &ledger.dropped {
            add(lost.entry(cause.clone()).or_default(), counts);
        }
        Balance {
            state,
            stored: self.stored_counts.clone(),
            lost,
            in_flight: ledger.in_flight,
            produced: ledger.produced,
            unexplained,
            missing,
            last_number,
            times: self.times,
            reason,
        }
    }

    fn keep(&mut self, number: u64, ledger: Option<&BatchLedger>) {
        let Some(ledger) = ledger else { return };
        if self.last.as_ref().is_none_or(|(at, _)| *at < number) {
            self.last = Some((number, Ledger::of(ledger)));
        }
    }

    fn last_number(&self) -> u64 {
        self.stored.last().max(self.lost.last()).unwrap_or(0)
    }

    fn missing(&self) -> Vec<(u64, u64)> {
        let last = self.closed.unwrap_or(0).max(self.last_number());
        let missing = self.stored.union(&self.lost).missing(last);
        missing.into_iter().map(RangeInclusive::into_inner).collect()
    }

    /// In batches, stored and lost.
    fn present(&self) -> Counts {
        let mut present = self.stored_counts.clone();
        self.lost_counts.values().for_each(|counts| add(&mut present, counts));
        present
    }
}

impl Ledger {
    fn of(ledger: &BatchLedger) -> Self {
        let dropped = ledger.dropped.iter();
        let dropped =
            dropped.map(|(cause, ActionCounts { counts })| (cause.clone(), counts.clone()));
        Self {
            produced: ledger.produced.clone(),
            dropped: dropped.collect(),
            in_flight: ledger.in_flight.clone(),
        }
    }
}

/// Actions of which not as many are somewhere as were produced, with both numbers.
fn unexplained(ledger: &Ledger, present: &Counts) -> BTreeMap<String, (u64, u64)> {
    let mut known = present.clone();
    ledger.dropped.values().for_each(|counts| add(&mut known, counts));
    add(&mut known, &ledger.in_flight);
    let actions = ledger.produced.keys().chain(known.keys());
    let both = actions.map(|action| {
        let of = |counts: &Counts| counts.get(action).copied().unwrap_or(0);
        (action.clone(), (of(&ledger.produced), of(&known)))
    });
    both.filter(|(_, (produced, known))| produced != known).collect()
}

/// Adds counts, as far as numbers go: whoever tells of more lies.
fn add(to: &mut Counts, more: &Counts) {
    for (action, count) in more {
        let sum = to.entry(action.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
}

#[cfg(test)]
mod tests;
