//! What somebody finds who knows nothing but the folders.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{TimestampNanosecondType, UInt64Type};
use arrow_array::{Array as _, RecordBatch};
use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use wanglou_lake::Snapshot;

/// Host and sequence of each event of `events/**/*.parquet`, of which none is there twice.
pub(crate) async fn published(store: &dyn ObjectStore) -> Result<BTreeSet<(String, u64)>> {
    let mut paths = paths(store, "events").await?;
    paths.retain(|path| path.ends_with(".parquet"));
    files(store, paths).await
}

/// The same of a snapshot.
pub(crate) async fn snapshot(
    store: &dyn ObjectStore,
    snapshot: &Snapshot,
) -> Result<BTreeSet<(String, u64)>> {
    let paths = snapshot.files.iter().map(|file| file.path.clone());
    let mut all = files(store, paths.collect()).await?;
    for batch in snapshot.batches() {
        for event in events(&batch?)? {
            ensure!(all.insert(event.clone()), "{event:?} is in a file and has landed");
        }
    }
    Ok(all)
}

/// What is in a folder.
pub(crate) async fn paths(store: &dyn ObjectStore, folder: &str) -> Result<Vec<String>> {
    let objects: Vec<_> = store.list(Some(&Path::from(folder))).try_collect().await?;
    let mut paths: Vec<_> = objects.iter().map(|object| object.location.to_string()).collect();
    paths.sort();
    Ok(paths)
}

async fn files(store: &dyn ObjectStore, paths: Vec<String>) -> Result<BTreeSet<(String, u64)>> {
    let mut all = BTreeSet::new();
    for path in paths {
        let file = store.get(&Path::from(path.as_str())).await?.bytes().await?;
        let mut last = i64::MIN;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
        // All else is a hundred columns.
        let asked = ["@timestamp", "event.sequence", "host.id"];
        let asked = ProjectionMask::columns(reader.parquet_schema(), asked);
        for batch in reader.with_projection(asked).build()? {
            let batch = batch?;
            for event in events(&batch)? {
                ensure!(all.insert(event.clone()), "{event:?} is there twice, once in {path}");
            }
            let times = batch.column(0).as_primitive::<TimestampNanosecondType>();
            for time in times.values() {
                ensure!(last <= *time, "{path} is not in order");
                last = *time;
            }
        }
    }
    Ok(all)
}

fn events(batch: &RecordBatch) -> Result<Vec<(String, u64)>> {
    let column = |name: &str, field: &str| {
        let column = batch.column_by_name(name)?.as_struct_opt()?;
        column.column_by_name(field).cloned()
    };
    let hosts = column("host", "id").context("the hosts")?;
    let sequences = column("event", "sequence").context("the sequences")?;
    let (hosts, sequences) = (hosts.as_string::<i32>(), sequences.as_primitive::<UInt64Type>());
    ensure!(hosts.null_count() == 0 && sequences.null_count() == 0);
    Ok(hosts.iter().flatten().map(str::to_owned).zip(sequences.values().iter().copied()).collect())
}
