//! JSON, written straight into bytes. A general serialiser takes three times as long over an event,
//! most of it over its constant keys, and this is most of what an event costs the sensor.

use std::collections::BTreeMap;

use super::{Strings, Timestamp, v1};

/// What stands in the JSON of an event.
pub trait Json {
    /// Appends the value, as RFC 8259 has it, without spaces or newlines.
    fn write_json(&self, out: &mut Vec<u8>);

    /// The same with a comma after it.
    #[inline]
    fn write_item(&self, out: &mut Vec<u8>) {
        self.write_json(out);
        out.push(b',');
    }
}

/// An object in the making. Every field ends in a comma; `end` turns the last one into a brace.
pub(super) struct Object<'a>(&'a mut Vec<u8>);

impl<'a> Object<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self(out)
    }

    /// `key` comes in its quotes and with its colon. Inlined, copying it is a store or two.
    #[inline(always)]
    pub(super) fn field<T: Json>(&mut self, key: &'static str, value: Option<&T>) {
        if let Some(value) = value {
            self.0.extend_from_slice(key.as_bytes());
            value.write_item(self.0);
        }
    }

    pub(super) fn end(self) {
        close(self.0, b'}');
    }
}

fn close(out: &mut Vec<u8>, bracket: u8) {
    match out.last_mut() {
        Some(last) if *last == b',' => *last = bracket,
        _ => out.push(bracket),
    }
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl Json for $integer {
            #[inline]
            fn write_json(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
            }
        }
    )*};
}

integers!(u32 i32 u64 i64);

impl Json for bool {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

impl Json for &str {
    #[inline]
    fn write_json(&self, out: &mut Vec<u8>) {
        string(self.as_bytes(), b"\"", out);
    }

    #[inline]
    fn write_item(&self, out: &mut Vec<u8>) {
        string(self.as_bytes(), b"\",", out);
    }
}

impl Json for Timestamp {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(&self.rfc3339());
        out.push(b'"');
    }
}

impl Json for Strings<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        match self {
            Self::Slice(strings) => strings.iter().for_each(|string| string.write_item(out)),
            Self::Nul(bytes) => {
                let mut rest = bytes.as_bytes();
                while !rest.is_empty() {
                    // Arguments are short: a loop finds their end sooner than a search would begin.
                    let end = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
                    string(&rest[..end], b"\",", out);
                    rest = rest.get(end + 1..).unwrap_or_default();
                }
            }
        }
        close(out, b']');
    }
}

impl<T: Json> Json for &BTreeMap<String, T> {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (key, value) in *self {
            key.as_str().write_json(out);
            out.push(b':');
            value.write_item(out);
        }
        close(out, b'}');
    }
}

impl<T: Json> Json for BTreeMap<String, T> {
    fn write_json(&self, out: &mut Vec<u8>) {
        (&self).write_json(out);
    }
}

impl Json for String {
    fn write_json(&self, out: &mut Vec<u8>) {
        self.as_str().write_json(out);
    }
}

impl Json for Vec<String> {
    fn write_json(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        self.iter().for_each(|string| string.write_item(out));
        close(out, b']');
    }
}

/// One before 1970 is taken for 1970: no event is that old.
impl Json for prost_types::Timestamp {
    fn write_json(&self, out: &mut Vec<u8>) {
        let (seconds, nanos) = (self.seconds.max(0).cast_unsigned(), self.nanos.max(0));
        let nanos = seconds.saturating_mul(1_000_000_000).saturating_add(nanos as u64);
        Timestamp::from_unix_nanos(nanos).write_json(out);
    }
}

impl Json for v1::Counts {
    fn write_json(&self, out: &mut Vec<u8>) {
        self.by_action.write_json(out);
    }
}

/// There is hardly ever anything to escape: to know that soon is what counts.
#[inline(never)]
fn string(text: &[u8], end: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    if is_plain(text) {
        out.extend_from_slice(text);
    } else {
        text.iter().for_each(|&byte| escape_byte(byte, out));
    }
    out.extend_from_slice(end);
}

/// Eight bytes at a time; the last eight overlap those before them.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    match text.last_chunk() {
        Some(last) => text.as_chunks().0.iter().all(is_plain_word) && is_plain_word(last),
        None => text.iter().all(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\'),
    }
}

#[inline]
fn is_plain_word(bytes: &[u8; 8]) -> bool {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let word = u64::from_ne_bytes(*bytes);
    // Sets the top bit of every byte that is less than `limit`, and perhaps of one above such a byte.
    let less = |word: u64, limit: u8| word.wrapping_sub(each(limit)) & !word & each(0x80);
    let quote = less(word ^ each(b'"'), 1);
    let backslash = less(word ^ each(b'\\'), 1);
    less(word, 0x20) | quote | backslash == 0
}

#[cold]
fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0..0x20 => {
            let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
        _ => out.push(byte),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read_back(value: &impl Json) -> Value {
        let mut out = Vec::new();
        value.write_json(&mut out);
        assert!(!out.contains(&b'\n'), "one line, whatever is in it");
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn what_is_empty_has_its_brackets() {
        assert_eq!(read_back(&Strings::Slice(&[])), json!([]));
        assert_eq!(read_back(&&BTreeMap::<String, u64>::new()), json!({}));
        assert_eq!(read_back(&""), json!(""));
        let mut out = Vec::new();
        Object::new(&mut out).end();
        assert_eq!(out, b"{}");
    }

    #[test]
    fn a_string_that_ends_in_a_comma_keeps_it() {
        assert_eq!(read_back(&Strings::Slice(&[","])), json!([","]));
    }

    #[test]
    fn every_control_character_is_read_back() {
        let all: String = (0..=0x7f_u8).map(char::from).collect();
        assert_eq!(read_back(&all.as_str()), json!(all));
    }

    proptest! {
        #[test]
        fn any_string_is_read_back(text in any::<String>()) {
            prop_assert_eq!(read_back(&text.as_str()), json!(text));
        }

        #[test]
        fn any_list_and_map_is_read_back(counts: BTreeMap<String, u64>, list: Vec<String>) {
            prop_assert_eq!(read_back(&&counts), json!(counts));
            let list: Vec<_> = list.iter().map(String::as_str).collect();
            prop_assert_eq!(read_back(&Strings::Slice(&list)), json!(list));
        }

        #[test]
        fn any_number_is_read_back(signed: i32, unsigned: u64) {
            prop_assert_eq!(read_back(&signed), json!(signed));
            prop_assert_eq!(read_back(&unsigned), json!(unsigned));
        }
    }
}
