//! What is in a batch: its events, checked before anybody relies on them.

use std::collections::BTreeMap;
use std::ops::Range;

use prost::Message as _;
use wanglou_api::event::v1;
use wanglou_api::sensor::v1::Batch;

use crate::partition::Kind;
use crate::wire::{self, Malformed};

/// Of a batch's content, bytes at most.
pub const MOST_CONTENT: usize = 16 << 20;
/// Of an event, bytes at most: what is read back in thousands of rows must stay within Arrow's offsets.
pub const MOST_EVENT: usize = 1 << 20;

/// Actions that no ledger counts.
const UNCOUNTED: [&str; 3] = ["ledger", "gap", "alert"];

/// A batch's events.
#[derive(Debug)]
pub struct Content {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    host: String,
}

/// One of them.
#[derive(Clone, Debug)]
struct Entry {
    at: Range<usize>,
    timestamp: i64,
    kind: Kind,
}

/// What an event is before it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) message: &'a [u8],
    /// ns since 1970.
    pub(crate) timestamp: i64,
    pub(crate) kind: Kind,
}

/// Why a batch cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadBatch {
    /// Its content cannot be unpacked.
    #[error("the content is not a Zstandard frame of {0} bytes")]
    Frame(u32),
    /// It is larger than any may be.
    #[error("the content has {0} bytes, and at most {MOST_CONTENT} are taken")]
    TooLarge(u32),
    /// An event is larger than any may be.
    #[error("an event has {0} bytes, and at most {MOST_EVENT} are taken")]
    LargeEvent(usize),
    /// An event is none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Events are of several hosts.
    #[error("there are events of host {0:?} and of host {1:?}")]
    Hosts(String, String),
    /// What it says that it has is not what it has.
    #[error("the batch says {said} of {action}, and has {there}")]
    Counts {
        /// The first action of which that is so.
        action: String,
        /// By the batch.
        said: u64,
        /// In its content.
        there: u64,
    },
}

impl Content {
    /// Unpacks a batch and reads each of its events through.
    pub fn of(batch: &Batch) -> Result<Self, BadBatch> {
        let length = batch.content_bytes as usize;
        if length > MOST_CONTENT {
            return Err(BadBatch::TooLarge(batch.content_bytes));
        }
        let unpacked = zstd::bulk::decompress(&batch.events, length);
        let bytes = unpacked.ok().filter(|bytes| bytes.len() == length);
        let bytes = bytes.ok_or(BadBatch::Frame(batch.content_bytes))?;
        let mut entries = Vec::new();
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let mut host = None;
        for message in wire::delimited(&bytes) {
            let message = message?;
            if message.len() > MOST_EVENT {
                return Err(BadBatch::LargeEvent(message.len()));
            }
            let head = wire::check(message)?;
            let first = *host.get_or_insert(head.host);
            if first != head.host {
                return Err(BadBatch::Hosts(first.to_owned(), head.host.to_owned()));
            }
            if !UNCOUNTED.contains(&head.action) {
                *counts.entry(head.action).or_default() += 1;
            }
            let start = message.as_ptr().addr() - bytes.as_ptr().addr();
            let at = start..start + message.len();
            entries.push(Entry { at, timestamp: head.timestamp, kind: Kind::of(head.action) });
        }
        compare(&batch.counts, &counts)?;
        let host = host.unwrap_or_default().to_owned();
        Ok(Self { bytes, entries, host })
    }

    /// The events, as messages.
    pub fn events(&self) -> impl Iterator<Item = v1::Event> {
        // What was checked is what prost takes.
        self.raw().filter_map(|raw| v1::Event::decode(raw.message).ok())
    }

    /// Whose events they are, as they say: `host.id` of all of them.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// When the first and the last of them happened, ns since 1970.
    pub fn times(&self) -> Option<(u64, u64)> {
        let times = || self.entries.iter().map(|entry| entry.timestamp.cast_unsigned());
        Some((times().min()?, times().max()?))
    }

    pub(crate) fn raw(&self) -> impl Iterator<Item = Raw<'_>> {
        self.entries.iter().map(|Entry { at, timestamp, kind }| Raw {
            message: &self.bytes[at.clone()],
            timestamp: *timestamp,
            kind: *kind,
        })
    }
}

fn compare(said: &BTreeMap<String, u64>, there: &BTreeMap<&str, u64>) -> Result<(), BadBatch> {
    let actions = said.keys().map(String::as_str).chain(there.keys().copied());
    for action in actions {
        let said = said.get(action).copied().unwrap_or(0);
        let there = there.get(action).copied().unwrap_or(0);
        if said != there {
            return Err(BadBatch::Counts { action: action.to_owned(), said, there });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(actions: &[&str]) -> Batch {
        let mut content = Vec::new();
        let mut counts = BTreeMap::new();
        for (second, action) in actions.iter().enumerate() {
            let meta = v1::EventMeta { action: Some((*action).to_owned()), ..Default::default() };
            let event = v1::Event {
                timestamp: Some(prost_types::Timestamp { seconds: second as i64, nanos: 0 }),
                event: Some(meta),
                ..Default::default()
            };
            content.extend(event.encode_length_delimited_to_vec());
            *counts.entry((*action).to_owned()).or_default() += 1;
        }
        let events = zstd::bulk::compress(&content, 1).expect("a frame");
        Batch { events, content_bytes: content.len() as u32, counts, ..Default::default() }
    }

    #[test]
    fn a_batch_has_its_events_and_their_times() {
        let content = Content::of(&batch(&["exec", "fork", "exec"])).expect("a batch");
        assert_eq!(content.times(), Some((0, 2_000_000_000)));
        let actions = content.events().filter_map(|event| event.event?.action);
        assert_eq!(actions.collect::<Vec<_>>(), ["exec", "fork", "exec"]);
        assert_eq!(Content::of(&batch(&[])).expect("one without events").times(), None);
    }

    #[test]
    fn a_batch_that_lies_about_itself_is_not_taken() {
        let mut more = batch(&["exec"]);
        more.counts.insert("fork".to_owned(), 1);
        let lie = BadBatch::Counts { action: "fork".to_owned(), said: 1, there: 0 };
        assert_eq!(Content::of(&more).expect_err("a lie"), lie);

        let mut shorter = batch(&["exec"]);
        shorter.content_bytes -= 1;
        assert!(matches!(Content::of(&shorter), Err(BadBatch::Frame(_))));
        let mut larger = batch(&["exec"]);
        larger.content_bytes = u32::MAX;
        assert!(matches!(Content::of(&larger), Err(BadBatch::TooLarge(_))));
        let mut other = batch(&["exec"]);
        other.events = b"events".to_vec();
        assert!(matches!(Content::of(&other), Err(BadBatch::Frame(_))));
    }

    #[test]
    fn what_no_ledger_counts_is_not_counted() {
        let mut one = batch(&["ledger", "exec"]);
        one.counts.remove("ledger");
        assert!(Content::of(&one).is_ok());
    }
}
