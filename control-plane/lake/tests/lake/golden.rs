//! What is written as Parquet is what the JSON has, field for field.

#[path = "../../../api/tests/event/full.rs"]
mod full;

use anyhow::{Context as _, Result, ensure};
use arrow_json::LineDelimitedWriter;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use prost::Message as _;
use serde_json::Value;
use wanglou_api::event::{Json, v1, write_delimited};
use wanglou_lake::schema;

#[test]
fn json_and_parquet_have_the_same() -> Result<()> {
    let full = full_event()?;
    let times = [Some(full.clone()), None, Some(full)];
    let events = times.map(Option::unwrap_or_default);
    let batch = schema::batch(&events)?;
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;

    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file))?;
    ensure!(reader.schema().fields() == schema::schema().fields(), "{:#?}", reader.schema());
    let mut lines = LineDelimitedWriter::new(Vec::new());
    for batch in reader.build()? {
        lines.write(&batch?)?;
    }
    lines.finish()?;
    let lines = String::from_utf8(lines.into_inner())?;
    let read: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    for (event, read) in events.iter().zip(&read) {
        ensure!(*read == json(event)?, "{read:#}");
    }
    ensure!(read.len() == 3);
    Ok(())
}

fn full_event() -> Result<v1::Event> {
    let mut message = Vec::new();
    full::with_full_event(|event| write_delimited(event, &mut message));
    v1::Event::decode_length_delimited(&*message).context("an event")
}

fn json(event: &v1::Event) -> Result<Value> {
    let mut line = Vec::new();
    event.write_json(&mut line);
    serde_json::from_slice(&line).context("JSON")
}
