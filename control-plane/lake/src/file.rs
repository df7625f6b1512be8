//! Parquet files: events in the order of their time, compressed with Zstandard.

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::Error;
use crate::columns::Columns;
use crate::schema::schema;

/// Rows that are read together.
const GROUP_ROWS: usize = 64 << 10;
/// Rows, and bytes of protobuf, that become columns together.
const BATCH_ROWS: usize = 4_096;
const BATCH_BYTES: usize = 16 << 20;

/// Columns of which is asked by value: a bloom filter says which row groups have it.
const ASKED: [&[&str]; 2] = [&["process", "entity_id"], &["host", "id"]];

/// Columns whose values are near the one before, and hardly ever the same: a difference is shorter than an entry.
const RISING: [&[&str]; 5] = [
    &["@timestamp"],
    &["event", "sequence"],
    &["process", "start"],
    &["process", "end"],
    &["event", "end"],
];

/// Events of one partition, as they come.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    bytes: Vec<u8>,
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    timestamp: i64,
    start: u32,
    length: u32,
}

/// A file in the making, of batches that are in order.
#[derive(Debug)]
pub(crate) struct Writer {
    writer: ArrowWriter<Vec<u8>>,
}

impl Arena {
    /// Adds an event. There are 4 GiB of them at most: a round has less.
    pub(crate) fn push(&mut self, timestamp: i64, message: &[u8]) {
        let (start, length) = (self.bytes.len() as u32, message.len() as u32);
        self.bytes.extend_from_slice(message);
        self.rows.push(Row { timestamp, start, length });
    }

    /// How many there are.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.len() as u64
    }

    /// When the first and the last happened.
    pub(crate) fn times(&self) -> (i64, i64) {
        let times = || self.rows.iter().map(|row| row.timestamp);
        (times().min().unwrap_or(0), times().max().unwrap_or(0))
    }

    /// As a file.
    pub(crate) fn encode(mut self) -> Result<Vec<u8>, Error> {
        self.rows.sort_unstable();
        let mut writer = Writer::new()?;
        let mut columns = Columns::default();
        let mut bytes = 0;
        for row in &self.rows {
            let message = &self.bytes[row.start as usize..][..row.length as usize];
            columns.push(message);
            bytes += message.len();
            if columns.rows() == BATCH_ROWS || bytes > BATCH_BYTES {
                writer.write(&columns.finish()?)?;
                bytes = 0;
            }
        }
        writer.write(&columns.finish()?)?;
        writer.finish()
    }
}

impl Writer {
    pub(crate) fn new() -> Result<Self, Error> {
        let by_time = SortingColumn { column_idx: 0, descending: false, nulls_first: true };
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            // A file has a hundred columns, most of them empty: statistics of each page would be most of it.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .set_sorting_columns(Some(vec![by_time]));
        for column in ASKED {
            properties = properties.set_column_bloom_filter_enabled(path(column), true);
        }
        for column in RISING {
            let (column, encoding) = (path(column), Encoding::DELTA_BINARY_PACKED);
            properties = properties.set_column_dictionary_enabled(column.clone(), false);
            properties = properties.set_column_encoding(column, encoding);
        }
        let options = ArrowWriterOptions::new()
            .with_properties(properties.build())
            // Everything that Arrow knows of the columns, Parquet's own schema says, too.
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema().clone(), options)?;
        Ok(Self { writer })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        Ok(self.writer.write(batch)?)
    }

    pub(crate) fn finish(self) -> Result<Vec<u8>, Error> {
        Ok(self.writer.into_inner()?)
    }
}

fn path(column: &[&str]) -> ColumnPath {
    ColumnPath::new(column.iter().map(|part| (*part).to_owned()).collect())
}
