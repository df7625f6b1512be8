//! What somebody finds in the lake who knows nothing but the folders of its partitions.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::waves::{Deed, NETWORK, PROGRAM};

/// An interval that the sensor says it has seen nothing in, or not all; ns since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    /// Rows of each run, by action.
    pub(crate) runs: BTreeMap<u64, BTreeMap<String, u64>>,
    /// Whose rows are there.
    pub(crate) deeds: HashSet<Deed>,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) rows: u64,
}

/// What is asked for: all else is a hundred columns.
const ASKED: [&str; 11] = [
    "host.id",
    "host.boot.id",
    "wanglou.run.id",
    "event.action",
    "event.sequence",
    "event.start",
    "event.end",
    "process.executable",
    "process.args.list.element",
    "source.port",
    "destination.ip",
];

impl Partitions {
    /// Those of a lake, all of one host in one boot, and no row twice. Programs of waves are in `folder`.
    pub(crate) fn read(lake: &Path, host: &str, folder: &Path) -> Result<Self> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let reading = Reading { host, boot: boot.trim(), folder };
        let (mut all, mut seen) = (Self::default(), HashSet::new());
        let mut paths = Vec::new();
        files(&lake.join("events"), &mut paths)?;
        for path in paths {
            let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(&path)?)?;
            let asked = ProjectionMask::columns(builder.parquet_schema(), ASKED);
            for batch in builder.with_projection(asked).build()? {
                let read = reading.take(&batch?, &mut all, &mut seen);
                read.with_context(|| path.display().to_string())?;
            }
        }
        Ok(all)
    }
}

fn files(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, paths)?;
        } else if path.extension().is_some_and(|it| it == "parquet") {
            paths.push(path);
        }
    }
    Ok(())
}

struct Reading<'a> {
    host: &'a str,
    boot: &'a str,
    folder: &'a Path,
}

impl Reading<'_> {
    fn take(
        &self,
        batch: &RecordBatch,
        all: &mut Partitions,
        seen: &mut HashSet<(u64, u64)>,
    ) -> Result<()> {
        let hosts = column(batch, &["host", "id"])?;
        let boots = column(batch, &["host", "boot", "id"])?;
        let runs = column(batch, &["wanglou", "run", "id"])?;
        let actions = column(batch, &["event", "action"])?;
        let (hosts, boots) = (hosts.as_string::<i32>(), boots.as_string::<i32>());
        let (runs, actions) = (runs.as_string::<i32>(), actions.as_string::<i32>());
        let sequences = column(batch, &["event", "sequence"])?;
        let sequences = sequences.as_primitive::<UInt64Type>();
        for row in 0..batch.num_rows() {
            let is_ours = hosts.value(row) == self.host && boots.value(row) == self.boot;
            ensure!(is_ours, "a row of host {} in boot {}", hosts.value(row), boots.value(row));
            let run: u64 = runs.value(row).parse()?;
            let (sequence, action) = (sequences.value(row), actions.value(row));
            ensure!(seen.insert((run, sequence)), "event {sequence} of run {run} is there twice");
            all.rows += 1;
            *all.runs.entry(run).or_default().entry(action.to_owned()).or_default() += 1;
            match action {
                "gap" => all.gaps.push(gap(batch, row)?),
                "exec" => self.add(all, self.exec(batch, row)?)?,
                "connection_attempted" => self.add(all, connection(batch, row, Deed::Attempt)?)?,
                "connection_accepted" => self.add(all, connection(batch, row, Deed::Accept)?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn add(&self, all: &mut Partitions, deed: Option<Deed>) -> Result<()> {
        let Some(deed) = deed else { return Ok(()) };
        ensure!(all.deeds.insert(deed), "{deed:?} is told of twice");
        Ok(())
    }

    /// Which process of a wave it is, if it is one.
    fn exec(&self, batch: &RecordBatch, row: usize) -> Result<Option<Deed>> {
        let programs = column(batch, &["process", "executable"])?;
        let Some(program) = text(&programs, row) else { return Ok(None) };
        let wave = Path::new(program).strip_prefix(self.folder).ok().and_then(Path::to_str);
        let Some(wave) = wave.and_then(|name| name.strip_prefix(PROGRAM)) else { return Ok(None) };
        let args = column(batch, &["process", "args"])?.as_list::<i32>().value(row);
        let args: Vec<_> = args.as_string::<i32>().iter().flatten().collect();
        // The storm itself is of the same program.
        let [_, "noop", worker, n] = args[..] else { return Ok(None) };
        Ok(Some(Deed::Exec(wave.parse()?, worker.parse()?, n.parse()?)))
    }
}

/// Which connection of a wave it is, if it is one.
fn connection(
    batch: &RecordBatch,
    row: usize,
    deed: impl Fn(u32, u16) -> Deed,
) -> Result<Option<Deed>> {
    let to = column(batch, &["destination", "ip"])?;
    let Some(Ok(to)) = text(&to, row).map(str::parse::<Ipv4Addr>) else { return Ok(None) };
    let [a, b, c, d] = to.octets();
    if [a, b] != NETWORK {
        return Ok(None);
    }
    let port = column(batch, &["source", "port"])?.as_primitive::<UInt32Type>().value(row);
    Ok(Some(deed(u32::from_be_bytes([0, 0, c, d]), port.try_into()?)))
}

fn gap(batch: &RecordBatch, row: usize) -> Result<Gap> {
    let time = |name| -> Result<u64> {
        let times = column(batch, &["event", name])?;
        Ok(times.as_primitive::<TimestampNanosecondType>().value(row).try_into()?)
    };
    Ok(Gap { start: time("start")?, end: time("end")? })
}

fn column(batch: &RecordBatch, path: &[&str]) -> Result<ArrayRef> {
    let (first, rest) = path.split_first().context("no path")?;
    let mut column = batch.column_by_name(first).cloned();
    for name in rest {
        column = column.and_then(|it| it.as_struct_opt()?.column_by_name(name).cloned());
    }
    column.with_context(|| format!("there is no column {}", path.join(".")))
}

fn text(column: &ArrayRef, row: usize) -> Option<&str> {
    let column = column.as_string::<i32>();
    column.is_valid(row).then(|| column.value(row))
}
