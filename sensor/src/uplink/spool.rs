//! The spool: what the fleet is to have, from the moment a worker hands it over until somebody has stored it.
//!
//! ```text
//! STATE/spool/lock                      held while somebody keeps it
//! STATE/spool/000000000000002a.spool    segments, numbered in their order; the last one grows
//! STATE/spool/….new                     one that is being written anew; removed at start
//! STATE/spool/….books                   the books of a run that is not over, or was the last
//! STATE/spool/books.spare               of none any more: the room of the next ones on a disk that is full
//! ```
//!
//! A segment is `WLSPOOL1` and then one [record](super::record) after the other, up to 1 MiB; one is on the disk to stay
//! when the next begins. It is removed when each of its records is answered, and emptied if it is the last one: what is
//! answered within seconds never leaves the page cache. Which records of a segment are answered is not written: after a
//! restart all of it is told again, and stored once.
//!
//! What is damaged is skipped to the next record. Numbers of a run follow each other, so it is seen which are missing, and
//! they are told as lost; the events in them are those by which the books on both sides differ. What is torn at the end
//! was never handed over, and is cut off.
//!
//! Where there is too much, or it is too old, the batches of the oldest segment become lost ones, in its place. Where the
//! disk takes nothing, a segment in memory grows instead, and is written once it does.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use wanglou_api::sensor::v1::RunId;

use super::record::{self, Head, MAX_BYTES, PREFIX, Prefix, Record};
use super::segment::{HEADER, Segments};
use super::shelf::{Limits, Place, SEGMENT_BYTES, Segment, Shelf, Surplus, Told};
use crate::ledger::{ByAction, Cause};
use crate::log::ids;

/// Bytes in memory while a disk takes nothing: of batches, and with lost ones beside them.
const MEMORY: usize = 1 << 20;
const MEMORY_OF_LOSSES: usize = MEMORY + (256 << 10);
/// The disk is tried again so much later, s.
const RETRY: u64 = 5;
/// More numbers than that are not missing: who says so is wrong.
const MAX_MISSING: u64 = 10_000;

/// All of it.
#[derive(Debug)]
pub struct Spool {
    shelf: Shelf,
    segments: Segments,
    limits: Limits,
    next_id: u64,
    /// While the disk takes nothing: when it is tried again, s since 1970.
    retry_at: Option<u64>,
    /// What was passed last, so that it is seen what is missing before the next.
    passed: Option<(RunId, u64, Option<ByAction>)>,
}

/// Events that are lost here.
pub type Lost = (RunId, ByAction, Cause);

/// What the batches of each run that lie there say of it: the last number, and the events so far.
pub type Found = BTreeMap<(String, u64), (u64, Option<ByAction>)>;

/// A record to be told.
#[derive(Debug)]
pub struct Telling {
    /// Whose it is.
    pub run: RunId,
    /// Its number.
    pub number: u64,
    /// Bytes of a batch's content.
    pub content: u64,
    /// As it is told.
    pub bytes: Bytes,
}

impl Spool {
    /// The one of a folder, with what lies in it; nothing where that cannot be read, which is said.
    pub fn open(folder: PathBuf, limits: Limits, now: u64) -> (Self, Found) {
        let (shelf, segments) = (Shelf::new(HEADER.len() as u64), Segments::of(folder));
        let mut spool = Self { shelf, segments, limits, next_id: 1, retry_at: None, passed: None };
        let found = spool.take_folder().unwrap_or_else(|error| {
            spool.fail(&error, now);
            Found::new()
        });
        (spool, found)
    }

    /// Where books of runs lie; `None` while the disk takes nothing.
    pub fn folder(&self) -> Option<&Path> {
        self.retry_at.is_none().then(|| self.segments.folder())
    }

    /// The folder, if nobody else has it, whether or not the disk takes anything.
    pub fn own_folder(&self) -> Option<&Path> {
        self.segments.is_locked().then(|| self.segments.folder())
    }

    /// What lies there.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Whether the disk takes nothing.
    pub fn is_failing(&self) -> bool {
        self.retry_at.is_some()
    }

    /// Goes by other limits from now on.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes a record, and tells what is lost by that.
    pub fn append(&mut self, head: &Head, record: &[u8], now: u64, lost: &mut Vec<Lost>) {
        self.make_room(record.len() as u64, now, lost);
        let is_loss = !matches!(head, Head::Batch(_));
        if let Err(error) = self.put(record, is_loss, now) {
            self.fail(&error, now);
            let most = if is_loss { MEMORY_OF_LOSSES } else { MEMORY };
            if self.segments.in_memory() + record.len() <= most {
                self.put_in_memory(record, is_loss, now);
                return;
            }
            if let Some(run) = head.run().filter(|_| !is_loss) {
                lost.push((run.clone(), head.counts(), Cause::SpoolFull));
            }
            let head = head.clone().lost(Cause::SpoolFull).write(&[]);
            if self.segments.in_memory() + head.len() <= MEMORY_OF_LOSSES {
                self.put_in_memory(&head, true, now);
            }
        }
    }

    /// Gives up what is too old, and tries a disk again that has taken nothing; what lies there, if that is known only now.
    pub fn look(&mut self, now: u64, lost: &mut Vec<Lost>) -> Option<Found> {
        self.make_room(0, now, lost);
        self.retry_at.filter(|at| *at <= now)?;
        match self.recover(now) {
            Ok(found) => {
                self.retry_at = None;
                tracing::info!(id = ids::SPOOL_WRITES.code, "can write to the spool again");
                found
            }
            Err(_) => {
                self.retry_at = Some(now + RETRY);
                None
            }
        }
    }

    /// The next that is to be told, if there is any now. `lost` are those of which it is seen only now that they are.
    pub fn next(&mut self, now: u64, lost: &mut Vec<Lost>) -> Option<Telling> {
        loop {
            let (place, before) = self.shelf.next()?;
            let (cause, is_again) = (before.and_then(|told| told.cause), before.is_some());
            let Some(record) = self.read(place) else {
                let end = self.find(place);
                self.shelf.skip(place, end);
                damaged(self.segments.folder(), place);
                continue;
            };
            let end = place.offset + record.bytes as u64;
            let (Some(run), number) = (record.head.run().cloned(), record.head.number()) else {
                self.shelf.skip(place, end);
                continue;
            };
            if matches!(record.head, Head::Closed(_)) && self.shelf.waits_for(&run) {
                return None;
            }
            let missing =
                if is_again { Vec::new() } else { self.look_for_missing(&record.head, lost) };
            let counts = record.head.counts();
            let cause = cause.or_else(|| {
                record.told.is_none().then(|| {
                    damaged(self.segments.folder(), place);
                    lost.push((run.clone(), counts, Cause::OutputFailed));
                    Cause::OutputFailed
                })
            });
            let (is_batch, content) = match &record.head {
                Head::Batch(batch) if cause.is_none() => (true, batch.content_bytes.into()),
                head => (matches!(head, Head::Batch(_)), 0),
            };
            let bytes = match cause {
                Some(cause) => record.head.lost(cause).told(),
                None => record.told,
            };
            let Some(bytes) = bytes else {
                self.shelf.skip(place, end);
                continue;
            };
            let telling = Telling { run: run.clone(), number, content, bytes };
            self.shelf.tell(Told { place, run, number, counts, is_batch, cause }, end);
            for head in missing {
                self.append(&head, &head.write(&[]), now, lost);
            }
            return Some(telling);
        }
    }

    /// One is stored; what was in it, unless it was lost.
    pub fn stored(&mut self, run: &RunId, number: u64) -> Option<Told> {
        let told = self.shelf.answer(run, number);
        self.tidy();
        told
    }

    /// One will not be stored: a batch is told as lost, and what was in it; what is no batch is not told again.
    pub fn refused(&mut self, run: &RunId, number: u64) -> Option<Told> {
        let told = self.shelf.told(run, number)?;
        if told.is_batch && told.cause.is_none() {
            return self.shelf.refuse(run, number);
        }
        self.stored(run, number);
        None
    }

    /// The stream is over: what has no answer is told again.
    pub fn end_stream(&mut self) {
        self.shelf.end_stream();
    }

    /// Has all on the disk, as far as that takes it.
    pub fn finish(&mut self) {
        // What it does not take is in the page cache, or nowhere.
        let _ = self.segments.end();
    }

    fn put(&mut self, record: &[u8], is_loss: bool, now: u64) -> io::Result<()> {
        if self.retry_at.is_some() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let has_room = |it: &&Segment| it.bytes + record.len() as u64 <= SEGMENT_BYTES;
        let last = self.shelf.last().filter(|it| self.segments.grows(it.id)).filter(has_room);
        let (id, bytes) = match last {
            Some(last) => (last.id, last.bytes),
            None => {
                let id = self.next_id;
                self.segments.begin(id)?;
                (self.add(now, false), HEADER.len() as u64)
            }
        };
        self.segments.append(id, bytes, record)?;
        self.shelf.append(record.len() as u64, is_loss, now);
        Ok(())
    }

    fn put_in_memory(&mut self, record: &[u8], is_loss: bool, now: u64) {
        let last = self.shelf.last().filter(|it| it.is_in_memory);
        let (id, bytes) = match last.map(|last| (last.id, last.bytes)) {
            Some(last) => last,
            None => {
                self.segments.begin_in_memory(self.next_id);
                (self.add(now, true), HEADER.len() as u64)
            }
        };
        // Memory takes it.
        if self.segments.append(id, bytes, record).is_ok() {
            self.shelf.append(record.len() as u64, is_loss, now);
        }
    }

    fn add(&mut self, now: u64, is_in_memory: bool) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.shelf.add(Segment {
            id,
            bytes: HEADER.len() as u64,
            records: 0,
            oldest: now,
            newest: now,
            has_only_losses: true,
            is_in_memory,
        });
        id
    }

    fn fail(&mut self, error: &io::Error, now: u64) {
        if self.retry_at.is_none() {
            let folder = self.segments.folder().display();
            tracing::error!(
                id = ids::SPOOL_FAILED.code,
                "cannot write to {folder}: {error}: what the fleet is to have is kept in memory, up to 1 MiB"
            );
            self.retry_at = Some(now + RETRY);
        }
    }

    /// Takes the folder, and what lies there: behind what is in memory, if anything is.
    fn take_folder(&mut self) -> io::Result<Found> {
        let mut found = Found::new();
        let ids = self.segments.open()?;
        let has_memory = self.shelf.last().is_some();
        if has_memory {
            self.next_id = self.next_id.max(ids.last().map_or(0, |last| last + 1));
        }
        for there in ids {
            let id = if has_memory { self.next_id } else { there };
            self.segments.rename(there, id)?;
            self.recall(id, &mut found);
        }
        Ok(found)
    }

    /// What is in memory is written, and the folder taken if it has not been yet.
    fn recover(&mut self, now: u64) -> io::Result<Option<Found>> {
        // What is in memory has the numbers before.
        let found = if self.segments.is_locked() { None } else { Some(self.take_folder()?) };
        let of_memory = self.shelf.segments().filter(|it| it.is_in_memory);
        let ids: Vec<_> = of_memory.map(|it| it.id).collect();
        for id in ids {
            self.segments.save(id)?;
            self.shelf.move_to(id, false);
        }
        // A disk that takes nothing may be one that takes small files.
        self.segments.begin(self.next_id)?;
        self.add(now, false);
        Ok(found)
    }

    fn make_room(&mut self, more: u64, now: u64, lost: &mut Vec<Lost>) {
        while let Some(surplus) = self.shelf.surplus(self.limits, more, now) {
            match surplus {
                Surplus::Forget(id) => {
                    tracing::warn!(
                        id = ids::SPOOL_FORGETS.code,
                        "too many batches are lost: some of them are not even told of"
                    );
                    self.remove(id);
                }
                Surplus::Lose(id, cause) => self.lose(id, cause, lost),
            }
        }
    }

    /// The batches of a segment become lost ones.
    fn lose(&mut self, id: u64, cause: Cause, lost: &mut Vec<Lost>) {
        let Some(segment) = self.shelf.segments().find(|it| it.id == id).cloned() else { return };
        let bytes = self.segments.read(id, 0, segment.bytes as usize).unwrap_or_default();
        let (mut content, mut records) = (HEADER.to_vec(), Vec::new());
        for (offset, record) in records_of(&bytes) {
            let Some(record) = record else { continue };
            let (Some(run), counts) = (record.head.run().cloned(), record.head.counts()) else {
                continue;
            };
            if !self.shelf.is_needed(Place { segment: id, offset }) {
                continue;
            }
            if matches!(record.head, Head::Batch(_)) && !self.shelf.is_lost(id, offset) {
                lost.push((run.clone(), counts, cause));
            }
            let place = Place { segment: id, offset: content.len() as u64 };
            let (number, is_batch) = (record.head.number(), false);
            content.extend_from_slice(&record.head.lost(cause).write(&[]));
            records.push(Told { place, run, number, counts, is_batch, cause: None });
        }
        let (bytes, count) = (content.len() as u64, records.len() as u64);
        let has_only_losses = true;
        let is_in_memory = !self.segments.replace(id, content);
        let new = Segment { bytes, records: count, has_only_losses, is_in_memory, ..segment };
        self.shelf.replace(new, records);
        self.tidy();
    }

    /// What is missing before a record that is told for the first time.
    fn look_for_missing(&mut self, head: &Head, lost: &mut Vec<Lost>) -> Vec<Head> {
        let (Some(run), number) = (head.run().filter(|_| head.number() > 0), head.number()) else {
            return Vec::new();
        };
        let so_far = head.events_so_far();
        let passed = self.passed.replace((run.clone(), number, so_far));
        let Some((of, last, before)) = passed.filter(|(of, ..)| of == run) else {
            return Vec::new();
        };
        if !(last + 2..=last + MAX_MISSING).contains(&number) {
            return Vec::new();
        }
        let mut events = ByAction::default();
        if let (Some(before), Some(so_far)) = (before, so_far) {
            let counts = head.counts();
            for (n, events) in events.iter_mut().enumerate() {
                *events = so_far[n].saturating_sub(counts[n] + before[n]);
            }
        }
        lost.push((of.clone(), events, Cause::OutputFailed));
        // Of which of them the events were nobody knows: they are told with the first.
        let missing = (last + 1..number).map(|missing| {
            let events = std::mem::take(&mut events);
            record::lost(of.clone(), missing, &events, Cause::OutputFailed)
        });
        missing.collect()
    }

    fn read(&mut self, place: Place) -> Option<Record> {
        let prefix = self.segments.read(place.segment, place.offset, PREFIX).ok()?;
        let prefix = Prefix::parse(prefix.first_chunk()?)?;
        let bytes = self.segments.read(place.segment, place.offset, prefix.bytes()).ok()?;
        Record::parse(&bytes)
    }

    /// Where the next record after one that is damaged begins, or the segment ends.
    fn find(&mut self, place: Place) -> u64 {
        let end = self.shelf.segments().find(|it| it.id == place.segment);
        let end = end.map_or(place.offset + 1, |it| it.bytes);
        let rest = (end - place.offset.min(end)).min(SEGMENT_BYTES + MAX_BYTES as u64) as usize;
        let bytes = self.segments.read(place.segment, place.offset, rest).unwrap_or_default();
        Record::find(&bytes).map_or(end, |at| place.offset + at as u64)
    }

    /// Takes a segment that was there.
    fn recall(&mut self, id: u64, found: &mut Found) {
        self.next_id = self.next_id.max(id + 1);
        let read = self.segments.metadata(id).and_then(|(length, newest)| {
            let most = SEGMENT_BYTES as usize + MAX_BYTES;
            Ok((length, newest, self.segments.read(id, 0, most)?))
        });
        let place = Place { segment: id, offset: 0 };
        let Ok((length, newest, bytes)) = read else {
            return damaged(self.segments.folder(), place);
        };
        let (mut end, mut records, mut has_only_losses) = (HEADER.len() as u64, 0, true);
        for (offset, record) in records_of(&bytes) {
            let Some(record) = record else { continue };
            (end, records) = (offset + record.bytes as u64, records + 1);
            has_only_losses &= !matches!(record.head, Head::Batch(_));
            if let Some(run) = record.head.run()
                && record.head.number() > 0
            {
                let last = (record.head.number(), record.head.events_so_far());
                let known = found.entry((run.boot_id.clone(), run.run_id)).or_insert(last);
                *known = last.max(*known);
            }
        }
        if records == 0 {
            if length > HEADER.len() as u64 {
                damaged(self.segments.folder(), place);
            }
            // It is tried again at the next start.
            let _ = self.segments.remove(id);
            return;
        }
        if end < length {
            // Of one who was killed, or a host that lost its power.
            let _ = self.segments.cut(id, end);
        }
        let (bytes, oldest, is_in_memory) = (end, newest, false);
        self.shelf.add(Segment {
            id,
            bytes,
            records,
            oldest,
            newest,
            has_only_losses,
            is_in_memory,
        });
    }

    fn tidy(&mut self) {
        while let Some(id) = self.shelf.done() {
            self.remove(id);
        }
        if self.shelf.is_last_done()
            && let Some(id) = self.shelf.last().map(|it| it.id)
        {
            match self.segments.empty(id) {
                Ok(()) => self.shelf.empty_last(),
                Err(_) => self.remove(id),
            }
        }
    }

    fn remove(&mut self, id: u64) {
        if let Err(error) = self.segments.remove(id) {
            let folder = self.segments.folder().display();
            tracing::warn!(
                id = ids::SPOOL_NOT_TIDY.code,
                "cannot remove a segment of {folder}: {error}: it is told of again after a restart"
            );
        }
        self.shelf.remove(id);
    }
}

/// The records of a segment by their offsets, `None` for each place where one is damaged.
pub fn records_of(segment: &[u8]) -> impl Iterator<Item = (u64, Option<Record>)> {
    let mut at = if segment.starts_with(HEADER) { HEADER.len() } else { segment.len() };
    std::iter::from_fn(move || {
        let rest = segment.get(at..).filter(|rest| !rest.is_empty())?;
        let (offset, record) = (at as u64, Record::parse(rest));
        at = match &record {
            Some(record) => at + record.bytes,
            None => Record::find(rest).map_or(segment.len(), |next| at + next),
        };
        Some((offset, record))
    })
}

fn damaged(folder: &Path, place: Place) {
    let Place { segment, offset } = place;
    tracing::error!(
        id = ids::SPOOL_DAMAGED.code,
        "{}/{segment:016x}.spool is damaged at byte {offset}: what was there is lost, and told as that if it is known",
        folder.display()
    );
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
