//! Events as they come, read without making messages of them: what is asked of most is what they say in two fields, and
//! all else goes straight into columns.

use std::str;

use crate::schema::shape::{EVENT, Kind, Shape};

/// It is not what `event.proto` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is not a message as event.proto has it")]
pub struct Malformed;

/// Fields of a message, with their numbers, in the order in which they come.
#[derive(Clone)]
pub(crate) struct Fields<'a>(&'a [u8]);

/// What a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// Of four or eight bytes: no field of ours is.
    Fixed,
}

/// What decides where an event goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    /// ns since 1970; 0 if it has none.
    pub(crate) timestamp: i64,
    pub(crate) action: &'a str,
    /// `host.id`.
    pub(crate) host: &'a str,
}

/// Splits length-delimited messages.
pub(crate) fn delimited(mut bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let message = varint(&mut bytes).and_then(|length| take(&mut bytes, length));
        if message.is_none() {
            bytes = &[];
        }
        Some(message.ok_or(Malformed))
    })
}

/// Reads an event through, so that nothing in it surprises whoever reads it next.
pub(crate) fn check(event: &[u8]) -> Result<Head<'_>, Malformed> {
    message(&EVENT, event)?;
    let mut head = Head::default();
    for field in Fields::of(event) {
        match field? {
            (1, Value::Bytes(time)) => head.timestamp = timestamp(time)?,
            (2, Value::Bytes(meta)) => {
                for field in Fields::of(meta) {
                    if let (4, Value::Bytes(action)) = field? {
                        head.action = text(action)?;
                    }
                }
            }
            (3, Value::Bytes(host)) => {
                for field in Fields::of(host) {
                    if let (1, Value::Bytes(id)) = field? {
                        head.host = text(id)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(head)
}

fn message(shape: &Shape, bytes: &[u8]) -> Result<(), Malformed> {
    for field in Fields::of(bytes) {
        let (number, value) = field?;
        let Some(field) = shape.field(number) else { continue };
        match (&field.kind, value) {
            (Kind::Bool | Kind::U32 | Kind::U64 | Kind::I32 | Kind::I64, Value::Varint(_)) => {}
            (Kind::String | Kind::Strings, Value::Bytes(bytes)) => drop(text(bytes)?),
            (Kind::Timestamp, Value::Bytes(bytes)) => drop(timestamp(bytes)?),
            (Kind::Counts, Value::Bytes(bytes)) => drop(count(bytes)?),
            (Kind::CountsByName, Value::Bytes(bytes)) => {
                let (_, counts) = counts_by_name(bytes)?;
                for entry in entries(counts) {
                    count(entry?)?;
                }
            }
            (Kind::Message(inner), Value::Bytes(bytes)) => message(inner, bytes)?,
            _ => return Err(Malformed),
        }
    }
    Ok(())
}

/// A `google.protobuf.Timestamp`, ns since 1970; what is beyond the columns' range is at its end.
pub(crate) fn timestamp(bytes: &[u8]) -> Result<i64, Malformed> {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    for field in Fields::of(bytes) {
        match field? {
            (1, Value::Varint(value)) => seconds = value.cast_signed(),
            (2, Value::Varint(value)) => nanos = i64::from(value as i32),
            (1 | 2, _) => return Err(Malformed),
            _ => {}
        }
    }
    Ok(seconds.max(0).saturating_mul(1_000_000_000).saturating_add(nanos.max(0)))
}

/// An entry of `map<string, uint64>`.
pub(crate) fn count(entry: &[u8]) -> Result<(&str, u64), Malformed> {
    let (mut key, mut count) = ("", 0);
    for field in Fields::of(entry) {
        match field? {
            (1, Value::Bytes(bytes)) => key = text(bytes)?,
            (2, Value::Varint(value)) => count = value,
            (1 | 2, _) => return Err(Malformed),
            _ => {}
        }
    }
    Ok((key, count))
}

/// An entry of `map<string, Counts>`: its key, and the message.
pub(crate) fn counts_by_name(entry: &[u8]) -> Result<(&str, &[u8]), Malformed> {
    let (mut key, mut counts) = ("", &[][..]);
    for field in Fields::of(entry) {
        match field? {
            (1, Value::Bytes(bytes)) => key = text(bytes)?,
            (2, Value::Bytes(bytes)) => counts = bytes,
            (1 | 2, _) => return Err(Malformed),
            _ => {}
        }
    }
    Ok((key, counts))
}

/// The entries of a message that is one map.
pub(crate) fn entries(counts: &[u8]) -> impl Iterator<Item = Result<&[u8], Malformed>> {
    Fields::of(counts).filter_map(|field| match field {
        Ok((1, Value::Bytes(entry))) => Some(Ok(entry)),
        Ok((1, _)) => Some(Err(Malformed)),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    })
}

pub(crate) fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    str::from_utf8(bytes).map_err(|_| Malformed)
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn read(&mut self) -> Option<(u32, Value<'a>)> {
        let tag = varint(&mut self.0)?;
        // A tag has 32 bits at most.
        let number = Some(u32::try_from(tag).ok()? >> 3).filter(|number| *number != 0)?;
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut self.0)?),
            1 => take(&mut self.0, 8).map(|_| Value::Fixed)?,
            2 => {
                let length = varint(&mut self.0)?;
                Value::Bytes(take(&mut self.0, length)?)
            }
            5 => take(&mut self.0, 4).map(|_| Value::Fixed)?,
            _ => return None,
        };
        Some((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

#[inline]
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            // Of the tenth byte only one bit has room.
            if at == 9 && byte > 1 {
                return None;
            }
            *bytes = &bytes[at + 1..];
            return Some(value);
        }
    }
    None
}

#[inline]
fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;
    use wanglou_api::event::v1;

    use super::*;

    fn event() -> v1::Event {
        let meta = v1::EventMeta {
            action: Some("exec".to_owned()),
            category: vec!["process".to_owned()],
            ..Default::default()
        };
        v1::Event {
            timestamp: Some(prost_types::Timestamp { seconds: 7, nanos: 9 }),
            event: Some(meta),
            process: Some(v1::Process { exit_code: Some(-1), ..Default::default() }),
            ..Default::default()
        }
    }

    #[test]
    fn where_an_event_goes_is_read_from_it() {
        let message = event().encode_to_vec();
        assert_eq!(
            check(&message),
            Ok(Head { timestamp: 7_000_000_009, action: "exec", host: "" })
        );
        assert_eq!(check(&[]), Ok(Head::default()));
    }

    #[test]
    fn a_message_that_is_cut_or_of_other_types_is_malformed() {
        let message = event().encode_to_vec();
        assert_eq!(check(&message[..message.len() - 1]), Err(Malformed));
        // The timestamp, as a number.
        assert_eq!(check(&[0x08, 1]), Err(Malformed));
        // `message`, not in UTF-8.
        assert_eq!(check(&[0x62, 1, 0xff]), Err(Malformed));
        // The timestamp's `nanos`, as a message: found by fuzzing.
        assert_eq!(check(&[0x0a, 3, 0x12, 1, 0]), Err(Malformed));
        // A tag, and a number, of too many bits.
        assert_eq!(check(&[0xf8, 0xff, 0xff, 0xff, 0x7f, 1]), Err(Malformed));
        let large = [0xf8, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(check(&large), Err(Malformed));
        // A field that nobody knows.
        assert_eq!(check(&[0xf8, 0x7f, 1]), Ok(Head::default()));
    }

    proptest! {
        /// Whatever prost takes for an event is read through, and nothing else is worse than malformed.
        #[test]
        fn it_takes_what_prost_takes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let ours = check(&bytes);
            if let Ok(event) = v1::Event::decode(&*bytes) {
                let action = event.event.and_then(|it| it.action).unwrap_or_default();
                prop_assert_eq!(ours.map(|head| head.action.to_owned()), Ok(action));
            }
        }

        #[test]
        fn what_it_takes_of_one_with_a_byte_changed_prost_takes_too(at: prop::sample::Index, byte: u8) {
            let mut message = event().encode_to_vec();
            let at = at.index(message.len());
            message[at] = byte;
            // It may be neither, and never ours alone: what is stored could not be told to those who follow.
            prop_assert!(check(&message).is_err() || v1::Event::decode(&*message).is_ok());
        }
    }
}
