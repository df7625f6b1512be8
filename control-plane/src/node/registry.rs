//! What etcd is to say of the hosts that are here: leases that are granted and renewed, and changes in batches.

use std::time::Duration;

use tokio::time::Instant;
use wanglou_api::fleet::v1::host::State as HostState;
use wanglou_api::identity::Name;

use super::{Event, Settings, State};
use crate::fleet::leases::LeaseId;
use crate::fleet::placement::{Change, Outcome, Placement};
use crate::log::ids;
use crate::store::{BATCH, StoreError};

/// Transactions under way at once.
const COMMITS: usize = 4;
/// Leases that are being granted at once.
const GRANTS: usize = 16;
/// Before something that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is under way.
pub(super) struct Registry {
    pub(super) placement: Placement,
    commits: usize,
    grants: usize,
    is_renewing: bool,
    renew_at: Instant,
    /// Nothing is asked of etcd before.
    pause: Instant,
}

impl Registry {
    pub(super) fn new(settings: &Settings) -> Self {
        let now = Instant::now();
        Self {
            placement: Placement::new(settings.hosts_per_lease),
            commits: 0,
            grants: 0,
            is_renewing: false,
            renew_at: now,
            pause: now,
        }
    }
}

impl State {
    /// Asks etcd for all that is due.
    pub(super) fn register(&mut self) {
        for host in self.registry.placement.take_dropped() {
            self.let_go(&host);
        }
        let (registry, now) = (&mut self.registry, Instant::now());
        let ttl = self.settings.lease_ttl;
        if !registry.is_renewing && now >= registry.renew_at {
            registry.is_renewing = true;
            registry.renew_at = now + ttl / 3;
            let (store, node) = (self.store.clone(), self.node.clone());
            let (leases, empty) =
                (registry.placement.leases(), registry.placement.take_empty_leases());
            tokio::spawn(async move {
                let gone = store.renew(leases).await;
                node.tell(Event::Renewed(gone)).await;
                for lease in empty {
                    // It ends by itself otherwise.
                    let _ = store.revoke(lease).await;
                }
            });
        }
        if now < registry.pause {
            return;
        }
        while registry.grants < GRANTS.min(registry.placement.missing_leases()) {
            registry.grants += 1;
            let (store, node) = (self.store.clone(), self.node.clone());
            tokio::spawn(async move {
                let granted = store.grant(ttl.as_secs() as i64).await;
                node.tell(Event::Granted(granted)).await;
            });
        }
        while registry.commits < COMMITS {
            let batch = registry.placement.take(BATCH);
            if batch.is_empty() {
                break;
            }
            registry.commits += 1;
            let (store, node) = (self.store.clone(), self.node.clone());
            tokio::spawn(async move {
                let outcomes = store.commit(&batch).await;
                node.tell(Event::Committed(batch, outcomes)).await;
            });
        }
    }

    pub(super) fn granted(&mut self, lease: Result<LeaseId, StoreError>) {
        self.registry.grants -= 1;
        match lease {
            Ok(lease) => self.registry.placement.granted(lease),
            Err(error) => {
                self.registry.pause = Instant::now() + PAUSE;
                tracing::warn!(id = ids::NO_LEASE.code, %error, "no lease for hosts: it is tried again");
            }
        }
    }

    pub(super) fn renewed(&mut self, gone: Result<Vec<LeaseId>, StoreError>) {
        self.registry.is_renewing = false;
        match gone {
            Ok(gone) => gone.into_iter().for_each(|lease| self.registry.placement.lost(lease)),
            Err(error) => {
                self.registry.renew_at = Instant::now() + PAUSE;
                tracing::warn!(id = ids::NOT_RENEWED.code, %error, "leases are not renewed: it is tried again");
            }
        }
    }

    pub(super) fn committed(
        &mut self,
        batch: Vec<Change>,
        outcomes: Result<Vec<Outcome>, StoreError>,
    ) {
        self.registry.commits -= 1;
        let outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            Err(error) => {
                tracing::warn!(id = ids::HOSTS_NOT_WRITTEN.code, %error, hosts = batch.len(), "hosts are not written: it is tried again");
                self.counters.not_committed().add(batch.len());
                self.registry.placement.failed(&batch);
                if error.is_not_found() {
                    // Which of its leases is gone etcd does not say.
                    for lease in batch.iter().filter_map(Change::lease) {
                        self.registry.placement.lost(lease);
                    }
                }
                // One of its leases may be the reason.
                self.registry.renew_at = Instant::now();
                self.registry.pause = Instant::now() + PAUSE;
                return;
            }
        };
        self.counters.committed().add(batch.len());
        let changes = batch.clone();
        self.registry.placement.done(batch, &outcomes);
        for (change, outcome) in changes.iter().zip(outcomes) {
            let host = change.host();
            match (change, outcome) {
                // What the watch is about to tell is known here already.
                (Change::End { ended, .. }, Outcome::Done(revision))
                    if self.watched < revision && !self.sessions.has(host) =>
                {
                    let is = if ended.goodbye { HostState::Gone } else { HostState::Lost };
                    self.set_state(host, is);
                }
                (Change::End { .. } | Change::Withdraw { .. }, _) => self.let_go(host),
                // What the watch has told while the answer was on its way.
                (_, outcome) => {
                    let is_there =
                        self.view.read().hosts.get(host).is_some_and(|it| it.live().is_some());
                    if let Outcome::Done(revision) = outcome
                        && self.watched > revision
                        && !is_there
                    {
                        self.registry.placement.vanished(host, self.watched);
                    }
                    self.follow_own(host);
                    if let (Change::Repair { here, .. }, Outcome::Taken) = (change, outcome)
                        && !is_there
                        && self.sessions.streams(host).next() == Some(here.session)
                    {
                        // It was elsewhere and has gone from there: if our stream of it lives, it comes again by itself.
                        let todo = self.sessions.taken(host, &here.instance);
                        self.carry_out(todo);
                    }
                }
            }
        }
    }

    /// A host that is not here any more is what etcd says that it is.
    pub(super) fn let_go(&mut self, host: &Name) {
        if !self.sessions.has(host) && self.view.write().own.remove(host).is_some() {
            self.orders.leave(host);
            self.changed.insert(host.clone());
        }
    }
}
