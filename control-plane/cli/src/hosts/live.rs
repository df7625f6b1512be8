//! Hosts as a watch tells of them. Decides, and neither reads nor writes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use wanglou_api::fleet::v1::{Host, WatchHostsResponse};

use super::Caveats;
use super::row::{breaker, id, labels, state_name, worker_name};
use crate::cli::Sort;

/// What has changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// A host is so now, and was so before, if it was known.
    Host(Box<(Option<Host>, Host)>),
    /// One that is shown no more.
    Removed(String),
    /// All hosts that there are have been told of, as far as they are known.
    Complete(Caveats),
    /// So many changes were lost; it begins again.
    Lost(u64),
}

/// All hosts that pass the filter.
#[derive(Debug, Default)]
pub(super) struct Live {
    hosts: BTreeMap<String, Host>,
    /// Told of since it began again; those that are not when that is complete are no more.
    seen: Option<HashSet<String>>,
    is_complete: bool,
    caveats: Caveats,
    lost: u64,
}

impl Live {
    /// Before anything was told.
    pub(super) fn new() -> Self {
        Self { seen: Some(HashSet::new()), ..Self::default() }
    }

    /// It begins again: what is known stays until all is told.
    pub(super) fn begin_again(&mut self) {
        self.seen = Some(HashSet::new());
        self.is_complete = false;
    }

    /// All hosts that there are have been told of, and every change since.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// What was not known when all had been told of.
    pub(super) fn caveats(&self) -> &Caveats {
        &self.caveats
    }

    /// Changes that nobody tells any more.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Takes what was told; what it changes.
    pub(super) fn take(&mut self, told: WatchHostsResponse) -> Vec<Change> {
        let mut changes = Vec::new();
        if told.lost_changes > 0 {
            self.lost = self.lost.saturating_add(told.lost_changes);
            self.begin_again();
            changes.push(Change::Lost(told.lost_changes));
        }
        for host in told.hosts {
            if let Some(seen) = &mut self.seen {
                seen.insert(host.name.clone());
            }
            let before = self.hosts.insert(host.name.clone(), host.clone());
            changes.push(Change::Host(Box::new((before, host))));
        }
        for name in told.removed_hosts {
            self.remove(name, &mut changes);
        }
        if told.complete {
            if let Some(seen) = self.seen.take() {
                let gone: Vec<_> =
                    self.hosts.keys().filter(|name| !seen.contains(*name)).cloned().collect();
                gone.into_iter().for_each(|name| self.remove(name, &mut changes));
            }
            self.is_complete = true;
            let (missing_replicas, frozen_time) = (told.missing_replicas, told.frozen_time);
            self.caveats = Caveats { missing_replicas, frozen_time };
            changes.push(Change::Complete(self.caveats.clone()));
        }
        changes
    }

    fn remove(&mut self, name: String, changes: &mut Vec<Change>) {
        if self.hosts.remove(&name).is_some() {
            changes.push(Change::Removed(name));
        }
    }

    /// How many there are of each state.
    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for host in self.hosts.values() {
            *counts.entry(host.state().as_str_name()).or_default() += 1;
        }
        counts
    }

    /// The first of them in this order.
    pub(super) fn first(&self, count: usize, sort: Sort) -> Vec<&Host> {
        let cost = |host: &&Host| {
            let heartbeat = host.heartbeat.as_ref();
            heartbeat.map_or(0, |it| match sort {
                Sort::Name => 0,
                Sort::Cpu => it.cpu_millicores.into(),
                Sort::Memory => it.memory_bytes,
            })
        };
        if sort == Sort::Name {
            return self.hosts.values().take(count).collect();
        }
        let mut hosts: Vec<_> = self.hosts.values().collect();
        hosts.sort_by_cached_key(|host| Reverse(cost(host)));
        hosts.truncate(count);
        hosts
    }
}

/// What people want to know of a change, if anything: what a sensor costs changes all the time.
pub(super) fn in_words(before: Option<&Host>, now: &Host) -> Option<String> {
    let tell: [fn(&Host) -> String; 6] = [
        |host| state_name(host.state()),
        |host| host.heartbeat.as_ref().map(worker_name).unwrap_or_default(),
        |host| {
            let breaker_of = host.heartbeat.as_ref().and_then(|it| it.breaker.as_ref());
            // For how long it still rests is no news.
            breaker_of.map_or_else(String::new, |it| match it.rest {
                Some(_) => "breaker open".to_owned(),
                None => format!("breaker {}", breaker(it)),
            })
        },
        |host| host.version.clone(),
        |host| match host.duplicate_instance_ids.len() {
            0 => String::new(),
            copies => format!("{} machines of this name", copies + 1),
        },
        labels,
    ];
    let told: Vec<_> = tell
        .iter()
        .filter_map(|tell| {
            let is = tell(now);
            let Some(before) = before else { return (!is.is_empty()).then_some(is) };
            let was = tell(before);
            let or_none = |text: String| if text.is_empty() { "-".to_owned() } else { text };
            (was != is).then(|| format!("{} → {}", or_none(was), or_none(is)))
        })
        .collect();
    (!told.is_empty()).then(|| format!("{}: {}", id(&now.name), told.join(", ")))
}

#[cfg(test)]
mod tests {
    use wanglou_api::fleet::v1::host::State;
    use wanglou_api::sensor::v1::Heartbeat;

    use super::*;

    fn host(name: &str, state: State, cpu_millicores: u32) -> Host {
        Host {
            name: format!("hosts/{name}"),
            state: state.into(),
            heartbeat: Some(Heartbeat { cpu_millicores, ..Heartbeat::default() }),
            ..Host::default()
        }
    }

    fn told(hosts: Vec<Host>, complete: bool) -> WatchHostsResponse {
        WatchHostsResponse { hosts, complete, ..WatchHostsResponse::default() }
    }

    fn names(live: &Live, sort: Sort) -> Vec<&str> {
        live.first(10, sort).into_iter().map(|host| id(&host.name)).collect()
    }

    #[test]
    fn hosts_come_change_and_go() {
        let mut live = Live::new();
        live.take(told(vec![host("b", State::Alive, 5), host("a", State::Alive, 1)], false));
        assert!(!live.is_complete());
        live.take(told(vec![host("c", State::Lost, 3)], true));
        assert!(live.is_complete());
        assert_eq!(names(&live, Sort::Name), ["a", "b", "c"]);
        assert_eq!(names(&live, Sort::Cpu), ["b", "c", "a"]);
        assert_eq!(live.counts(), [("STATE_ALIVE", 2), ("STATE_LOST", 1)].into());
        let removed_hosts = vec!["hosts/a".to_owned(), "hosts/z".to_owned()];
        let gone = WatchHostsResponse { removed_hosts, ..WatchHostsResponse::default() };
        assert_eq!(live.take(gone), [Change::Removed("hosts/a".to_owned())]);
    }

    #[test]
    fn after_a_loss_what_is_not_told_again_is_no_more() {
        let mut live = Live::new();
        live.take(told(vec![host("a", State::Alive, 0), host("b", State::Alive, 0)], true));
        let again =
            WatchHostsResponse { lost_changes: 4, ..told(vec![host("b", State::Lost, 0)], false) };
        let changes = live.take(again);
        assert_eq!(changes[0], Change::Lost(4));
        assert_eq!((live.lost(), live.is_complete(), live.len()), (4, false, 2));
        let changes = live.take(told(Vec::new(), true));
        assert_eq!(
            changes,
            [Change::Removed("hosts/a".to_owned()), Change::Complete(Caveats::default())]
        );
        assert_eq!(live.len(), 1);
    }

    #[test]
    fn people_hear_of_what_matters() {
        let alive = host("a", State::Alive, 1);
        assert_eq!(in_words(None, &alive).as_deref(), Some("a: alive, unspecified"));
        assert_eq!(in_words(Some(&alive), &host("a", State::Alive, 900)), None);
        let lost = Host { heartbeat: alive.heartbeat.clone(), ..host("a", State::Lost, 1) };
        assert_eq!(in_words(Some(&alive), &lost).as_deref(), Some("a: alive → lost"));
    }
}
