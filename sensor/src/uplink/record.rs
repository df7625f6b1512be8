//! A record, as the worker hands it over and as it lies in the spool: little-endian,
//!
//! ```text
//!  0  4  "WLR1"
//!  4  4  kind: 1 a batch, 2 a lost one, 3 the end of a run
//!  8  4  bytes of the head
//! 12  4  bytes of the events, 0 where there are none
//! 16  4  CRC-32C of the events
//! 20  4  CRC-32C of all before this and of the head
//! 24     head: Batch without its events, LostBatch or ClosedRun (`wanglou.sensor.v1`)
//!        events: of a batch, as `Batch.events` has them
//! ```
//!
//! Head and events have a sum each, so that of a batch whose events are damaged it is still known what was in it; and
//! together they are what is told, but for a few bytes before and between: nothing is read twice or packed anew.

use std::collections::BTreeMap;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use wanglou_api::sensor::v1::{Batch, ClosedRun, LostBatch, RunId};

use super::crc::crc32c;
use crate::action::Action;
use crate::ledger::{ByAction, Cause, named};

/// Bytes before the head.
pub const PREFIX: usize = 24;
/// Longer ones are not ours.
pub const MAX_BYTES: usize = 2 << 20;
/// A head that is longer is not ours.
const MAX_HEAD: usize = 64 << 10;

const MAGIC: &[u8; 4] = b"WLR1";
/// Of `Batch.events`.
const EVENTS: u32 = 3;

/// What is recorded, without events.
#[derive(Clone, Debug, PartialEq)]
pub enum Head {
    /// A batch.
    Batch(Batch),
    /// One that is lost.
    Lost(LostBatch),
    /// There are no more.
    Closed(ClosedRun),
}

/// What stands before the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    kind: u32,
    head: usize,
    events: usize,
    events_crc: u32,
    crc: u32,
}

/// A record that is whole, but maybe for its events.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// What it is.
    pub head: Head,
    /// As it is told; `None` if its events are damaged.
    pub told: Option<Bytes>,
    /// Bytes that it takes in the spool.
    pub bytes: usize,
}

impl Prefix {
    /// Reads it; `None` if it is none.
    pub fn parse(bytes: &[u8; PREFIX]) -> Option<Self> {
        let (magic, numbers) = bytes.split_first_chunk::<4>()?;
        let number = |n: usize| {
            let bytes = numbers.get(n * 4..)?.first_chunk::<4>()?;
            Some(u32::from_le_bytes(*bytes))
        };
        let (head, events) = (number(1)? as usize, number(2)? as usize);
        let prefix =
            Self { kind: number(0)?, head, events, events_crc: number(3)?, crc: number(4)? };
        let makes_sense = head <= MAX_HEAD && PREFIX + head + events <= MAX_BYTES;
        (magic == MAGIC && makes_sense).then_some(prefix)
    }

    /// Bytes of the whole record.
    pub fn bytes(&self) -> usize {
        PREFIX + self.head + self.events
    }
}

impl Record {
    /// Reads one that is at the beginning of some bytes; `None` if there is none, or no whole one.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let prefix = Prefix::parse(bytes.first_chunk()?)?;
        let rest = bytes.get(PREFIX..prefix.bytes())?;
        let (head, events) = rest.split_at(prefix.head);
        if crc32c(&[&bytes[..PREFIX - 4], head]) != prefix.crc {
            return None;
        }
        let parsed = match prefix.kind {
            1 => Head::Batch(Batch::decode(head).ok()?),
            2 => Head::Lost(LostBatch::decode(head).ok()?),
            3 => Head::Closed(ClosedRun::decode(head).ok()?),
            _ => return None,
        };
        let is_whole = crc32c(&[events]) == prefix.events_crc;
        let told = is_whole.then(|| told(prefix.kind, head, events));
        Some(Self { head: parsed, told, bytes: prefix.bytes() })
    }

    /// Where the next one may begin after the first byte, from there on.
    pub fn find(bytes: &[u8]) -> Option<usize> {
        let candidates = bytes.windows(MAGIC.len()).enumerate().skip(1);
        let mut at = candidates.filter(|(_, window)| window == MAGIC).map(|(at, _)| at);
        at.find(|at| Self::parse(&bytes[*at..]).is_some())
    }
}

impl Head {
    /// The record's bytes before its events.
    pub fn write(&self, events: &[u8]) -> Vec<u8> {
        let (kind, head) = match self {
            Self::Batch(batch) => (1_u32, batch.encode_to_vec()),
            Self::Lost(lost) => (2, lost.encode_to_vec()),
            Self::Closed(closed) => (3, closed.encode_to_vec()),
        };
        let mut bytes = Vec::with_capacity(PREFIX + head.len());
        bytes.extend_from_slice(MAGIC);
        bytes.put_u32_le(kind);
        bytes.put_u32_le(head.len() as u32);
        bytes.put_u32_le(events.len() as u32);
        bytes.put_u32_le(crc32c(&[events]));
        let crc = crc32c(&[&bytes, &head]);
        bytes.put_u32_le(crc);
        bytes.extend_from_slice(&head);
        bytes
    }

    /// Whose it is.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::Batch(batch) => batch.run.as_ref(),
            Self::Lost(lost) => lost.run.as_ref(),
            Self::Closed(closed) => closed.run.as_ref(),
        }
    }

    /// Its number; 0 is the end of a run.
    pub fn number(&self) -> u64 {
        match self {
            Self::Batch(batch) => batch.number,
            Self::Lost(lost) => lost.number,
            Self::Closed(_) => 0,
        }
    }

    /// Events in it that the ledger counts.
    pub fn counts(&self) -> ByAction {
        match self {
            Self::Batch(batch) => by_action(&batch.counts),
            Self::Lost(lost) => by_action(&lost.counts),
            Self::Closed(_) => ByAction::default(),
        }
    }

    /// The same lost; what says that something is lost, or over, stays as it is.
    pub fn lost(self, cause: Cause) -> Self {
        match self {
            Self::Batch(Batch { run, number, counts, .. }) => {
                Self::Lost(LostBatch { run, number, counts, cause: cause.name().to_owned() })
            }
            other => other,
        }
    }

    /// Events of all batches of its run up to this one, as the books in it say.
    pub fn events_so_far(&self) -> Option<ByAction> {
        let Self::Batch(Batch { ledger: Some(ledger), .. }) = self else { return None };
        let mut events = by_action(&ledger.produced);
        let dropped = ledger.dropped.values().map(|dropped| &dropped.counts);
        for less in dropped.chain([&ledger.in_flight]) {
            for (events, less) in events.iter_mut().zip(by_action(less)) {
                *events = events.checked_sub(less)?;
            }
        }
        Some(events)
    }

    /// As it is told.
    pub fn told(&self) -> Option<Bytes> {
        Record::parse(&self.write(&[]))?.told
    }
}

/// `PublishRequest` with one of its records: fields with the numbers of their kinds.
fn told(kind: u32, head: &[u8], events: &[u8]) -> Bytes {
    let key = key_len(EVENTS) + encoded_len_varint(events.len() as u64);
    let of_events = if events.is_empty() { 0 } else { key + events.len() };
    let length = head.len() + of_events;
    let mut told = BytesMut::with_capacity(length + 8);
    encode_key(kind, WireType::LengthDelimited, &mut told);
    encode_varint(length as u64, &mut told);
    told.extend_from_slice(head);
    if !events.is_empty() {
        encode_key(EVENTS, WireType::LengthDelimited, &mut told);
        encode_varint(events.len() as u64, &mut told);
        told.extend_from_slice(events);
    }
    told.freeze()
}

/// What is of a later version is of no action that we know.
fn by_action(counts: &BTreeMap<String, u64>) -> ByAction {
    let mut by_action = ByAction::default();
    for (name, count) in counts {
        let action = Action::named(name).unwrap_or(Action::Unknown);
        by_action[action as usize] = by_action[action as usize].saturating_add(*count);
    }
    by_action
}

/// One that is lost, of which only that is known and what was in it.
pub fn lost(run: RunId, number: u64, counts: &ByAction, cause: Cause) -> Head {
    let (counts, cause) = (named(counts), cause.name().to_owned());
    Head::Lost(LostBatch { run: Some(run), number, counts, cause })
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
