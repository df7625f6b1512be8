//! The processes that are known, by PID; of fixed capacity, its evictions counted.
//!
//! An entry stays after the end of its process, so that what comes late still finds it, until the
//! PID is used again or room is needed: ended ones go first, the longest ended before the others.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use foldhash::fast::RandomState;
use wanglou_api::event::Timestamp;

use super::identity::EntityId;
use crate::observation::{Ids, NS_PER_TICK};

/// Processes known at most.
pub(super) const CAPACITY: usize = 16_384;
/// Ended ones kept at most: with those that live on an ordinary host, less than half of what the map
/// then has room for, so that coming and going never makes it grow.
const ENDED: usize = 1_024;

/// Who created a process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parent {
    /// Its thread group id.
    pub(super) pid: u32,
    /// Its start, ns, where known.
    pub(super) start: Option<u64>,
    /// Its entity id, where its start is known.
    pub(super) entity: Option<EntityId>,
}

/// A process.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Boot-clock start time, ns; `None` if nobody could say.
    pub(super) start: Option<u64>,
    /// `start` in UTC as it was first told: the distance between the clocks moves.
    pub(super) start_utc: Option<Timestamp>,
    /// Its entity id, where its start is known.
    pub(super) entity: Option<EntityId>,
    /// `comm`.
    pub(super) name: Name,
    /// Path of the executable, as text.
    pub(super) executable: Option<Executable>,
    /// Who created it; of one that was there before us, whose child it was.
    pub(super) parent: Option<Parent>,
    /// User ids as last seen.
    pub(super) user: Option<Ids>,
    /// Group ids as last seen.
    pub(super) group: Option<Ids>,
    /// Id in its own PID namespace.
    pub(super) vpid: Option<u32>,
    /// The cgroup that it was seen in last.
    pub(super) cgroup: Option<u64>,
    /// It is over.
    pub(super) ended: bool,
    /// The snapshot that last saw it.
    pub(super) snapshot: u32,
}

/// A path as text, shared by all that run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Executable {
    /// The path.
    pub(super) path: Arc<str>,
    /// It was not UTF-8.
    pub(super) escaped: bool,
}

/// `comm`: at most 15 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Name {
    bytes: [u8; 15],
    len: u8,
}

impl From<&[u8]> for Name {
    fn from(name: &[u8]) -> Self {
        let mut bytes = [0; 15];
        let len = name.len().min(bytes.len());
        bytes[..len].copy_from_slice(&name[..len]);
        Self { bytes, len: len as u8 }
    }
}

impl Name {
    /// The bytes; empty where unknown.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: HashMap<u32, Entry, RandomState>,
    /// PIDs and starts of ended processes, the longest ended first.
    ended: VecDeque<(u32, Option<u64>)>,
    evicted: u64,
}

impl Table {
    /// The process with this PID, if it is the one that started then; one whose start nobody knows
    /// is taken for the last that was seen.
    pub(super) fn get(&self, pid: u32, start: Option<u64>) -> Option<&Entry> {
        self.entries.get(&pid).filter(|entry| same(entry.start, start))
    }

    /// The process that has this PID now.
    pub(super) fn alive(&self, pid: u32) -> Option<&Entry> {
        self.entries.get(&pid).filter(|entry| !entry.ended)
    }

    /// As [`Self::get`], to be changed.
    pub(super) fn get_mut(&mut self, pid: u32, start: Option<u64>) -> Option<&mut Entry> {
        self.entries.get_mut(&pid).filter(|entry| same(entry.start, start))
    }

    /// Adds a process in the place of whoever had its PID.
    pub(super) fn insert(&mut self, pid: u32, entry: Entry) {
        if self.entries.len() >= CAPACITY && !self.entries.contains_key(&pid) {
            self.evict();
        }
        self.entries.insert(pid, entry);
    }

    /// Marks a process as over.
    pub(super) fn end(&mut self, pid: u32, start: Option<u64>) {
        let Some(entry) = self.get_mut(pid, start) else { return };
        entry.ended = true;
        let key = (pid, entry.start);
        self.ended.push_back(key);
        if self.ended.len() > ENDED {
            self.forget_ended();
        }
    }

    /// Live processes that the given snapshot did not see.
    pub(super) fn unseen(&self, snapshot: u32) -> impl Iterator<Item = (u32, &Entry)> {
        let live = self.entries.iter().filter(|(_, entry)| !entry.ended);
        live.filter(move |(_, entry)| entry.snapshot != snapshot).map(|(&pid, entry)| (pid, entry))
    }

    /// Processes known, ended ones included.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Processes given up for lack of room.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    fn evict(&mut self) {
        if self.forget_ended() {
            return;
        }
        // All of them live: any one may go, and is known again at its next event.
        if let Some(&pid) = self.entries.keys().next() {
            self.entries.remove(&pid);
            self.evicted += 1;
        }
    }

    /// Forgets the longest ended process; `false` if there is none.
    fn forget_ended(&mut self) -> bool {
        while let Some((pid, start)) = self.ended.pop_front() {
            if self.get(pid, start).is_some_and(|entry| entry.ended && entry.start == start) {
                self.entries.remove(&pid);
                return true;
            }
        }
        false
    }
}

/// To a tick: /proc knows no better.
fn same(known: Option<u64>, asked: Option<u64>) -> bool {
    match (known, asked) {
        (Some(known), Some(asked)) => known / NS_PER_TICK == asked / NS_PER_TICK,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(start: u64) -> Entry {
        Entry {
            start: Some(start),
            start_utc: None,
            entity: None,
            name: Name::from(&b"test"[..]),
            executable: None,
            parent: None,
            user: None,
            group: None,
            vpid: None,
            cgroup: None,
            ended: false,
            snapshot: 0,
        }
    }

    const TICK: u64 = NS_PER_TICK;

    #[test]
    fn a_reused_pid_is_not_the_process_before() {
        let mut table = Table::default();
        table.insert(7, entry(TICK));
        assert!(table.get(7, Some(TICK + 5)).is_some(), "the same tick");
        assert!(table.get(7, Some(2 * TICK)).is_none());
        table.end(7, Some(TICK));
        table.insert(7, entry(3 * TICK));
        assert!(table.get(7, Some(TICK)).is_none());
        assert!(!table.get(7, None).expect("the new one").ended);
    }

    #[test]
    fn ended_ones_go_first_and_the_rest_is_counted() {
        let mut table = Table::default();
        for pid in 0..CAPACITY as u32 {
            table.insert(pid, entry(TICK));
        }
        table.end(5, Some(TICK));
        table.insert(1_000_000, entry(TICK));
        assert!(table.get(5, None).is_none());
        assert_eq!((table.len(), table.evicted()), (CAPACITY, 0));
        table.insert(1_000_001, entry(TICK));
        assert_eq!((table.len(), table.evicted()), (CAPACITY, 1));
    }

    #[test]
    fn only_so_many_ended_ones_are_kept() {
        let mut table = Table::default();
        for pid in 0..ENDED as u32 + 10 {
            table.insert(pid, entry(TICK));
            table.end(pid, Some(TICK));
        }
        assert_eq!(table.len(), ENDED);
        assert!(table.get(9, None).is_none() && table.get(10, None).is_some());
    }
}
