//! Every host of the fleet and how it is, by what etcd says.
//!
//! ```text
//!            put live            delete live, and its end is written: Lost, Gone
//!  Unknown ───────────▶ Alive ──────────────────────────────────────────────────▶ Lost, Gone
//!     ▲                   │ delete live, and nothing is written: its lease has ended, with its replica or behind
//!     └───────────────────┘ its back
//!     └──▶ Lost after `UNKNOWN_MS`, unless etcd has no quorum: nothing is called lost because we had a fault
//! ```
//!
//! Whoever holds a host's stream writes the end in the same transaction that deletes the live key; so a live key that
//! goes without an end went for want of a replica, and says nothing of the host.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;

use wanglou_api::identity::Name;

use super::Millis;

/// Long enough for a sensor to find another replica, with all of a replica's hosts doing so.
pub(crate) const UNKNOWN_MS: Millis = 90_000;

/// Without etcd for so long, replicas have not renewed what they should have.
const LONG_MS: Millis = 5_000;

/// How a host is, as far as etcd can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Presence {
    /// A replica holds its stream.
    Alive,
    /// Whoever would know is gone too.
    Unknown,
    /// Its replica was there, and it was not.
    Lost,
    /// It said goodbye.
    Gone,
}

/// A stream that a replica holds: the value of a live key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Live {
    /// By whom.
    pub(crate) replica: Name,
    /// Which one of the host's.
    pub(crate) session: u64,
    /// Which start of the sensor.
    pub(crate) instance: Box<str>,
    /// By the replica's clock, ms since 1970.
    pub(crate) since: i64,
    /// At which it was put.
    pub(crate) revision: i64,
}

/// What is known of a host whether or not it is there: the value of its host key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// What an operator calls it.
    pub(crate) labels: BTreeMap<String, String>,
    /// By the clock of whoever saw it first, ms since 1970.
    pub(crate) first_seen: i64,
    /// At which it was put last.
    pub(crate) revision: i64,
}

/// How the last stream of a host ended: the value of its end key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Which one of the host's.
    pub(crate) session: u64,
    /// `true`: it said goodbye.
    pub(crate) goodbye: bool,
    /// By the replica's clock, ms since 1970.
    pub(crate) time: i64,
}

/// A host.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    record: Record,
    live: Option<Live>,
    /// The last that was live.
    last: Option<u64>,
    end: Option<End>,
    presence: Presence,
    since: Millis,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    by_name: BTreeMap<Name, Entry>,
    /// Those that are unknown, by since when.
    unknown: BTreeSet<(Millis, Name)>,
    /// Since when etcd has had no quorum.
    blind_since: Option<Millis>,
}

/// What one revision of etcd changed. A live key and the end of its host go in one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    /// Live keys; `None`: deleted.
    pub(crate) live: Vec<(Name, Option<Live>)>,
    /// End keys; `None`: deleted.
    pub(crate) ends: Vec<(Name, Option<End>)>,
    /// Host keys; `None`: deleted, and the host is no longer of the fleet.
    pub(crate) records: Vec<(Name, Option<Record>)>,
}

impl Hosts {
    /// Follows a revision; the hosts of which something is another now.
    pub(crate) fn apply(&mut self, changes: Changes, now: Millis) -> Vec<Name> {
        let mut touched = Vec::new();
        for (host, end) in changes.ends {
            self.entry(&host, now).end = end;
            touched.push(host);
        }
        for (host, live) in changes.live {
            let entry = self.entry(&host, now);
            entry.last = live.as_ref().map(|live| live.session).or(entry.last);
            entry.live = live;
            touched.push(host);
        }
        for (host, record) in changes.records {
            match record {
                Some(record) => self.entry(&host, now).record = record,
                None => self.forget(&host),
            }
            touched.push(host);
        }
        touched.sort_unstable();
        touched.dedup();
        for host in &touched {
            self.settle(host, now);
        }
        touched
    }

    /// Takes all that there is, after it may have been missed how it came to that; the hosts of which something may
    /// be another now.
    pub(crate) fn begin_again(&mut self, mut all: Changes, now: Millis) -> Vec<Name> {
        let live: HashSet<_> = all.live.iter().map(|(host, _)| host.clone()).collect();
        let ended: HashSet<_> = all.ends.iter().map(|(host, _)| host.clone()).collect();
        let known: HashSet<_> = all.records.iter().map(|(host, _)| host.clone()).collect();
        for (host, entry) in &mut self.by_name {
            // An end may be that of a stream which we have not heard of.
            entry.last = None;
            if entry.live.is_some() && !live.contains(host) {
                all.live.push((host.clone(), None));
            }
            if entry.end.is_some() && !ended.contains(host) {
                all.ends.push((host.clone(), None));
            }
            if !known.contains(host) {
                all.records.push((host.clone(), None));
            }
        }
        self.apply(all, now)
    }

    /// One that lives is of the fleet, whatever became of its record.
    fn forget(&mut self, host: &Name) {
        if let Some(entry) = self.by_name.get_mut(host) {
            entry.record = Record::default();
            if entry.live.is_none() {
                self.unknown.remove(&(entry.since, host.clone()));
                self.by_name.remove(host);
            }
        }
    }

    /// Whether etcd answers. While it does not, nobody gets lost; once it does again, those that are unknown have all
    /// their time before them: their keys could not be put meanwhile.
    pub(crate) fn see(&mut self, quorum: bool, now: Millis) {
        match (quorum, self.blind_since) {
            (false, None) => self.blind_since = Some(now),
            (true, Some(since)) => {
                // After a moment nobody has more time than before; after longer all keys may have to be put again.
                let was_long = now.saturating_sub(since) >= LONG_MS;
                self.blind_since = None;
                if !was_long {
                    return;
                }
                for (_, host) in std::mem::take(&mut self.unknown) {
                    if let Some(entry) = self.by_name.get_mut(&host) {
                        entry.since = now;
                        self.unknown.insert((now, host));
                    }
                }
            }
            _ => {}
        }
    }

    /// Those that have been unknown for too long, and are lost now.
    pub(crate) fn advance(&mut self, now: Millis) -> Vec<Name> {
        let mut lost = Vec::new();
        while self.blind_since.is_none()
            && let Some((since, _)) = self.unknown.first()
            && now.saturating_sub(*since) >= UNKNOWN_MS
            && let Some((_, host)) = self.unknown.pop_first()
        {
            if let Some(entry) = self.by_name.get_mut(&host) {
                (entry.presence, entry.since) = (Presence::Lost, now);
                lost.push(host);
            }
        }
        lost
    }

    /// One of them.
    pub(crate) fn get(&self, host: &Name) -> Option<&Entry> {
        self.by_name.get(host)
    }

    /// Those after a name, in the order of their names.
    pub(crate) fn after(&self, name: Option<&Name>) -> impl Iterator<Item = (&Name, &Entry)> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name.range::<Name, _>((from, Bound::Unbounded))
    }

    /// Since when etcd has not answered.
    pub(crate) fn blind_since(&self) -> Option<Millis> {
        self.blind_since
    }

    fn entry(&mut self, host: &Name, now: Millis) -> &mut Entry {
        // Of one that has never had a stream nothing is known; whoever finds it says so by `settle`.
        self.by_name.entry(host.clone()).or_insert(Entry {
            record: Record::default(),
            live: None,
            last: None,
            end: None,
            presence: Presence::Gone,
            since: now,
        })
    }

    /// Draws the conclusion.
    fn settle(&mut self, host: &Name, now: Millis) {
        let Some(entry) = self.by_name.get_mut(host) else { return };
        let presence = match (&entry.live, entry.end) {
            (Some(_), _) => Presence::Alive,
            (None, Some(end)) if entry.last.is_none_or(|last| last == end.session) => {
                if end.goodbye { Presence::Gone } else { Presence::Lost }
            }
            // It was lost by us already, and nothing new is known.
            (None, _) if entry.presence == Presence::Lost => Presence::Lost,
            (None, _) => Presence::Unknown,
        };
        let was = entry.presence;
        if was == presence {
            return;
        }
        if was == Presence::Unknown {
            self.unknown.remove(&(entry.since, host.clone()));
        }
        (entry.presence, entry.since) = (presence, now);
        if presence == Presence::Unknown {
            self.unknown.insert((now, host.clone()));
        }
    }
}

impl Entry {
    /// How it is, as far as etcd can say.
    pub(crate) fn presence(&self) -> Presence {
        self.presence
    }

    /// Since when we have known that; one that whoever wrote it knows better is not asked for here.
    pub(crate) fn since(&self) -> Millis {
        self.since
    }

    /// Its stream.
    pub(crate) fn live(&self) -> Option<&Live> {
        self.live.as_ref()
    }

    /// How its last stream ended, if it has none.
    pub(crate) fn end(&self) -> Option<End> {
        self.end.filter(|_| self.live.is_none())
    }

    /// What is known of it.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }
}

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
