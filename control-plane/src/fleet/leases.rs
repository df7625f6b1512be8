//! Which host is on which lease: as many on each as are wanted, as few leases as can be.
//!
//! A lease for each host would melt etcd at a million of them, as it revokes a thousand a second and a new leader
//! renews them all; a lease for a replica would be blind to hosts. Nothing here speaks to etcd.

use std::collections::{HashMap, HashSet};

use wanglou_api::identity::Name;

/// As etcd numbers it; never 0.
pub(crate) type LeaseId = i64;

/// Hosts by lease.
#[derive(Debug)]
pub(crate) struct Leases {
    most: usize,
    by_lease: HashMap<LeaseId, HashSet<Name>>,
    by_host: HashMap<Name, LeaseId>,
    /// Those that have room.
    open: Vec<LeaseId>,
}

impl Leases {
    /// With so many hosts on one at most.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            by_lease: HashMap::new(),
            by_host: HashMap::new(),
            open: Vec::new(),
        }
    }

    /// How many more are needed for so many more hosts.
    pub(crate) fn missing(&self, hosts: usize) -> usize {
        let room: usize =
            self.open.iter().map(|lease| self.most - self.by_lease[lease].len()).sum();
        hosts.saturating_sub(room).div_ceil(self.most)
    }

    /// One has been granted.
    pub(crate) fn add(&mut self, lease: LeaseId) {
        self.by_lease.insert(lease, HashSet::new());
        self.open.push(lease);
    }

    /// The lease of a host: the one it has, or one with room; `None` if there is none.
    pub(crate) fn place(&mut self, host: &Name) -> Option<LeaseId> {
        if let Some(lease) = self.by_host.get(host) {
            return Some(*lease);
        }
        let lease = *self.open.last()?;
        let hosts = self.by_lease.entry(lease).or_default();
        hosts.insert(host.clone());
        if hosts.len() >= self.most {
            self.open.pop();
        }
        self.by_host.insert(host.clone(), lease);
        Some(lease)
    }

    /// Whether a host has one.
    pub(crate) fn has(&self, host: &Name) -> bool {
        self.by_host.contains_key(host)
    }

    /// The host is no longer here.
    pub(crate) fn remove(&mut self, host: &Name) {
        let Some(lease) = self.by_host.remove(host) else { return };
        let Some(hosts) = self.by_lease.get_mut(&lease) else { return };
        if hosts.len() == self.most {
            self.open.push(lease);
        }
        hosts.remove(host);
    }

    /// A lease is gone, whoever did it: the hosts that were on it and need another.
    pub(crate) fn lose(&mut self, lease: LeaseId) -> Vec<Name> {
        self.open.retain(|it| *it != lease);
        let hosts = self.by_lease.remove(&lease).unwrap_or_default();
        for host in &hosts {
            self.by_host.remove(host);
        }
        // In an order that is the same every time.
        let mut hosts: Vec<_> = hosts.into_iter().collect();
        hosts.sort_unstable();
        hosts
    }

    /// Takes those away that nobody is on, but for one.
    pub(crate) fn take_empty(&mut self) -> Vec<LeaseId> {
        let mut empty: Vec<_> =
            self.open.iter().copied().filter(|lease| self.by_lease[lease].is_empty()).collect();
        empty.pop();
        for lease in &empty {
            self.by_lease.remove(lease);
        }
        self.open.retain(|lease| !empty.contains(lease));
        empty
    }

    /// All of them, to be renewed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = LeaseId> {
        self.by_lease.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: usize) -> Name {
        format!("host-{n}").parse().expect("a name")
    }

    /// Grants what is missing, and places so many.
    fn filled(most: usize, hosts: usize) -> Leases {
        let mut leases = Leases::new(most);
        for n in 0..leases.missing(hosts) {
            leases.add(n as LeaseId + 1);
        }
        for n in 0..hosts {
            assert!(leases.place(&host(n)).is_some());
        }
        leases
    }

    #[test]
    fn there_are_as_few_as_can_be() {
        for (most, hosts, wanted) in
            [(1, 3, 3), (500, 1, 1), (500, 500, 1), (500, 501, 2), (500, 0, 0)]
        {
            assert_eq!(filled(most, hosts).iter().count(), wanted, "{hosts} on leases of {most}");
        }
    }

    #[test]
    fn room_that_gets_free_is_used() {
        let mut leases = filled(2, 4);
        assert_eq!((leases.missing(1), leases.place(&host(9))), (1, None));
        leases.remove(&host(0));
        assert_eq!(leases.missing(1), 0);
        assert!(leases.place(&host(9)).is_some());
        assert_eq!(leases.place(&host(8)), None);
    }

    #[test]
    fn a_host_stays_where_it_is() {
        let mut leases = filled(2, 1);
        assert_eq!(leases.place(&host(0)), leases.place(&host(0)));
        assert_eq!(leases.missing(1), 0);
    }

    #[test]
    fn who_was_on_a_lost_lease_needs_another() {
        let mut leases = filled(2, 3);
        let lost = leases.place(&host(0)).expect("it has one");
        let mut without = leases.lose(lost);
        without.sort();
        assert_eq!(without.len(), 2);
        assert!(leases.lose(lost).is_empty());
        leases.add(77);
        for host in &without {
            assert!(leases.place(host).is_some());
        }
    }

    #[test]
    fn those_that_are_empty_are_given_back_but_for_one() {
        let mut leases = filled(2, 6);
        for n in 0..6 {
            leases.remove(&host(n));
        }
        assert_eq!(leases.take_empty().len(), 2);
        assert_eq!((leases.take_empty().len(), leases.iter().count()), (0, 1));
    }
}
