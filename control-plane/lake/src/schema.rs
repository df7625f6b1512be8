//! The columns of a Parquet file, made from `event.proto` when the program starts: a field there is a field here, under
//! the name that it has in JSON.
//!
//! ```text
//! event.proto                    Arrow and Parquet
//! optional scalar                the scalar; null where it is absent
//! message                        a struct
//! google.protobuf.Timestamp      a timestamp in ns, UTC
//! repeated string                a list of strings; null where it is empty
//! map<string, uint64>            a map; null where it is empty
//! map<string, Counts>            a map of maps
//! ```

pub(crate) mod shape;

use std::sync::{Arc, LazyLock};

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use prost::Message as _;
use wanglou_api::event::v1;

use crate::columns::Columns;
use shape::{EVENT, Kind, Shape};

/// What the entries of lists and maps are called, as the Parquet format asks for.
pub(crate) const ELEMENT: &str = "element";
pub(crate) const ENTRY: &str = "key_value";
pub(crate) const KEY: &str = "key";
pub(crate) const VALUE: &str = "value";

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(fields(&EVENT))));

/// That of every file of the lake.
pub fn schema() -> &'static SchemaRef {
    &SCHEMA
}

/// Events as a batch of that schema.
pub fn batch<'a>(
    events: impl IntoIterator<Item = &'a v1::Event>,
) -> Result<RecordBatch, ArrowError> {
    let mut columns = Columns::default();
    let mut message = Vec::new();
    for event in events {
        message.clear();
        event.encode_raw(&mut message);
        columns.push(&message);
    }
    columns.finish()
}

/// Of a message's fields.
pub(crate) fn fields(shape: &Shape) -> Fields {
    let field = |it: &shape::Field| Field::new(&it.name, data_type(&it.kind), true);
    shape.fields.iter().map(field).collect()
}

fn data_type(kind: &Kind) -> DataType {
    match kind {
        Kind::Bool => DataType::Boolean,
        Kind::U32 => DataType::UInt32,
        Kind::U64 => DataType::UInt64,
        Kind::I32 => DataType::Int32,
        Kind::I64 => DataType::Int64,
        Kind::String => DataType::Utf8,
        Kind::Strings => DataType::List(Arc::new(Field::new(ELEMENT, DataType::Utf8, true))),
        Kind::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        Kind::Counts => counts(),
        Kind::CountsByName => map(counts()),
        Kind::Message(shape) => DataType::Struct(fields(shape)),
    }
}

/// The type of `map<string, uint64>`.
pub(crate) fn counts() -> DataType {
    map(DataType::UInt64)
}

fn map(value: DataType) -> DataType {
    let fields = [Field::new(KEY, DataType::Utf8, false), Field::new(VALUE, value, false)];
    let entry = DataType::Struct(fields.into_iter().collect());
    DataType::Map(Arc::new(Field::new(ENTRY, entry, false)), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_the_name_of_the_json_and_its_type() {
        let find = |path: &str| {
            let mut fields = schema().fields().clone();
            let mut found = None;
            for name in path.split('/') {
                let (_, field) = fields.find(name).unwrap_or_else(|| panic!("{path}: no {name}"));
                found = Some(field.data_type().clone());
                if let DataType::Struct(inner) = field.data_type() {
                    fields = inner.clone();
                }
            }
            found.expect("a field")
        };
        let time = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
        assert_eq!(find("@timestamp"), time);
        assert_eq!(find("event/action"), DataType::Utf8);
        assert_eq!(find("event/sequence"), DataType::UInt64);
        assert_eq!(find("process/parent/entity_id"), DataType::Utf8);
        assert_eq!(find("process/exit_code"), DataType::Int32);
        assert!(matches!(find("process/args"), DataType::List(_)));
        assert_eq!(find("wanglou/ledger/produced"), counts());
        assert_eq!(find("wanglou/ledger/dropped"), map(counts()));
    }
}
