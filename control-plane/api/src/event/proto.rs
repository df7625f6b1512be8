//! Protobuf, written straight into bytes, as JSON is: views have no messages behind them.
//!
//! A message's length stands before it and is known after it. Most have fewer than 128 bytes, so one byte is left for it;
//! a longer one is moved up.

use std::collections::BTreeMap;

use super::{Strings, Timestamp};

/// Wire types of <https://protobuf.dev/programming-guides/encoding>.
const VARINT: u32 = 0;
const LENGTH: u32 = 2;

/// A message in the making.
pub trait Message {
    /// Appends its fields, in the order of their numbers.
    fn write_fields(&self, out: &mut Vec<u8>);
}

/// What a field is made of.
pub(super) trait Proto {
    /// Appends it with its number.
    fn write_proto(&self, number: u32, out: &mut Vec<u8>);
}

/// Appends a message after its length.
pub fn write_delimited(message: &impl Message, out: &mut Vec<u8>) {
    delimited(out, |out| message.write_fields(out));
}

fn delimited(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.push(0);
    write(out);
    let length = out.len() - at - 1;
    if let Ok(length @ 0..0x80) = u8::try_from(length) {
        out[at] = length;
        return;
    }
    let mut prefix = Vec::with_capacity(5);
    varint(length as u64, &mut prefix);
    out.splice(at..=at, prefix);
}

#[inline]
fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
fn tag(number: u32, kind: u32, out: &mut Vec<u8>) {
    varint(u64::from(number << 3 | kind), out);
}

#[inline]
fn number(number: u32, value: u64, out: &mut Vec<u8>) {
    tag(number, VARINT, out);
    varint(value, out);
}

impl<T: Proto> Proto for Option<T> {
    #[inline]
    fn write_proto(&self, number: u32, out: &mut Vec<u8>) {
        if let Some(value) = self {
            value.write_proto(number, out);
        }
    }
}

impl Proto for u32 {
    fn write_proto(&self, at: u32, out: &mut Vec<u8>) {
        number(at, u64::from(*self), out);
    }
}

impl Proto for u64 {
    fn write_proto(&self, at: u32, out: &mut Vec<u8>) {
        number(at, *self, out);
    }
}

/// One below zero takes ten bytes.
impl Proto for i32 {
    fn write_proto(&self, at: u32, out: &mut Vec<u8>) {
        number(at, i64::from(*self).cast_unsigned(), out);
    }
}

impl Proto for bool {
    fn write_proto(&self, at: u32, out: &mut Vec<u8>) {
        number(at, u64::from(*self), out);
    }
}

impl Proto for &str {
    #[inline]
    fn write_proto(&self, number: u32, out: &mut Vec<u8>) {
        tag(number, LENGTH, out);
        varint(self.len() as u64, out);
        out.extend_from_slice(self.as_bytes());
    }
}

impl Proto for Strings<'_> {
    fn write_proto(&self, number: u32, out: &mut Vec<u8>) {
        self.iter().for_each(|string| string.write_proto(number, out));
    }
}

/// `google.protobuf.Timestamp`.
impl Proto for Timestamp {
    fn write_proto(&self, at: u32, out: &mut Vec<u8>) {
        const SECOND: u64 = 1_000_000_000;
        let (seconds, nanos) = (self.as_unix_nanos() / SECOND, self.as_unix_nanos() % SECOND);
        tag(at, LENGTH, out);
        delimited(out, |out| {
            number(1, seconds, out);
            number(2, nanos, out);
        });
    }
}

impl<T: Message> Proto for T {
    #[inline]
    fn write_proto(&self, number: u32, out: &mut Vec<u8>) {
        tag(number, LENGTH, out);
        write_delimited(self, out);
    }
}

impl Proto for &BTreeMap<String, u64> {
    fn write_proto(&self, at: u32, out: &mut Vec<u8>) {
        for (key, count) in *self {
            tag(at, LENGTH, out);
            delimited(out, |out| {
                key.as_str().write_proto(1, out);
                count.write_proto(2, out);
            });
        }
    }
}

/// Each value is a `Counts`, whose one field is the map.
impl Proto for &BTreeMap<String, BTreeMap<String, u64>> {
    fn write_proto(&self, at: u32, out: &mut Vec<u8>) {
        for (key, counts) in *self {
            tag(at, LENGTH, out);
            delimited(out, |out| {
                key.as_str().write_proto(1, out);
                tag(2, LENGTH, out);
                delimited(out, |out| counts.write_proto(1, out));
            });
        }
    }
}
