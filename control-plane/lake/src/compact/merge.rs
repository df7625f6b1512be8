use arrow_array::cast::AsArray as _;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array as _, RecordBatch};
use arrow_select::interleave::interleave_record_batch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::adapt::{adapt, knows};
use crate::Error;
use crate::file::Writer;
use crate::manifest::File;
use crate::partition::Partition;
use crate::state::State;

/// An hour that goes on has so many small files of a kind at most.
const MOST_SMALL: usize = 8;
/// A file that is larger is left as it is, bytes.
const SMALL: u64 = 32 << 20;
/// Files that are merged at once have so many bytes at most.
const MOST_BYTES: u64 = 128 << 20;
/// After an hour is over, its files are merged when none has come for so long, ms.
const REST_MS: i64 = 600_000;
/// Merges in a round.
const MOST_MERGES: usize = 16;
/// Rows that are merged at once.
const ROWS: usize = 1_024;

/// Which files are to become one each, at ms since 1970.
pub(super) fn choose(state: &State, now: i64) -> Vec<(Partition, Vec<File>)> {
    let mut chosen = Vec::new();
    let small = state.files.values().filter(|file| file.bytes < SMALL);
    let mut small: Vec<_> = small.filter_map(|file| Some((file.partition()?, file))).collect();
    // The paths of an hour begin alike, but for those of kinds that one of them knows and another does not.
    small.sort_by_key(|(partition, _)| *partition);
    for group in small.chunk_by(|(one, _), (other, _)| one == other) {
        let partition = group[0].0;
        let newest = group.iter().map(|(_, file)| file.since).max().unwrap_or(0);
        let is_at_rest = now - newest.max(partition.end_ms()) >= REST_MS;
        if group.len() > MOST_SMALL || (is_at_rest && group.len() > 1) {
            let mut bytes = 0;
            let files = group.iter().map(|(_, file)| *file).take_while(|file| {
                bytes += file.bytes;
                bytes <= MOST_BYTES
            });
            chosen.push((partition, files.cloned().collect()));
        }
        if chosen.len() == MOST_MERGES {
            break;
        }
    }
    chosen
}

/// One file of several, in order of the time: a row of each of them is looked at, and the earliest is taken. `None` where
/// one of them has columns that nobody knows here.
pub(super) fn merge(files: Vec<Bytes>) -> Result<Option<Vec<u8>>, Error> {
    let mut sources = Vec::with_capacity(files.len());
    for file in files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
        if !knows(reader.schema().fields()) {
            return Ok(None);
        }
        sources.extend(Source::open(reader.with_batch_size(ROWS).build()?)?);
    }
    let mut writer = Writer::new()?;
    while !sources.is_empty() {
        writer.write(&next_rows(&mut sources)?)?;
        for source in &mut sources {
            source.refill()?;
        }
        sources.retain(|source| source.at < source.batch.num_rows());
    }
    writer.finish().map(Some)
}

/// As many as there are until a source has no more in its hand.
fn next_rows(sources: &mut [Source]) -> Result<RecordBatch, Error> {
    let mut rows = Vec::new();
    while rows.len() < ROWS {
        let times = sources.iter().enumerate();
        let times = times.map(|(at, source)| source.time().map(|time| (time, at)));
        // Once one is through, what it has next is not known, and may be earlier than all others.
        let Some(times) = times.collect::<Option<Vec<_>>>() else { break };
        let Some((_, earliest)) = times.into_iter().min() else { break };
        rows.push((earliest, sources[earliest].at));
        sources[earliest].at += 1;
    }
    let batches: Vec<_> = sources.iter().map(|source| &source.batch).collect();
    Ok(interleave_record_batch(&batches, &rows)?)
}

/// A file that is read from its beginning.
struct Source {
    reader: ParquetRecordBatchReader,
    batch: RecordBatch,
    at: usize,
}

impl Source {
    /// `None` if there is nothing in it.
    fn open(mut reader: ParquetRecordBatchReader) -> Result<Option<Self>, Error> {
        let Some(batch) = reader.next() else { return Ok(None) };
        Ok(Some(Self { batch: adapt(&batch?)?, reader, at: 0 }))
    }

    fn refill(&mut self) -> Result<(), Error> {
        if self.at == self.batch.num_rows()
            && let Some(batch) = self.reader.next()
        {
            (self.batch, self.at) = (adapt(&batch?)?, 0);
        }
        Ok(())
    }

    /// Of the row that it is at; `None` after the last in its hand.
    fn time(&self) -> Option<i64> {
        let times = self.batch.column(0).as_primitive_opt::<TimestampNanosecondType>()?;
        let is_there = self.at < times.len();
        is_there.then(|| if times.is_null(self.at) { 0 } else { times.value(self.at) })
    }
}
