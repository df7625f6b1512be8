//! Events out of columns: a row as the protobuf message that it was.
//!
//! A column with the message itself would spare this, and was weighed: it would be everything a second time. See decision 15
//! in `docs/decisions`.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, MapArray, RecordBatch, StructArray};
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::schema::shape::{EVENT, Kind, Shape};

/// Appends a row of a batch of the lake's schema, or of a part of it.
pub(super) fn encode(batch: &RecordBatch, row: usize, out: &mut Vec<u8>) {
    for field in &EVENT.fields {
        if let Some(column) = batch.column_by_name(&field.name) {
            value(&field.kind, field.number, column, row, out);
        }
    }
}

fn fields(shape: &Shape, object: &StructArray, row: usize, out: &mut Vec<u8>) {
    for field in &shape.fields {
        if let Some(column) = object.column_by_name(&field.name) {
            value(&field.kind, field.number, column, row, out);
        }
    }
}

fn value(kind: &Kind, number: u32, column: &dyn Array, row: usize, out: &mut Vec<u8>) {
    if column.is_null(row) {
        return;
    }
    match kind {
        Kind::Bool => varint(number, column.as_boolean().value(row).into(), out),
        Kind::U32 => varint(number, column.as_primitive::<UInt32Type>().value(row).into(), out),
        Kind::U64 => varint(number, column.as_primitive::<UInt64Type>().value(row), out),
        Kind::I32 => {
            let value = i64::from(column.as_primitive::<Int32Type>().value(row));
            varint(number, value.cast_unsigned(), out);
        }
        Kind::I64 => {
            let value = column.as_primitive::<Int64Type>().value(row);
            varint(number, value.cast_unsigned(), out);
        }
        Kind::String => text(number, column.as_string::<i32>().value(row), out),
        Kind::Strings => {
            let list = column.as_list::<i32>().value(row);
            list.as_string::<i32>().iter().flatten().for_each(|it| text(number, it, out));
        }
        Kind::Timestamp => {
            let ns = column.as_primitive::<TimestampNanosecondType>().value(row);
            message(number, out, |out| {
                varint(1, ns.div_euclid(1_000_000_000).cast_unsigned(), out);
                varint(2, ns.rem_euclid(1_000_000_000).cast_unsigned(), out);
            });
        }
        Kind::Counts => counts(number, column.as_map(), row, out),
        Kind::CountsByName => {
            let map = column.as_map();
            for at in entries(map, row) {
                message(number, out, |out| {
                    text(1, map.keys().as_string::<i32>().value(at), out);
                    message(2, out, |out| counts(1, map.values().as_map(), at, out));
                });
            }
        }
        Kind::Message(shape) => {
            message(number, out, |out| fields(shape, column.as_struct(), row, out));
        }
    }
}

fn counts(number: u32, map: &MapArray, row: usize, out: &mut Vec<u8>) {
    for at in entries(map, row) {
        message(number, out, |out| {
            text(1, map.keys().as_string::<i32>().value(at), out);
            varint(2, map.values().as_primitive::<UInt64Type>().value(at), out);
        });
    }
}

fn entries(map: &MapArray, row: usize) -> std::ops::Range<usize> {
    let offsets = map.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

fn varint(number: u32, value: u64, out: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

fn text(number: u32, text: &str, out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

/// Its length stands before it and is known after it: most have fewer than 128 bytes, so one byte is left for it.
fn message(number: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    encode_key(number, WireType::LengthDelimited, out);
    let at = out.len();
    out.push(0);
    write(out);
    let length = out.len() - at - 1;
    if let Ok(length @ 0..0x80) = u8::try_from(length) {
        out[at] = length;
        return;
    }
    let mut prefix = Vec::with_capacity(5);
    encode_varint(length as u64, &mut prefix);
    out.splice(at..=at, prefix);
}
