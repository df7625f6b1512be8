//! Reading what is stored: the newest first, and no more of it than can matter.
//!
//! A file is passed over by its hour, its kind and its times, a row group by its times and by which processes it has. Of the
//! others only the columns that the condition names are read at first, and everything else of the rows for which it holds.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray as _;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array as _, BooleanArray, RecordBatch};
use arrow_schema::ArrowError;
use futures_util::TryStreamExt as _;
use object_store::ObjectStore;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions, RowFilter,
};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::SchemaDescriptor;
use tokio::task::yield_now;

use super::QueryError;
use super::encode::encode;
use super::filter::FilterError;
use super::guard::Guard;
use super::matcher::{Matcher, reason};
use super::reader::Reader;
use crate::Snapshot;
use crate::manifest::File;
use crate::partition::Kind;

/// What is in no file yet.
const LANDED: &str = "what has landed";
const TIMESTAMP: &str = "@timestamp";
const ENTITY_ID: &[&str] = &["process", "entity_id"];
/// Of a batch: so many are evaluated before the time is looked at again, and a row may have a MiB.
const ROWS: usize = 256;

/// Whoever wants to know what is found.
pub(super) trait Found {
    /// From which time on it wants to, ns since 1970.
    fn floor(&self) -> i64;
    /// An event, and when it happened.
    fn take(&mut self, time: i64, event: &[u8]);
}

/// What is read.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) matcher: Arc<Matcher>,
    /// From the first on, and before the second, ns since 1970.
    pub(super) times: (i64, i64),
    /// Any of them; none for all.
    pub(super) kinds: Vec<Kind>,
    /// If there are any, the `process.entity_id` has to be one of these: files know which row groups have none of them.
    pub(super) ids: Vec<String>,
    /// Of an event, what is wanted; none for all of it.
    pub(super) fields: &'static [&'static str],
    pub(super) guard: Guard,
}

/// What the reader of a file calls.
struct Test {
    matcher: Arc<Matcher>,
    times: (i64, i64),
    floor: Arc<AtomicI64>,
    guard: Guard,
    fault: Arc<Fault>,
}

/// What is wrong with the condition, if that was found out on the way.
type Fault = Mutex<Option<FilterError>>;

impl Scan {
    /// All that there is of a moment: what has landed last, then files, the newest first.
    pub(super) async fn snapshot(
        &self,
        snapshot: &Snapshot,
        found: &mut impl Found,
    ) -> Result<(), QueryError> {
        for batch in snapshot.batches() {
            let batch =
                batch.map_err(|error| self.explain(LANDED, &error.into(), &Fault::default()))?;
            self.batch(&batch, found)?;
            yield_now().await;
        }
        let mut files: Vec<_> = snapshot.files.iter().filter(|file| self.may_have(file)).collect();
        files.sort_unstable_by_key(|file| Reverse(file.times.1));
        for file in files {
            if file.times.1 >= found.floor() {
                self.file(file, found).await?;
            }
        }
        Ok(())
    }

    fn batch(&self, batch: &RecordBatch, found: &mut impl Found) -> Result<(), QueryError> {
        let test = self.test(found.floor());
        for start in (0..batch.num_rows()).step_by(ROWS) {
            let some = batch.slice(start, ROWS.min(batch.num_rows() - start));
            let selected = test.of(&some);
            let selected =
                selected.map_err(|error| self.explain(LANDED, &error.into(), &test.fault))?;
            take(&some, |row| selected.value(row), found);
        }
        Ok(())
    }

    fn may_have(&self, file: &File) -> bool {
        let is_of_kind = self.kinds.is_empty()
            || file.partition().is_none_or(|partition| self.kinds.contains(&partition.kind));
        is_of_kind && file.times.1 >= self.times.0 && file.times.0 < self.times.1
    }

    async fn file(&self, file: &File, found: &mut impl Found) -> Result<(), QueryError> {
        let test = self.test(found.floor());
        let (floor, fault) = (test.floor.clone(), test.fault.clone());
        let read = self.read(file, test, &floor, found).await;
        read.map_err(|error| self.explain(&file.path, &error, &fault))
    }

    async fn read(
        &self,
        file: &File,
        test: Test,
        floor: &AtomicI64,
        found: &mut impl Found,
    ) -> Result<(), ParquetError> {
        let mut reader = Reader::open(&self.store, file);
        let metadata =
            ArrowReaderMetadata::load_async(&mut reader, ArrowReaderOptions::new()).await?;
        let leaves = metadata.parquet_schema();
        let tested = self.matcher.sources().map(<[String]>::to_vec);
        let tested: Vec<_> = tested.chain([vec![TIMESTAMP.to_owned()]]).collect();
        let tested = mask(leaves, &tested);
        let wanted = match self.fields {
            [] => ProjectionMask::all(),
            fields => {
                let path = |field: &&str| field.split('.').map(str::to_owned).collect();
                mask(leaves, &fields.iter().map(path).collect::<Vec<_>>())
            }
        };
        let test = Arc::new(test);
        for group in (0..metadata.metadata().num_row_groups()).rev() {
            let span = span(leaves, metadata.metadata().row_group(group));
            let is_late = span.is_some_and(|(first, _)| first >= self.times.1);
            let is_early = span.is_some_and(|(_, last)| last < self.times.0.max(found.floor()));
            if is_late || is_early {
                continue;
            }
            let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(
                reader.clone(),
                metadata.clone(),
            );
            if !self.may_have_ids(leaves, &mut builder, group).await? {
                continue;
            }
            floor.store(found.floor(), Ordering::Relaxed);
            let test = test.clone();
            let predicate = ArrowPredicateFn::new(tested.clone(), move |batch| test.of(&batch));
            let mut batches = builder
                .with_row_groups(vec![group])
                .with_batch_size(ROWS)
                .with_projection(wanted.clone())
                .with_row_filter(RowFilter::new(vec![Box::new(predicate)]))
                .build()?;
            while let Some(batch) = batches.try_next().await? {
                take(&batch, |_| true, found);
                floor.store(found.floor(), Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Whether a row group may have one of the processes. A filter is wrong sometimes, but never about one that is there.
    async fn may_have_ids(
        &self,
        leaves: &SchemaDescriptor,
        builder: &mut ParquetRecordBatchStreamBuilder<Reader>,
        group: usize,
    ) -> Result<bool, ParquetError> {
        let Some(leaf) = leaf(leaves, ENTITY_ID).filter(|_| !self.ids.is_empty()) else {
            return Ok(true);
        };
        let filter = builder.get_row_group_column_bloom_filter(group, leaf).await?;
        let has = |filter: Sbbf| self.ids.iter().any(|id| filter.check(id.as_str()));
        Ok(filter.is_none_or(has))
    }

    fn test(&self, floor: i64) -> Test {
        Test {
            matcher: self.matcher.clone(),
            times: self.times,
            floor: Arc::new(AtomicI64::new(floor)),
            guard: self.guard.clone(),
            fault: Arc::default(),
        }
    }

    /// What went wrong, by what is known of it.
    fn explain(&self, path: &str, error: &ParquetError, fault: &Fault) -> QueryError {
        if self.guard.is_over() {
            return QueryError::Late;
        }
        let fault = fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(fault) = fault {
            return QueryError::Filter(fault);
        }
        if let ParquetError::External(source) = error
            && let Some(object_store::Error::NotFound { .. }) = source.downcast_ref()
        {
            return QueryError::Changed { path: path.to_owned() };
        }
        QueryError::File { path: path.to_owned(), reason: error.to_string() }
    }
}

impl Test {
    fn of(&self, batch: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        self.guard.check()?;
        let selected = self.matcher.of(batch).inspect_err(|error| {
            let fault = Some(FilterError(reason(error)));
            *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
        })?;
        let (from, until) = (self.times.0.max(self.floor.load(Ordering::Relaxed)), self.times.1);
        let times = times(batch);
        let is_selected = |row| selected.is_valid(row) && selected.value(row);
        let rows = 0..batch.num_rows();
        Ok(rows.map(|row| Some(is_selected(row) && (from..until).contains(&times(row)))).collect())
    }
}

/// Rows of a batch, as events.
fn take(batch: &RecordBatch, is_wanted: impl Fn(usize) -> bool, found: &mut impl Found) {
    let times = times(batch);
    let mut message = Vec::new();
    for row in (0..batch.num_rows()).filter(|row| is_wanted(*row)) {
        if times(row) >= found.floor() {
            message.clear();
            encode(batch, row, &mut message);
            found.take(times(row), &message);
        }
    }
}

/// When the events of a batch happened, ns since 1970; 0 where that is not known.
fn times(batch: &RecordBatch) -> impl Fn(usize) -> i64 + use<> {
    let column = batch.column_by_name(TIMESTAMP);
    let column = column.and_then(|it| it.as_primitive_opt::<TimestampNanosecondType>().cloned());
    move |row| column.as_ref().filter(|it| it.is_valid(row)).map_or(0, |it| it.value(row))
}

/// The leaves of a file at or below some fields.
fn mask(leaves: &SchemaDescriptor, fields: &[Vec<String>]) -> ProjectionMask {
    let is_wanted = |leaf: &usize| {
        let path = leaves.column(*leaf).path().parts().to_vec();
        fields.iter().any(|field| path.starts_with(field))
    };
    ProjectionMask::leaves(leaves, (0..leaves.num_columns()).filter(is_wanted))
}

/// When the first and the last of a row group's events happened, if it says so.
fn span(leaves: &SchemaDescriptor, group: &RowGroupMetaData) -> Option<(i64, i64)> {
    match group.column(leaf(leaves, &[TIMESTAMP])?).statistics()? {
        Statistics::Int64(statistics) => Some((*statistics.min_opt()?, *statistics.max_opt()?)),
        _ => None,
    }
}

/// Which leaf a field is.
fn leaf(leaves: &SchemaDescriptor, path: &[&str]) -> Option<usize> {
    (0..leaves.num_columns()).find(|leaf| leaves.column(*leaf).path().parts() == path)
}
