use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Int32Builder, Int64Builder, ListBuilder, MapBuilder,
    MapFieldNames, NullBufferBuilder, StringBuilder, TimestampNanosecondBuilder, UInt32Builder,
    UInt64Builder,
};
use arrow_array::{ArrayRef, StructArray};
use arrow_schema::{ArrowError, DataType, Field};

use super::{columns, finish, push};
use crate::schema::shape::{Kind, Shape};
use crate::schema::{ELEMENT, ENTRY, KEY, VALUE, counts, fields};
use crate::wire::{Value, count, counts_by_name, entries, text, timestamp};

type Counts = MapBuilder<StringBuilder, UInt64Builder>;

/// One of them, as long as the last row that has something for it.
#[derive(Debug)]
pub(super) enum Column {
    Bool(BooleanBuilder),
    U32(UInt32Builder),
    U64(UInt64Builder),
    I32(Int32Builder),
    I64(Int64Builder),
    String(StringBuilder),
    Timestamp(TimestampNanosecondBuilder),
    /// What has several entries is open until something is said of a later row.
    Strings {
        list: ListBuilder<StringBuilder>,
        is_open: bool,
    },
    Counts {
        map: Counts,
        is_open: bool,
    },
    CountsByName {
        map: Box<MapBuilder<StringBuilder, Counts>>,
        is_open: bool,
    },
    Message {
        valid: NullBufferBuilder,
        columns: Vec<Column>,
    },
}

impl Column {
    pub(super) fn new(kind: &Kind) -> Self {
        let strings = || StringBuilder::with_capacity(0, 0);
        let is_open = false;
        match kind {
            Kind::Bool => Self::Bool(BooleanBuilder::with_capacity(0)),
            Kind::U32 => Self::U32(UInt32Builder::with_capacity(0)),
            Kind::U64 => Self::U64(UInt64Builder::with_capacity(0)),
            Kind::I32 => Self::I32(Int32Builder::with_capacity(0)),
            Kind::I64 => Self::I64(Int64Builder::with_capacity(0)),
            Kind::String => Self::String(strings()),
            Kind::Timestamp => {
                let times = TimestampNanosecondBuilder::with_capacity(0);
                Self::Timestamp(times.with_timezone("UTC"))
            }
            Kind::Strings => {
                let element = Field::new(ELEMENT, DataType::Utf8, true);
                let list = ListBuilder::with_capacity(strings(), 0).with_field(element);
                Self::Strings { list, is_open }
            }
            Kind::Counts => Self::Counts { map: map_of_counts(), is_open },
            Kind::CountsByName => {
                let map = MapBuilder::with_capacity(Some(names()), strings(), map_of_counts(), 0);
                let map = Box::new(map.with_values_field(Field::new(VALUE, counts(), false)));
                Self::CountsByName { map, is_open }
            }
            Kind::Message(shape) => {
                Self::Message { valid: NullBufferBuilder::new(0), columns: columns(shape) }
            }
        }
    }

    /// Adds what a field has in row `row`.
    #[inline]
    pub(super) fn push(&mut self, kind: &Kind, row: usize, value: Value<'_>) {
        match (self, value) {
            (Self::Message { valid, columns }, Value::Bytes(message)) => {
                let Kind::Message(shape) = kind else { return };
                if valid.len() <= row {
                    valid.append_n_nulls(row - valid.len());
                    valid.append_non_null();
                }
                push(shape, columns, row, message);
            }
            (column, value) => {
                if column.is_at(row) {
                    // Only fails where keys and values are not as many, and they are added in pairs.
                    let _ = column.put(value);
                }
            }
        }
    }

    /// Whether there is room in a row, which all before it is filled up for.
    #[inline]
    fn is_at(&mut self, row: usize) -> bool {
        let is_open = match self {
            Self::Strings { is_open, .. }
            | Self::Counts { is_open, .. }
            | Self::CountsByName { is_open, .. } => *is_open,
            _ => false,
        };
        if is_open && self.len() < row && self.close().is_err() {
            return false;
        }
        let missing = row.saturating_sub(self.len());
        (missing == 0 || self.pad(missing).is_ok()) && self.len() == row
    }

    fn put(&mut self, value: Value<'_>) -> Result<(), ArrowError> {
        match (self, value) {
            (Self::Bool(column), Value::Varint(value)) => column.append_value(value != 0),
            (Self::U32(column), Value::Varint(value)) => column.append_value(value as u32),
            (Self::U64(column), Value::Varint(value)) => column.append_value(value),
            (Self::I32(column), Value::Varint(value)) => column.append_value(value as i32),
            (Self::I64(column), Value::Varint(value)) => column.append_value(value.cast_signed()),
            (Self::String(column), Value::Bytes(bytes)) => {
                column.append_value(text(bytes).unwrap_or_default());
            }
            (Self::Timestamp(column), Value::Bytes(bytes)) => {
                column.append_value(timestamp(bytes).unwrap_or_default());
            }
            (Self::Strings { list, is_open }, Value::Bytes(bytes)) => {
                list.values().append_value(text(bytes).unwrap_or_default());
                *is_open = true;
            }
            (Self::Counts { map, is_open }, Value::Bytes(entry)) => {
                put_count(map, entry);
                *is_open = true;
            }
            (Self::CountsByName { map, is_open }, Value::Bytes(entry)) => {
                let (key, counts) = counts_by_name(entry).unwrap_or_default();
                entries(counts).flatten().for_each(|entry| put_count(map.values(), entry));
                map.values().append(true)?;
                map.keys().append_value(key);
                *is_open = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn len(&self) -> usize {
        match self {
            Self::Bool(column) => column.len(),
            Self::U32(column) => column.len(),
            Self::U64(column) => column.len(),
            Self::I32(column) => column.len(),
            Self::I64(column) => column.len(),
            Self::String(column) => column.len(),
            Self::Timestamp(column) => column.len(),
            Self::Strings { list, .. } => list.len(),
            Self::Counts { map, .. } => map.len(),
            Self::CountsByName { map, .. } => map.len(),
            Self::Message { valid, .. } => valid.len(),
        }
    }

    /// Adds so many rows that have nothing.
    fn pad(&mut self, missing: usize) -> Result<(), ArrowError> {
        match self {
            Self::Bool(column) => column.append_nulls(missing),
            Self::U32(column) => column.append_nulls(missing),
            Self::U64(column) => column.append_nulls(missing),
            Self::I32(column) => column.append_nulls(missing),
            Self::I64(column) => column.append_nulls(missing),
            Self::String(column) => column.append_nulls(missing),
            Self::Timestamp(column) => column.append_nulls(missing),
            Self::Strings { list, .. } => list.append_nulls(missing),
            Self::Counts { map, .. } => map.append_nulls(missing)?,
            Self::CountsByName { map, .. } => map.append_nulls(missing)?,
            Self::Message { valid, .. } => valid.append_n_nulls(missing),
        }
        Ok(())
    }

    /// Ends the row whose entries were added.
    fn close(&mut self) -> Result<(), ArrowError> {
        match self {
            Self::Strings { list, is_open: is_open @ true } => {
                list.append(true);
                *is_open = false;
            }
            Self::Counts { map, is_open: is_open @ true } => {
                map.append(true)?;
                *is_open = false;
            }
            Self::CountsByName { map, is_open: is_open @ true } => {
                map.append(true)?;
                *is_open = false;
            }
            _ => {}
        }
        Ok(())
    }

    /// All of it, filled up to `rows`.
    pub(super) fn finish(&mut self, kind: &Kind, rows: usize) -> Result<ArrayRef, ArrowError> {
        self.close()?;
        self.pad(rows.saturating_sub(self.len()))?;
        Ok(match self {
            Self::Bool(column) => Arc::new(column.finish()),
            Self::U32(column) => Arc::new(column.finish()),
            Self::U64(column) => Arc::new(column.finish()),
            Self::I32(column) => Arc::new(column.finish()),
            Self::I64(column) => Arc::new(column.finish()),
            Self::String(column) => Arc::new(column.finish()),
            Self::Timestamp(column) => Arc::new(column.finish()),
            Self::Strings { list, .. } => Arc::new(list.finish()),
            Self::Counts { map, .. } => Arc::new(map.finish()),
            Self::CountsByName { map, .. } => Arc::new(map.finish()),
            Self::Message { valid, columns } => {
                let shape: &Shape = match kind {
                    Kind::Message(shape) => shape,
                    _ => return Err(ArrowError::SchemaError("a struct of no message".to_owned())),
                };
                let arrays = finish(shape, columns, rows)?;
                Arc::new(StructArray::try_new(fields(shape), arrays, valid.finish())?)
            }
        })
    }
}

fn map_of_counts() -> Counts {
    let keys = StringBuilder::with_capacity(0, 0);
    let map = MapBuilder::with_capacity(Some(names()), keys, UInt64Builder::with_capacity(0), 0);
    map.with_values_field(Field::new(VALUE, DataType::UInt64, false))
}

fn names() -> MapFieldNames {
    MapFieldNames { entry: ENTRY.to_owned(), key: KEY.to_owned(), value: VALUE.to_owned() }
}

fn put_count(map: &mut Counts, entry: &[u8]) {
    let (key, value) = count(entry).unwrap_or_default();
    map.keys().append_value(key);
    map.values().append_value(value);
}
