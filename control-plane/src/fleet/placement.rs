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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(n: u8) -> Name {
        format!("host-{n}").parse().expect("a name")
    }

    fn here(session: u64) -> Here {
        Here { session, instance: "a".to_owned(), serial: "1".to_owned(), since: String::new() }
    }

    fn ended(session: u64) -> Ended {
        Ended { session, goodbye: true, time: String::new() }
    }

    fn with_lease() -> Placement {
        let mut placement = Placement::new(10);
        placement.granted(7);
        placement
    }

    /// Commits all of a batch at a revision.
    fn commit(placement: &mut Placement, revision: i64) -> Vec<Change> {
        let batch = placement.take(120);
        let outcomes = vec![Outcome::Done(revision); batch.len()];
        assert!(placement.done(batch.clone(), &outcomes).is_empty());
        batch
    }

    #[test]
    fn a_host_is_registered_once_there_is_a_lease() {
        let mut placement = Placement::new(10);
        placement.here(&host(1), here(1));
        assert!(placement.take(120).is_empty());
        assert_eq!(placement.missing_leases(), 1);
        placement.granted(7);
        assert_eq!(placement.missing_leases(), 0);
        let wanted = Change::Register { host: host(1), here: here(1), lease: 7 };
        assert_eq!(commit(&mut placement, 3), [wanted]);
        assert!(placement.is_settled() && placement.take(120).is_empty());
    }

    #[test]
    fn it_is_ended_where_it_was_written_and_its_room_is_free_again() {
        let mut placement = with_lease();
        placement.here(&host(1), here(1));
        commit(&mut placement, 3);
        placement.ended(&host(1), ended(1));
        let wanted = Change::End { host: host(1), ours: vec![7], ended: ended(1) };
        assert_eq!(commit(&mut placement, 4), [wanted]);
        assert!(placement.is_settled());
        placement.granted(8);
        assert_eq!(placement.take_empty_leases().len(), 1);
    }

    #[test]
    fn who_comes_and_goes_in_between_is_not_written() {
        let mut placement = with_lease();
        placement.here(&host(1), here(1));
        placement.ended(&host(1), ended(1));
        assert!(placement.take(120).is_empty() && placement.is_settled());
    }

    #[test]
    fn who_has_no_stream_any_more_is_not_registered() {
        let mut placement = with_lease();
        placement.here(&host(1), here(1));
        placement.away(&host(1));
        assert!(placement.take(120).is_empty());
        placement.here(&host(1), here(2));
        assert_eq!(commit(&mut placement, 3).len(), 1);
        // What is there already is repaired: that takes nothing from anybody.
        placement.away(&host(1));
        placement.vanished(&host(1), 5);
        let wanted = Change::Repair { host: host(1), here: here(2), lease: 7, ours: vec![7] };
        assert_eq!(commit(&mut placement, 6), [wanted]);
    }

    #[test]
    fn a_key_is_ours_on_every_lease_on_which_it_may_be() {
        let mut placement = with_lease();
        placement.here(&host(1), here(1));
        commit(&mut placement, 3);
        // Somebody says so, and it may not be true.
        placement.lost(7);
        placement.granted(8);
        let batch = placement.take(120);
        let wanted = Change::Repair { host: host(1), here: here(1), lease: 8, ours: vec![8, 7] };
        assert_eq!(batch, std::slice::from_ref(&wanted));
        placement.failed(&batch);
        let batch = placement.take(120);
        assert_eq!(batch, [wanted]);
        placement.failed(&batch);
        placement.ended(&host(1), ended(1));
        let wanted = Change::End { host: host(1), ours: vec![8, 7], ended: ended(1) };
        assert_eq!(commit(&mut placement, 4), [wanted]);
    }

    #[test]
    fn a_key_of_ours_that_nobody_wants_is_withdrawn() {
        let mut placement = with_lease();
        placement.withdraw(&host(1), 3);
        let wanted = Change::Withdraw { host: host(1), revision: 3 };
        assert_eq!(commit(&mut placement, 4), [wanted]);
        assert!(placement.is_settled());
        // Who is here is none of those.
        placement.here(&host(1), here(1));
        commit(&mut placement, 5);
        placement.withdraw(&host(1), 5);
        assert!(placement.is_settled() && placement.take(120).is_empty());
    }

    #[test]
    fn what_ends_is_the_stream_that_is_written() {
        let mut placement = with_lease();
        placement.here(&host(1), here(1));
        commit(&mut placement, 3);
        placement.here(&host(1), here(2));
        placement.ended(&host(1), ended(2));
        let wanted = Change::End { host: host(1), ours: vec![7], ended: ended(1) };
        assert_eq!(commit(&mut placement, 4), [wanted]);
        assert!(placement.is_settled() && placement.take_dropped().is_empty());
    }

    #[test]
    fn what_happens_meanwhile_comes_after() {
        let mut placement = with_lease();
        placement.here(&host(1), here(1));
        let first = placement.take(120);
        placement.ended(&host(1), ended(1));
        assert!(placement.take(120).is_empty() && !placement.is_settled());
        placement.done(first, &[Outcome::Done(3)]);
        let wanted = Change::End { host: host(1), ours: vec![7], ended: ended(1) };
        assert_eq!(commit(&mut placement, 4), [wanted]);
    }

    #[test]
    fn a_key_that_vanished_is_repaired_and_who_moved_is_let_go() {
        let mut placement = with_lease();
        placement.here(&host(1), here(1));
        commit(&mut placement, 3);
        // What was deleted before we wrote is another one's.
        placement.vanished(&host(1), 2);
        assert!(placement.take(120).is_empty());
        placement.vanished(&host(1), 5);
        let batch = placement.take(120);
        assert_eq!(
            batch,
            [Change::Repair { host: host(1), here: here(1), lease: 7, ours: vec![7] }]
        );
        assert_eq!(placement.done(batch, &[Outcome::Taken]), [host(1)]);
        assert!(placement.is_settled());
    }

    #[test]
    fn who_was_on_a_lost_lease_is_put_on_another() {
        let mut placement = with_lease();
        for n in 0..3 {
            placement.here(&host(n), here(1));
        }
        assert_eq!(commit(&mut placement, 3).len(), 3);
        placement.lost(7);
        assert_eq!((placement.take(120).len(), placement.missing_leases()), (0, 1));
        placement.granted(8);
        let batch = commit(&mut placement, 4);
        assert_eq!(batch.len(), 3);
        assert!(batch.iter().all(|it| matches!(it, Change::Repair { lease: 8, .. })));
    }

    #[test]
    fn what_may_have_been_written_is_ended_too() {
        let mut placement = with_lease();
        placement.here(&host(1), here(1));
        let batch = placement.take(120);
        placement.ended(&host(1), ended(1));
        placement.failed(&batch);
        let wanted = Change::End { host: host(1), ours: vec![7], ended: ended(1) };
        assert_eq!(commit(&mut placement, 3), [wanted]);
        assert!(placement.is_settled());
    }

    #[test]
    fn what_failed_is_due_again() {
        let mut placement = with_lease();
        placement.here(&host(1), here(1));
        let batch = placement.take(120);
        placement.failed(&batch);
        assert_eq!(commit(&mut placement, 3), batch);
    }

    proptest! {
        /// Whatever happens in whatever order, in the end etcd says what is wanted, and nothing is left to do.
        #[test]
        fn it_ends_as_wanted(steps in prop::collection::vec((0..7_u8, 0..4_u8), 0..120)) {
            let mut placement = Placement::new(2);
            let (mut etcd, mut wanted) = (HashMap::new(), HashMap::new());
            let (mut revision, mut session, mut lease) = (1_i64, 0_u64, 0_i64);
            let mut open: Vec<Vec<Change>> = Vec::new();
            let apply = |placement: &mut Placement, etcd: &mut HashMap<Name, (u64, LeaseId)>, batch: Vec<Change>, revision: &mut i64| {
                *revision += 1;
                let outcomes: Vec<_> = batch.iter().map(|change| match change {
                    Change::Register { host, here, lease } => { etcd.insert(host.clone(), (here.session, *lease)); Outcome::Done(*revision) }
                    Change::Repair { host, .. } if etcd.contains_key(host) => Outcome::Taken,
                    Change::Repair { host, here, lease, .. } => { etcd.insert(host.clone(), (here.session, *lease)); Outcome::Done(*revision) }
                    Change::End { host, ours, .. } if etcd.get(host).is_some_and(|it| ours.contains(&it.1)) => { etcd.remove(host); Outcome::Done(*revision) }
                    Change::End { .. } | Change::Withdraw { .. } => Outcome::Taken,
                }).collect();
                placement.done(batch, &outcomes)
            };
            for (step, n) in steps {
                match step {
                    0 | 1 => { session += 1; placement.here(&host(n), here(session)); wanted.insert(host(n), session); }
                    2 => if let Some(session) = wanted.remove(&host(n)) { placement.ended(&host(n), ended(session)); },
                    3 => open.push(placement.take(3)),
                    4 => if let Some(batch) = open.pop() { apply(&mut placement, &mut etcd, batch, &mut revision); },
                    // Nobody knows whether it has been committed: it was, or it was not.
                    5 => if let Some(batch) = open.pop() {
                        if n % 2 == 0 {
                            let mut twin = Placement::new(2);
                            apply(&mut twin, &mut etcd, batch.clone(), &mut revision);
                        }
                        placement.failed(&batch);
                    },
                    _ => if etcd.remove(&host(n)).is_some() { revision += 1; placement.vanished(&host(n), revision); },
                }
            }
            for batch in open {
                apply(&mut placement, &mut etcd, batch, &mut revision);
            }
            for _ in 0..20 {
                for _ in 0..placement.missing_leases() {
                    lease += 1;
                    placement.granted(lease);
                }
                let batch = placement.take(3);
                apply(&mut placement, &mut etcd, batch, &mut revision);
            }
            prop_assert!(placement.is_settled());
            let seen: HashMap<_, _> = etcd.into_iter().map(|(host, (session, _))| (host, session)).collect();
            prop_assert_eq!(seen, wanted);
        }
    }
}
