use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use wanglou_api::sensor::v1::RunId;
use wanglou_api::sensor::v1::publish_request::Record;

use super::Round;
use crate::books::Run;
use crate::content::Content;
use crate::file::Arena;
use crate::landing::format::{HostRecord, Newer, parse};
use crate::manifest::{RunBooks, Volume};
use crate::numbers::Numbers;
use crate::partition::Partition;
use crate::state::State;

/// What is taken from landing objects, by partition, and each record once.
#[derive(Debug)]
pub(super) struct Taking {
    state: Arc<State>,
    pub(super) partitions: BTreeMap<Partition, Taken>,
    /// Indices into `books`.
    runs: BTreeMap<Run, usize>,
    pub(super) books: Vec<RunBooks>,
    volumes: BTreeMap<(i64, String), (u64, u64)>,
    /// Of events, as protobuf.
    pub(super) bytes: usize,
    pub(super) round: Round,
}

/// What goes into one file.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) arena: Arena,
    /// Numbers of batches, by index of their run.
    pub(super) batches: BTreeMap<usize, Numbers>,
}

impl Taking {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self {
            state,
            partitions: BTreeMap::new(),
            runs: BTreeMap::new(),
            books: Vec::new(),
            volumes: BTreeMap::new(),
            bytes: 0,
            round: Round::default(),
        }
    }

    /// Takes all of an object.
    pub(super) fn take(&mut self, object: &[u8]) -> Result<(), Newer> {
        let parsed = parse(object)?;
        self.round.damaged_records += parsed.damaged;
        self.round.cut_bytes += parsed.cut;
        parsed.records.into_iter().for_each(|record| self.take_record(record));
        Ok(())
    }

    fn take_record(&mut self, told: HostRecord) {
        let Some((run, record)) = run_and_record(told.host, told.record.and_then(|it| it.record))
        else {
            self.round.damaged_records += 1;
            return;
        };
        let at = self.books_of(run);
        if self.books[at].books.has(&record) {
            self.round.duplicates += 1;
            return;
        }
        let mut times = None;
        if let Record::Batch(batch) = &record {
            let Ok(content) = Content::of(batch) else {
                // Its number stays missing, and so its run's books don't balance.
                self.round.damaged_records += 1;
                return;
            };
            times = content.times();
            self.take_events(&content, at, batch.number, told.received_ms);
        }
        let run = &mut self.books[at];
        run.books.count(&record, times, told.received_ms);
        run.heard = run.heard.max(told.received_ms);
        self.round.records += 1;
    }

    /// The index of a run's books.
    fn books_of(&mut self, run: Run) -> usize {
        match self.runs.entry(run) {
            Entry::Occupied(there) => *there.get(),
            Entry::Vacant(free) => {
                let known = self.state.runs.get(free.key()).cloned();
                let run = free.key().clone();
                let new = || RunBooks { run, books: Default::default(), heard: 0 };
                self.books.push(known.unwrap_or_else(new));
                *free.insert(self.books.len() - 1)
            }
        }
    }

    fn take_events(&mut self, content: &Content, run: usize, number: u64, received_ms: i64) {
        let mut volumes: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
        for raw in content.raw() {
            let partition = Partition::of(raw.kind, raw.timestamp, received_ms);
            let taken = self.partitions.entry(partition).or_default();
            taken.arena.push(raw.timestamp, raw.message);
            taken.batches.entry(run).or_default().insert(number);
            let (events, bytes) = volumes.entry(partition.hour).or_default();
            *events += 1;
            *bytes += raw.message.len() as u64;
        }
        let host = &self.books[run].run.host;
        for (hour, (events, bytes)) in volumes {
            let volume = self.volumes.entry((hour, host.clone())).or_default();
            *volume = (volume.0 + events, volume.1 + bytes);
            self.bytes += bytes as usize;
            self.round.events += events;
        }
    }

    pub(super) fn volumes(&mut self) -> Vec<Volume> {
        let volumes = std::mem::take(&mut self.volumes).into_iter();
        let volumes =
            volumes.map(|((hour, host), (events, bytes))| Volume { host, hour, events, bytes });
        volumes.collect()
    }
}

/// As manifests have them.
pub(super) fn ranges(batches: &BTreeMap<usize, Numbers>) -> Vec<(usize, u64, u64)> {
    let ranges = |(run, numbers): (&usize, &Numbers)| {
        let ranges = numbers.ranges().iter();
        ranges.map(|(first, last)| (*run, *first, *last)).collect::<Vec<_>>()
    };
    batches.iter().flat_map(ranges).collect()
}

/// Whose a record is; `None` where it doesn't say.
pub(crate) fn run_and_record(host: String, record: Option<Record>) -> Option<(Run, Record)> {
    let record = record?;
    let run = match &record {
        Record::Batch(batch) => &batch.run,
        Record::LostBatch(batch) => &batch.run,
        Record::ClosedRun(closed) => &closed.run,
    };
    let RunId { boot_id, run_id } = run.clone()?;
    Some((Run { host, boot: boot_id, run: run_id }, record))
}
