//! What lies in the spool, where, and what of it is to be told next or given up. Nothing here does I/O.
//!
//! ```text
//!   segments   oldest ─────────────────────────────────────▶ youngest, which grows
//!   records    answered … told, no answer yet … │ … not told yet
//!                                             cursor
//! ```
//!
//! Whatever lies before the cursor and is neither `told` nor to be told `again` is answered. What was told on a stream
//! that is over is told again before what has not been told at all.

use std::cmp::Ordering;
use std::collections::VecDeque;

use wanglou_api::sensor::v1::RunId;

use crate::ledger::{ByAction, Cause};

/// A segment is ended when it would get longer, bytes.
pub const SEGMENT_BYTES: u64 = 1 << 20;
/// Records that are told and have no answer yet, at most, whatever the other side would take.
pub const MAX_TOLD: usize = 512;
/// Of the spool, at most this part is for what says that batches are lost.
const PART_OF_LOSSES: u64 = 4;

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of the segment.
    pub segment: u64,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// Some records that lie together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Larger than those of all before.
    pub id: u64,
    /// How long it is.
    pub bytes: u64,
    /// Records that have no answer yet.
    pub records: u64,
    /// When the first and the last of all came, s since 1970.
    pub oldest: u64,
    /// See `oldest`.
    pub newest: u64,
    /// There is no batch in it.
    pub has_only_losses: bool,
    /// It is not on a disk.
    pub is_in_memory: bool,
}

/// A record that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Where it lies.
    pub place: Place,
    /// Whose it is.
    pub run: RunId,
    /// Its number.
    pub number: u64,
    /// What is in it.
    pub counts: ByAction,
    /// It is a batch, and not what says that one is lost or that there are no more.
    pub is_batch: bool,
    /// The batch was told, or is to be, as lost.
    pub cause: Option<Cause>,
}

/// What may lie there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Age, seconds.
    pub seconds: u64,
}

/// What is to be done so that there is not more than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surplus {
    /// The batches of a segment become lost ones.
    Lose(u64, Cause),
    /// A segment of lost ones is forgotten.
    Forget(u64),
}

/// All that lies there.
#[derive(Debug, Default)]
pub struct Shelf {
    segments: VecDeque<Segment>,
    cursor: Option<Place>,
    told: VecDeque<Told>,
    again: VecDeque<Told>,
    /// Bytes at the beginning of each segment that are no record.
    header: u64,
}

impl Shelf {
    /// An empty one; each segment begins with so many bytes that are no record.
    pub fn new(header: u64) -> Self {
        Self { header, ..Self::default() }
    }

    /// Those that there are, the oldest first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.segments.iter()
    }

    /// The one that grows.
    pub fn last(&self) -> Option<&Segment> {
        self.segments.back()
    }

    /// Bytes, and records that have no answer yet.
    pub fn totals(&self) -> (u64, u64) {
        let sum = |(bytes, records), it: &Segment| (bytes + it.bytes, records + it.records);
        self.segments.iter().fold((0, 0), sum)
    }

    /// Since when the oldest of them has been there, s since 1970.
    pub fn oldest(&self) -> Option<u64> {
        self.segments.iter().find(|it| it.records > 0).map(|it| it.oldest)
    }

    /// Whether every record has its answer.
    pub fn is_settled(&self) -> bool {
        self.segments.iter().all(|it| self.is_answered_to_the_end(it))
    }

    /// There is another one, younger than all.
    pub fn add(&mut self, segment: Segment) {
        let offset = self.header;
        self.cursor.get_or_insert(Place { segment: segment.id, offset });
        self.segments.push_back(segment);
    }

    /// The youngest has got a record.
    pub fn append(&mut self, bytes: u64, is_loss: bool, now: u64) {
        if let Some(last) = self.segments.back_mut() {
            if last.bytes == self.header {
                last.oldest = now;
            }
            last.bytes += bytes;
            last.records += 1;
            last.newest = now;
            last.has_only_losses &= is_loss;
        }
    }

    /// Where the next record to be told lies, and how it was told before.
    pub fn next(&self) -> Option<(Place, Option<&Told>)> {
        if self.told.len() >= MAX_TOLD {
            return None;
        }
        if let Some(again) = self.again.front() {
            return Some((again.place, Some(again)));
        }
        let cursor = self.cursor?;
        let mut left = self.segments.iter().filter(|it| it.id >= cursor.segment).map(|it| {
            let begin = Place { segment: it.id, offset: self.header };
            (cursor.max(begin), it.bytes)
        });
        left.find(|(place, bytes)| place.offset < *bytes).map(|(place, _)| (place, None))
    }

    /// The next one is told; the one after it begins at `end`.
    pub fn tell(&mut self, told: Told, end: u64) {
        if self.again.front().is_some_and(|again| again.place == told.place) {
            self.again.pop_front();
        } else {
            self.cursor = Some(Place { offset: end, ..told.place });
        }
        self.told.push_back(told);
    }

    /// There is nothing to be told between a place and another one of the same segment.
    pub fn skip(&mut self, place: Place, end: u64) {
        if self.again.front().is_some_and(|again| again.place == place) {
            self.again.pop_front();
        } else {
            self.cursor = Some(Place { offset: end, ..place });
        }
        self.is_answered(place.segment);
    }

    /// Whether anything of a run has been told that has no answer.
    pub fn waits_for(&self, run: &RunId) -> bool {
        self.told.iter().any(|told| told.run == *run)
    }

    /// One that has been told and has no answer.
    pub fn told(&self, run: &RunId, number: u64) -> Option<&Told> {
        self.told.iter().find(|told| told.number == number && told.run == *run)
    }

    /// Whether a record is to be told again as lost.
    pub fn is_lost(&self, id: u64, offset: u64) -> bool {
        let place = Place { segment: id, offset };
        self.again.iter().any(|again| again.place == place && again.cause.is_some())
    }

    /// One has got its answer, and is not needed any more.
    pub fn answer(&mut self, run: &RunId, number: u64) -> Option<Told> {
        let told = self.take(run, number)?;
        self.is_answered(told.place.segment);
        Some(told)
    }

    /// One will not be stored: it is told as lost.
    pub fn refuse(&mut self, run: &RunId, number: u64) -> Option<Told> {
        let told = self.take(run, number)?;
        let lost = Told { cause: Some(Cause::OutputFailed), ..told.clone() };
        let at = self.again.partition_point(|again| again.place < lost.place);
        self.again.insert(at, lost);
        Some(told)
    }

    /// The stream is over.
    pub fn end_stream(&mut self) {
        self.again.extend(self.told.drain(..));
        self.again.make_contiguous().sort_by_key(|told| told.place);
    }

    /// A segment of which nothing is needed any more, but for the one that grows.
    pub fn done(&self) -> Option<u64> {
        let youngest = self.segments.len().checked_sub(1)?;
        let mut older = self.segments.iter().take(youngest);
        older.find(|it| self.is_answered_to_the_end(it)).map(|it| it.id)
    }

    /// Whether nothing of the one that grows is needed any more, of what there is.
    pub fn is_last_done(&self) -> bool {
        let has_any = |last: &&Segment| last.bytes > self.header;
        self.last().filter(has_any).is_some_and(|last| self.is_answered_to_the_end(last))
    }

    /// The one that grows begins anew.
    pub fn empty_last(&mut self) {
        if let Some(last) = self.segments.back_mut() {
            (last.bytes, last.records, last.has_only_losses) = (self.header, 0, true);
            self.cursor = Some(Place { segment: last.id, offset: self.header });
        }
    }

    /// A segment is gone, and so is what was to be told of it.
    pub fn remove(&mut self, id: u64) {
        self.segments.retain(|it| it.id != id);
        self.told.retain(|told| told.place.segment != id);
        self.again.retain(|told| told.place.segment != id);
        if self.cursor.is_some_and(|cursor| cursor.segment == id) {
            let next = self.segments.iter().find(|it| it.id > id);
            self.cursor = next.map(|it| Place { segment: it.id, offset: self.header });
        }
    }

    /// Whether a record is still to be told, or again.
    pub fn is_needed(&self, place: Place) -> bool {
        self.cursor.is_some_and(|cursor| cursor <= place)
            || self.again.iter().any(|again| again.place == place)
    }

    /// A segment has been written anew with what was needed of it and nothing else: `records`.
    pub fn replace(&mut self, new: Segment, records: Vec<Told>) {
        let id = new.id;
        self.again.retain(|told| told.place.segment != id);
        match self.cursor.map(|cursor| cursor.segment.cmp(&id)) {
            Some(Ordering::Greater) => {
                self.again.extend(records);
                self.again.make_contiguous().sort_by_key(|told| told.place);
            }
            Some(Ordering::Equal) => {
                self.cursor = Some(Place { segment: id, offset: self.header });
            }
            // All of it is to be told later.
            Some(Ordering::Less) | None => {}
        }
        if let Some(segment) = self.segments.iter_mut().find(|it| it.id == id) {
            *segment = new;
        }
    }

    /// A segment lies on the disk from now on, or does not.
    pub fn move_to(&mut self, id: u64, is_in_memory: bool) {
        if let Some(segment) = self.segments.iter_mut().find(|it| it.id == id) {
            segment.is_in_memory = is_in_memory;
        }
    }

    /// What is too much, if `more` bytes are to come at a time, s since 1970. What has been told and has no answer yet
    /// stays: it may be stored already.
    pub fn surplus(&self, limits: Limits, more: u64, now: u64) -> Option<Surplus> {
        let on_disk = self.segments.iter().filter(|it| !it.is_in_memory);
        let bytes: u64 = on_disk.clone().map(|it| it.bytes).sum();
        let of_losses: u64 = on_disk.filter(|it| it.has_only_losses).map(|it| it.bytes).sum();
        let youngest = self.last().map_or(0, |it| it.id);
        let is_free = |id: u64| !self.told.iter().any(|told| told.place.segment == id);
        let mut free = self.segments.iter().filter(|it| is_free(it.id) && it.bytes > self.header);
        let is_full = bytes + more > limits.bytes;
        if of_losses > limits.bytes / PART_OF_LOSSES
            && let Some(oldest) = free.clone().find(|it| it.has_only_losses && it.id != youngest)
        {
            return Some(Surplus::Forget(oldest.id));
        }
        let oldest = free.find(|it| !it.has_only_losses)?;
        if now.saturating_sub(oldest.newest) > limits.seconds {
            return Some(Surplus::Lose(oldest.id, Cause::SpoolExpired));
        }
        (is_full && !oldest.is_in_memory).then_some(Surplus::Lose(oldest.id, Cause::SpoolFull))
    }

    fn take(&mut self, run: &RunId, number: u64) -> Option<Told> {
        let is_it = |told: &Told| told.number == number && told.run == *run;
        self.told.remove(self.told.iter().position(is_it)?)
    }

    fn is_answered(&mut self, id: u64) {
        if let Some(segment) = self.segments.iter_mut().find(|it| it.id == id) {
            segment.records = segment.records.saturating_sub(1);
        }
    }

    fn is_answered_to_the_end(&self, segment: &Segment) -> bool {
        let end = Place { segment: segment.id, offset: segment.bytes };
        let mut open = self.told.iter().chain(&self.again);
        self.cursor.is_some_and(|cursor| cursor >= end)
            && !open.any(|told| told.place.segment == segment.id)
    }
}

#[cfg(test)]
#[path = "shelf_tests.rs"]
mod tests;
