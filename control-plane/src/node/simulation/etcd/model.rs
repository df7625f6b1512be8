//! Keys with their revisions, leases that end, transactions within transactions, and all that ever happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use tonic::Status;
use wanglou_api::identity::Name;

use super::super::trace::Trace;
use crate::clock;
use crate::fleet::Millis;
use crate::fleet::leases::LeaseId;
use crate::store::StoreError;
use crate::store::etcd::{Compare, Done, Event, Op, Page, Pair, Range, Txn};

/// What an etcd that cannot be relied upon does wrong: the simulation has to see what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Lie {
    /// Every comparison holds.
    ComparesNothing,
    /// Whatever is deleted, and whatever lease ends, its keys stay.
    DeletesNothing,
    /// A watch begins now, and not where it was asked to.
    ForgetsChanges,
}

#[derive(Clone, Debug)]
struct Item {
    value: Vec<u8>,
    revision: i64,
    lease: Option<LeaseId>,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    ttl: Millis,
    ends: Millis,
}

/// All of it.
#[derive(Debug)]
pub(in super::super) struct Model {
    pub(super) lie: Option<Lie>,
    trace: Arc<Trace>,
    keys: BTreeMap<Vec<u8>, Item>,
    leases: BTreeMap<LeaseId, Lease>,
    last_lease: LeaseId,
    revision: i64,
    /// What happened, revision by revision, the first of which is behind the one that was compacted last.
    log: Vec<(i64, Vec<Event>)>,
    compacted: i64,
    has_quorum: bool,
    /// What is decided now was held before, for want of a quorum.
    is_held: bool,
    /// When a host was last put live by what was held.
    held: BTreeMap<Name, Millis>,
    /// Watches that were opened before it became another are broken.
    age: u64,
}

impl Model {
    pub(in super::super) fn new(lie: Option<Lie>, trace: &Arc<Trace>) -> Self {
        Self {
            lie,
            trace: Arc::clone(trace),
            keys: BTreeMap::new(),
            leases: BTreeMap::new(),
            last_lease: 0,
            revision: 1,
            log: Vec::new(),
            compacted: 0,
            has_quorum: true,
            is_held: false,
            held: BTreeMap::new(),
            age: 0,
        }
    }

    pub(super) fn grant(&mut self, ttl_seconds: i64, now: Millis) -> LeaseId {
        self.last_lease += 1;
        let ttl = ttl_seconds.unsigned_abs() * 1_000;
        self.leases.insert(self.last_lease, Lease { ttl, ends: now + ttl });
        self.last_lease
    }

    /// Those that are no more.
    pub(super) fn renew(&mut self, leases: &[LeaseId], now: Millis) -> Vec<LeaseId> {
        let mut gone = Vec::new();
        for id in leases {
            match self.leases.get_mut(id) {
                Some(lease) => lease.ends = now + lease.ttl,
                None => gone.push(*id),
            }
        }
        gone
    }

    pub(super) fn revoke(&mut self, id: LeaseId) {
        if self.leases.remove(&id).is_none() {
            return;
        }
        let on_it = self.keys.iter().filter(|(_, item)| item.lease == Some(id));
        let keys: Vec<_> = on_it.map(|(key, _)| key.clone()).collect();
        let mut events = Vec::new();
        for key in keys {
            self.delete(&key, &mut events);
        }
        self.close(events);
    }

    /// Ends what is due, as long as there is a quorum.
    pub(in super::super) fn expire(&mut self, now: Millis) {
        if !self.has_quorum {
            return;
        }
        let ended = self.leases.iter().filter(|(_, lease)| lease.ends <= now);
        for id in ended.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.revoke(id);
        }
    }

    /// All leases that there are.
    pub(in super::super) fn leases(&self) -> Vec<LeaseId> {
        self.leases.keys().copied().collect()
    }

    pub(in super::super) fn revoke_behind(&mut self, id: LeaseId) {
        self.revoke(id);
    }

    /// A new leader begins with all the time of every lease.
    pub(in super::super) fn set_quorum(&mut self, has: bool, now: Millis) {
        self.has_quorum = has;
        if has {
            for lease in self.leases.values_mut() {
                lease.ends = now + lease.ttl;
            }
        }
    }

    pub(super) fn is_held(&mut self, is: bool) {
        self.is_held = is;
    }

    /// When a host was last put live by what was held.
    pub(in super::super) fn held(&self, host: &Name) -> Option<Millis> {
        self.held.get(host).copied()
    }

    pub(super) fn has_quorum(&self) -> bool {
        self.has_quorum
    }

    pub(in super::super) fn break_watches(&mut self) {
        self.age += 1;
    }

    pub(super) fn age(&self) -> u64 {
        self.age
    }

    pub(in super::super) fn compact(&mut self) {
        self.compacted = self.revision;
        self.log.clear();
    }

    pub(super) fn compacted(&self) -> i64 {
        self.compacted
    }

    pub(in super::super) fn revision(&self) -> i64 {
        self.revision
    }

    /// What happened from a revision on, in so many revisions at most.
    pub(super) fn since(&self, from: i64, most: usize) -> Vec<Event> {
        let first = self.log.partition_point(|(revision, _)| *revision < from);
        self.log[first..].iter().take(most).flat_map(|(_, events)| events.iter().cloned()).collect()
    }

    pub(super) fn range(&self, range: &Range) -> Page {
        let limit = usize::try_from(range.limit).unwrap_or(usize::MAX);
        let mut keys = self.keys.range(range.from.clone()..range.to.clone());
        let pairs = keys.by_ref().take(limit).map(|(key, item)| Pair {
            key: key.clone(),
            value: item.value.clone(),
            mod_revision: item.revision,
        });
        Page { revision: self.revision, pairs: pairs.collect(), more: keys.next().is_some() }
    }

    /// All comparisons, also those within, are made before anything is changed.
    pub(super) fn txn(&mut self, txn: &Txn) -> Result<Done, StoreError> {
        let path = self.judge(txn);
        if self.lacks_lease(txn, &path) {
            return Err(Status::not_found("etcdserver: requested lease not found").into());
        }
        let mut events = Vec::new();
        let done = self.carry_out(txn, &path, &mut events);
        self.close(events);
        Ok(with_revision(done, self.revision))
    }

    fn judge(&self, txn: &Txn) -> Path {
        let holds = txn.when.iter().all(|compare| self.holds(compare));
        let ops = if holds { &txn.then } else { &txn.otherwise };
        let within = ops.iter().map(|op| match op {
            Op::Txn(txn) => Some(self.judge(txn)),
            _ => None,
        });
        Path { holds, within: within.collect() }
    }

    fn holds(&self, compare: &Compare) -> bool {
        if self.lie == Some(Lie::ComparesNothing) {
            return true;
        }
        let item = |key: &String| self.keys.get(key.as_bytes());
        match compare {
            Compare::Absent(key) => item(key).is_none(),
            Compare::OnLease(key, lease) => item(key).is_some_and(|it| it.lease == Some(*lease)),
            Compare::Revision(key, revision) => item(key).map_or(0, |it| it.revision) == *revision,
            Compare::Differs(key, value) => item(key).is_some_and(|it| it.value != *value),
        }
    }

    fn lacks_lease(&self, txn: &Txn, path: &Path) -> bool {
        path.ops(txn).any(|(op, within)| match (op, within) {
            (Op::Put { lease: Some(lease), .. }, _) => !self.leases.contains_key(lease),
            (Op::Txn(txn), Some(within)) => self.lacks_lease(txn, within),
            _ => false,
        })
    }

    fn carry_out(&mut self, txn: &Txn, path: &Path, events: &mut Vec<Event>) -> Done {
        let mut all = Vec::new();
        for (op, within) in path.ops(txn) {
            all.push(match (op, within) {
                (Op::Txn(txn), Some(within)) => Some(self.carry_out(txn, within, events)),
                (Op::Put { key, value, lease }, _) => {
                    let (key, revision) = (key.as_bytes().to_vec(), self.revision + 1);
                    let item = Item { value: value.clone(), revision, lease: *lease };
                    self.keys.insert(key.clone(), item);
                    let put =
                        Pair { key: key.clone(), value: value.clone(), mod_revision: revision };
                    events.push(Event { revision, key, put: Some(put) });
                    None
                }
                (Op::Delete(key), _) => {
                    self.delete(key.as_bytes(), events);
                    None
                }
                (Op::Txn(_), None) => None,
            });
        }
        Done { revision: 0, succeeded: path.holds, within: all }
    }

    fn delete(&mut self, key: &[u8], events: &mut Vec<Event>) {
        if self.lie != Some(Lie::DeletesNothing) && self.keys.remove(key).is_some() {
            let event = Event { revision: self.revision + 1, key: key.to_vec(), put: None };
            events.push(event);
        }
    }

    /// What happens to keys of hosts is part of their story.
    fn note(&mut self, event: &Event) {
        let key = String::from_utf8_lossy(&event.key);
        let mut parts = key.rsplit('/');
        let (Some(Ok(host)), Some(kind)) = (parts.next().map(str::parse), parts.next()) else {
            return;
        };
        let lease = self.keys.get(&event.key).and_then(|item| item.lease);
        let what = match (&event.put, lease) {
            (Some(_), Some(lease)) => format!("put on lease {lease}"),
            (Some(_), None) => "put".to_owned(),
            (None, _) => "deleted".to_owned(),
        };
        let held = if self.is_held { ", late" } else { "" };
        self.trace.note(Some(&host), format!("    etcd: {kind} is {what}{held}"));
        if self.is_held && kind == "live" && event.put.is_some() {
            self.held.insert(host, clock::millis());
        }
    }

    /// Whatever was changed was changed in one revision.
    fn close(&mut self, events: Vec<Event>) {
        if !events.is_empty() {
            self.revision += 1;
            events.iter().for_each(|event| self.note(event));
            self.log.push((self.revision, events));
        }
    }
}

/// Which way a transaction goes.
struct Path {
    holds: bool,
    within: Vec<Option<Path>>,
}

impl Path {
    fn ops<'p>(&'p self, txn: &'p Txn) -> impl Iterator<Item = (&'p Op, Option<&'p Path>)> {
        let ops = if self.holds { &txn.then } else { &txn.otherwise };
        ops.iter().zip(self.within.iter().map(Option::as_ref))
    }
}

fn with_revision(done: Done, revision: i64) -> Done {
    let within = done.within.into_iter().map(|it| it.map(|done| with_revision(done, revision)));
    Done { revision, within: within.collect(), ..done }
}
