//! What etcd tells: every host of the fleet, every replica, every order, and what others did to our own keys.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use wanglou_api::identity::Name;

use super::{Event, Node, State, TICK};
use crate::clock;
use crate::fleet::Millis;
use crate::fleet::hosts::{self, Changes, Record};
use crate::log::ids;
use crate::store::Store;
use crate::store::keys::{self, Kind};
use crate::store::watch::{Pair, Told};

/// Between two attempts, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Follows etcd for as long as there is a node.
pub(super) async fn follow(store: Store, node: Node) {
    let mut known = None;
    let mut pause = TICK;
    loop {
        let (tell, mut told) = mpsc::channel(64);
        let following = store.follow(&mut known, tell);
        tokio::pin!(following);
        let ended = loop {
            tokio::select! {
                biased;
                Some(it) = told.recv() => {
                    pause = TICK;
                    node.tell(Event::Watched(it)).await;
                }
                ended = &mut following => break ended,
            }
        };
        while let Ok(it) = told.try_recv() {
            node.tell(Event::Watched(it)).await;
        }
        if let Err(error) = ended {
            node.tell(Event::Blind(error)).await;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

impl State {
    pub(super) fn watched(&mut self, told: Told, now: Millis) {
        let was_silent = {
            let mut view = self.view.write();
            let was_silent = view.hosts.blind_since().is_some();
            view.hosts.see(true, now);
            was_silent
        };
        if was_silent {
            tracing::info!(id = ids::ETCD_ANSWERS.code, "etcd answers");
        }
        match told {
            Told::Begin => self.listed = Some(Default::default()),
            Told::Listed(pairs) => {
                let (mut changes, mut replicas) = self.listed.take().unwrap_or_default();
                for pair in pairs {
                    let key = pair.key.clone();
                    replicas.extend(self.replica_of(&key));
                    self.note(&mut changes, &key, Some(pair));
                }
                self.listed = Some((changes, replicas));
            }
            Told::Whole(revision) => {
                let (changes, replicas) = self.listed.take().unwrap_or_default();
                self.view.write().replicas.retain(|id, _| replicas.contains(id));
                self.tell_endpoints();
                let changed = self.view.write().hosts.begin_again(changes, now);
                self.watched = revision;
                self.followed(changed, revision, now);
                if !std::mem::replace(&mut self.knows_hosts, true) {
                    self.name_all(now);
                }
            }
            Told::Changed(revision, pairs) => {
                let mut changes = Changes::default();
                for (key, pair) in pairs {
                    self.note(&mut changes, &key, pair);
                }
                let changed = self.view.write().hosts.apply(changes, now);
                self.watched = revision;
                self.followed(changed, revision, now);
            }
            Told::Quiet => {}
        }
    }

    /// Hosts have changed in etcd: some of them are ours.
    fn followed(&mut self, changed: Vec<Name>, revision: i64, now: Millis) {
        for host in changed {
            if self.sessions.has(&host) {
                let is_gone =
                    self.view.read().hosts.get(&host).is_none_or(|it| it.live().is_none());
                if is_gone {
                    self.registry.placement.vanished(&host, revision);
                }
                self.follow_own(&host);
                self.relabel(&host, now);
            } else {
                self.let_go(&host);
                self.withdraw(&host);
            }
            self.changed.insert(host);
        }
    }

    /// A host that is not here, and whose key says so: such as of a registration that was given up and made all the same, or
    /// of this replica before it began again.
    pub(super) fn withdraw(&mut self, host: &Name) {
        let live = self.view.read().hosts.get(host).and_then(|it| it.live().cloned());
        if let Some(live) = live.filter(|live| live.replica == self.settings.replica) {
            self.registry.placement.withdraw(host, live.revision);
        }
    }

    /// What somebody else did to the key of a host that is here.
    pub(super) fn follow_own(&mut self, host: &Name) {
        let live = self.view.read().hosts.get(host).and_then(|entry| entry.live().cloned());
        let todo = match live {
            Some(live) if live.replica == self.settings.replica => return,
            Some(live) => {
                if !self.registry.placement.is_news(host, live.revision) {
                    return;
                }
                self.registry.placement.taken(host);
                self.sessions.taken(host, &live.instance)
            }
            None => self.sessions.freed(host),
        };
        self.carry_out(todo);
    }

    fn replica_of(&self, key: &[u8]) -> Option<Name> {
        let (kind, name) = self.store.folder().parse(key)?;
        if kind == Kind::Replica { name.parse().ok() } else { None }
    }

    fn note(&mut self, changes: &mut Changes, key: &[u8], pair: Option<Pair>) {
        let Some((kind, name)) = self.store.folder().parse(key) else { return };
        let Ok(name) = name.parse::<Name>() else { return };
        match kind {
            Kind::Live => changes.live.push((name, pair.as_ref().and_then(live))),
            Kind::End => changes.ends.push((name, pair.as_ref().and_then(end))),
            Kind::Host => changes.records.push((name, pair.as_ref().map(record))),
            Kind::Replica => self.replica(name, pair),
            Kind::Task => {}
            Kind::Stop => {
                if let Some(order) = pair.and_then(|pair| keys::Order::parse(&pair.value)) {
                    self.durable(order);
                }
            }
        }
    }

    fn replica(&mut self, name: Name, pair: Option<Pair>) {
        let value = pair.and_then(|pair| serde_json::from_slice::<keys::Replica>(&pair.value).ok());
        {
            let mut view = self.view.write();
            match value {
                Some(value) => view.replicas.insert(name, value),
                None => view.replicas.remove(&name),
            };
        }
        self.tell_endpoints();
    }
}

fn live(pair: &Pair) -> Option<hosts::Live> {
    let live: keys::Live = serde_json::from_slice(&pair.value).ok()?;
    Some(hosts::Live {
        replica: live.replica.parse().ok()?,
        session: live.session,
        instance: live.instance.into(),
        since: clock::of_rfc3339(&live.since),
        revision: pair.mod_revision,
    })
}

fn end(pair: &Pair) -> Option<hosts::End> {
    let end: keys::End = serde_json::from_slice(&pair.value).ok()?;
    let time = clock::of_rfc3339(&end.time);
    Some(hosts::End { session: end.session, goodbye: end.goodbye, time })
}

/// A record that somebody has made unreadable is one without labels: the host is of the fleet all the same.
fn record(pair: &Pair) -> Record {
    let host: keys::Host = serde_json::from_slice(&pair.value).unwrap_or_default();
    Record {
        labels: host.labels,
        first_seen: clock::of_rfc3339(&host.first_seen),
        revision: pair.mod_revision,
    }
}
