//! What etcd should say of this replica's hosts, and what is to be changed there so that it does.
//!
//! Only what is wanted last matters: a host that comes and goes between two transactions is written once. At any time a
//! host is in at most one batch that is under way.

use std::collections::{HashMap, HashSet, VecDeque};

use wanglou_api::identity::Name;

use super::leases::{LeaseId, Leases};

/// A stream of a host, as etcd is to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Here {
    /// Which of the host's streams.
    pub(crate) session: u64,
    /// Which start of the sensor.
    pub(crate) instance: String,
    /// Of the certificate, in hexadecimal.
    pub(crate) serial: String,
    /// By this replica's clock, RFC 3339.
    pub(crate) since: String,
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Which of the host's streams.
    pub(crate) session: u64,
    /// It said goodbye.
    pub(crate) goodbye: bool,
    /// By this replica's clock, RFC 3339.
    pub(crate) time: String,
}

/// What to change about one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Its key is to say that it is here, whoever had it before.
    Register { host: Name, here: Here, lease: LeaseId },
    /// Its key may be gone behind our back: put again, unless another replica has put one, or has written the host's end.
    /// `ours` are all leases of ours on which it may still be.
    Repair { host: Name, here: Here, lease: LeaseId, ours: Vec<LeaseId> },
    /// Its key goes, if it is still on one of these leases, which only this replica has, and its end is written.
    End { host: Name, ours: Vec<LeaseId>, ended: Ended },
    /// Its key goes, if it is still the one of this revision: it says that the host is here, which nobody here knows.
    Withdraw { host: Name, revision: i64 },
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done, at this revision.
    Done(i64),
    /// The key is another one, or an end is there that is not ours: another replica has the host, or had it last.
    Taken,
}

/// What is wanted.
#[derive(Clone, Debug)]
enum Wanted {
    Here(Here),
    Ended(Ended),
    /// No key of ours, if it is still the one of this revision.
    Nothing(i64),
}

/// What etcd has of us.
#[derive(Clone, Debug)]
struct Written {
    /// `None`: nobody knows whether the last transaction was committed.
    session: Option<u64>,
    lease: LeaseId,
    /// Where it was before, if it may still be there.
    before: Option<LeaseId>,
    revision: i64,
    /// The key is gone, and nobody told us to.
    vanished: bool,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Placement {
    leases: Leases,
    wanted: HashMap<Name, Wanted>,
    written: HashMap<Name, Written>,
    /// Hosts of which etcd may not say what is wanted, the oldest first; each once.
    due: VecDeque<Name>,
    is_due: HashSet<Name>,
    under_way: HashSet<Name>,
    /// That are here and have no stream at the moment: another replica may have them by now.
    away: HashSet<Name>,
    /// Of which there was nothing to write in the end.
    dropped: Vec<Name>,
}

impl Placement {
    /// With so many hosts on a lease at most.
    pub(crate) fn new(hosts_per_lease: usize) -> Self {
        Self {
            leases: Leases::new(hosts_per_lease),
            wanted: HashMap::new(),
            written: HashMap::new(),
            due: VecDeque::new(),
            is_due: HashSet::new(),
            under_way: HashSet::new(),
            away: HashSet::new(),
            dropped: Vec::new(),
        }
    }

    /// A host is here.
    pub(crate) fn here(&mut self, host: &Name, here: Here) {
        self.away.remove(host);
        self.wanted.insert(host.clone(), Wanted::Here(here));
        self.mark(host);
    }

    /// A host has no stream, and may come back: what has not been written of it is written no more, but where our own key
    /// still is, or it would be taken from a replica where it is.
    pub(crate) fn away(&mut self, host: &Name) {
        self.away.insert(host.clone());
    }

    /// A host is no longer here.
    pub(crate) fn ended(&mut self, host: &Name, ended: Ended) {
        self.away.remove(host);
        self.wanted.insert(host.clone(), Wanted::Ended(ended));
        self.mark(host);
    }

    /// A host is another replica's now, and none of our business.
    pub(crate) fn taken(&mut self, host: &Name) {
        self.away.remove(host);
        self.wanted.remove(host);
        self.written.remove(host);
        self.leases.remove(host);
    }

    /// A key says that a host is here, and it is not: such as of a registration that etcd made when it had been given up.
    pub(crate) fn withdraw(&mut self, host: &Name, revision: i64) {
        let is_known = self.wanted.contains_key(host) || self.under_way.contains(host);
        if !is_known {
            self.wanted.insert(host.clone(), Wanted::Nothing(revision));
            self.mark(host);
        }
    }

    /// Whether what somebody else put at a revision is later than what we did, and than what we are about to do.
    pub(crate) fn is_news(&self, host: &Name, revision: i64) -> bool {
        let is_ours_to_come = self.is_due.contains(host) || self.under_way.contains(host);
        !is_ours_to_come && self.written.get(host).is_none_or(|written| written.revision < revision)
    }

    /// The key of a host that should be here is gone, and at this revision nobody had put another one.
    pub(crate) fn vanished(&mut self, host: &Name, revision: i64) {
        // What we have written since is still there.
        if let Some(written) = self.written.get_mut(host)
            && written.revision < revision
        {
            written.vanished = true;
            self.mark(host);
        }
    }

    /// A lease is there.
    pub(crate) fn granted(&mut self, lease: LeaseId) {
        self.leases.add(lease);
    }

    /// A lease is gone, and all keys that were on it.
    pub(crate) fn lost(&mut self, lease: LeaseId) {
        for host in self.leases.lose(lease) {
            if let Some(written) = self.written.get_mut(&host) {
                written.vanished = true;
            }
            self.mark(&host);
        }
    }

    /// How many leases are needed before all that is due can be written.
    pub(crate) fn missing_leases(&self) -> usize {
        let is_new = |host: &&Name| {
            matches!(self.wanted.get(*host), Some(Wanted::Here(_))) && !self.leases.has(host)
        };
        self.leases.missing(self.due.iter().filter(is_new).count())
    }

    /// All leases, to be renewed.
    pub(crate) fn leases(&self) -> Vec<LeaseId> {
        self.leases.iter().collect()
    }

    /// Leases that nobody is on any more, to be revoked; there is nothing of them here from now on.
    pub(crate) fn take_empty_leases(&mut self) -> Vec<LeaseId> {
        if self.due.is_empty() && self.under_way.is_empty() {
            self.leases.take_empty()
        } else {
            Vec::new()
        }
    }

    /// So many changes at most, no host twice; they are under way until [`done`](Self::done) or
    /// [`failed`](Self::failed).
    pub(crate) fn take(&mut self, most: usize) -> Vec<Change> {
        let mut batch = Vec::new();
        let mut waiting = Vec::new();
        while batch.len() < most
            && let Some(host) = self.due.pop_front()
        {
            if self.under_way.contains(&host) {
                waiting.push(host);
                continue;
            }
            match self.change(&host) {
                Ok(Some(change)) => {
                    self.is_due.remove(&host);
                    self.under_way.insert(host);
                    batch.push(change);
                }
                Ok(None) => {
                    self.is_due.remove(&host);
                }
                Err(NoLease) => waiting.push(host),
            }
        }
        for host in waiting.into_iter().rev() {
            self.due.push_front(host);
        }
        batch
    }

    /// Hosts that came and went before anything was written of them.
    pub(crate) fn take_dropped(&mut self) -> Vec<Name> {
        std::mem::take(&mut self.dropped)
    }

    /// Is there nothing to be taken, and nothing to be waited for?
    #[cfg(test)]
    fn is_settled(&self) -> bool {
        self.due.is_empty() && self.under_way.is_empty()
    }

    /// A batch has been committed; hosts that another replica has.
    pub(crate) fn done(&mut self, batch: Vec<Change>, outcomes: &[Outcome]) -> Vec<Name> {
        let mut taken = Vec::new();
        for (change, outcome) in batch.into_iter().zip(outcomes) {
            let host = change.host().clone();
            self.under_way.remove(&host);
            match (change, *outcome) {
                (
                    Change::Register { here, lease, .. } | Change::Repair { here, lease, .. },
                    Outcome::Done(revision),
                ) => {
                    let session = Some(here.session);
                    let written =
                        Written { session, lease, before: None, revision, vanished: false };
                    self.written.insert(host.clone(), written);
                }
                (Change::End { ended, .. }, _) => {
                    // Whoever has it now ends it.
                    self.written.remove(&host);
                    if matches!(self.wanted.get(&host), Some(Wanted::Ended(it)) if *it == ended) {
                        self.wanted.remove(&host);
                        self.leases.remove(&host);
                    }
                }
                (Change::Repair { here, .. }, Outcome::Taken) => {
                    // A later stream of the host is not taken: it has not been written.
                    if matches!(self.wanted.get(&host), Some(Wanted::Here(it)) if *it != here) {
                        self.written.remove(&host);
                    } else {
                        self.taken(&host);
                        taken.push(host.clone());
                    }
                }
                (Change::Withdraw { revision, .. }, _) => {
                    if matches!(self.wanted.get(&host), Some(Wanted::Nothing(it)) if *it == revision)
                    {
                        self.wanted.remove(&host);
                    }
                }
                (Change::Register { .. }, Outcome::Taken) => {}
            }
            if !self.says_what_is_wanted(&host) {
                self.mark(&host);
            }
        }
        taken
    }

    /// Nobody knows whether a batch has been committed: all of it is due again.
    pub(crate) fn failed(&mut self, batch: &[Change]) {
        for change in batch {
            let host = change.host();
            self.under_way.remove(host);
            self.mark(host);
            let Some(lease) = change.lease() else { continue };
            let old = self.written.get(host);
            // It may be where it was, and where it was to be.
            let before =
                old.and_then(|it| if it.lease == lease { it.before } else { Some(it.lease) });
            let (revision, vanished) = old.map_or((0, false), |it| (it.revision, it.vanished));
            let (session, vanished) = match change {
                // It may be another replica's by now: it is repaired again, and never taken back.
                Change::Repair { here, .. } => (Some(here.session), true),
                _ => (None, vanished),
            };
            let unsure = Written { session, lease, before, revision, vanished };
            self.written.insert(host.clone(), unsure);
        }
    }

    fn says_what_is_wanted(&self, host: &Name) -> bool {
        match (self.wanted.get(host), self.written.get(host)) {
            (None, _) => true,
            (Some(Wanted::Here(here)), Some(written)) => {
                written.session == Some(here.session) && !written.vanished
            }
            (Some(_), _) => false,
        }
    }

    fn mark(&mut self, host: &Name) {
        if self.is_due.insert(host.clone()) {
            self.due.push_back(host.clone());
        }
    }

    /// What makes etcd say what is wanted of a host; nothing if it does.
    fn change(&mut self, host: &Name) -> Result<Option<Change>, NoLease> {
        let Some(wanted) = self.wanted.get(host) else { return Ok(None) };
        let written = self.written.get(host);
        match wanted {
            Wanted::Here(here) => {
                if self.says_what_is_wanted(host) {
                    return Ok(None);
                }
                let is_away = self.away.contains(host);
                if is_away && written.is_none() {
                    return Ok(None);
                }
                let is_same = written.is_some_and(|it| it.session == Some(here.session));
                let (is_repair, here) = (is_same || is_away, here.clone());
                let lease = self.leases.place(host).ok_or(NoLease)?;
                let (host, written) = (host.clone(), self.written.get(host));
                Ok(Some(if is_repair {
                    let mut ours = vec![lease];
                    let others = written.iter().flat_map(|it| it.leases());
                    ours.extend(others.filter(|it| *it != lease));
                    Change::Repair { host, here, lease, ours }
                } else {
                    Change::Register { host, here, lease }
                }))
            }
            Wanted::Ended(ended) => {
                if let Some(written) = written {
                    // A later stream of which nothing was written does not end the one that was.
                    let session = written.session.unwrap_or(ended.session);
                    let (ours, ended) =
                        (written.leases().collect(), Ended { session, ..ended.clone() });
                    self.wanted.insert(host.clone(), Wanted::Ended(ended.clone()));
                    return Ok(Some(Change::End { host: host.clone(), ours, ended }));
                }
                // It came and went before anything was written.
                self.wanted.remove(host);
                self.leases.remove(host);
                self.dropped.push(host.clone());
                Ok(None)
            }
            Wanted::Nothing(revision) => {
                Ok(Some(Change::Withdraw { host: host.clone(), revision: *revision }))
            }
        }
    }
}

struct NoLease;

impl Written {
    /// On which of our leases it may be.
    fn leases(&self) -> impl Iterator<Item = LeaseId> {
        [Some(self.lease), self.before].into_iter().flatten()
    }
}

impl Change {
    /// On which it is to be; `None` where it is to go.
    pub(crate) fn lease(&self) -> Option<LeaseId> {
        match self {
            Self::Register { lease, .. } | Self::Repair { lease, .. } => Some(*lease),
            Self::End { .. } | Self::Withdraw { .. } => None,
        }
    }

    /// Whose it is.
    pub(crate) fn host(&self) -> &Name {
        match self {
            Self::Register { host, .. }
            | Self::Repair { host, .. }
            | Self::End { host, .. }
            | Self::Withdraw { host, .. } => host,
        }
    }
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
