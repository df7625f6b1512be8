//! etcd, and nothing that decides.
//!
//! ```text
//! keys   what there is, and of what form       watch   all of it, and every change
//! live   live keys, many in a transaction      keepalive   leases, all over one stream
//! etcd   what is asked of it                   client   the real one
//! members   who etcd is                        presence   the key of this replica itself
//! task   what only one replica may do
//! ```

mod client;
mod error;
pub(crate) mod etcd;
pub(crate) mod keepalive;
pub(crate) mod keys;
pub(crate) mod live;
pub(crate) mod members;
pub(crate) mod presence;
pub(crate) mod task;
pub(crate) mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use client::Client;
pub(crate) use client::options;
pub(crate) use error::StoreError;
use etcd::{Compare, Etcd, Op, Range, Txn};
use keys::{Folder, Kind};
pub(crate) use live::BATCH;
use tokio::sync::{Notify, mpsc};
use wanglou_api::identity::Name;

use crate::config;
use crate::fleet::leases::LeaseId;
use crate::fleet::orders::Known;
use crate::fleet::placement::{Change, Outcome};

/// Time for an answer, but to a watch.
const PATIENCE: Duration = Duration::from_secs(5);
/// An etcd that is well answers within this.
const PROMPTLY: Duration = Duration::from_secs(1);

/// A way to etcd.
#[derive(Clone)]
pub(crate) struct Store {
    etcd: Arc<dyn Etcd>,
    /// Members, as the settings name them.
    configured: Arc<[String]>,
    /// Something that should have worked has not.
    failed: Arc<Notify>,
    folder: Folder,
    replica: Name,
}

/// What became of new labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relabelled {
    /// They are there, at this revision.
    Done(i64),
    /// Somebody else was faster.
    Changed,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.folder.as_str())
    }
}

impl Store {
    /// As the settings say; nobody needs to be there yet.
    pub(crate) async fn open(
        settings: &config::Etcd,
        fleet: &Name,
        replica: Name,
    ) -> Result<Self, StoreError> {
        let store = Self::of(Arc::new(Client::open(settings).await?), fleet, replica);
        Ok(Self { configured: settings.endpoints.clone().into(), ..store })
    }

    /// Of any etcd.
    pub(crate) fn of(etcd: Arc<dyn Etcd>, fleet: &Name, replica: Name) -> Self {
        let (configured, failed) = (Arc::default(), Arc::default());
        Self { etcd, configured, failed, folder: Folder::of(fleet), replica }
    }

    /// Where the fleet's keys are.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Makes a lease.
    pub(crate) async fn grant(&self, ttl_seconds: i64) -> Result<LeaseId, StoreError> {
        in_time(self.etcd.grant(ttl_seconds)).await
    }

    /// Ends one, with all keys that are on it.
    pub(crate) async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        in_time(self.etcd.revoke(lease)).await
    }

    /// Renews leases; those that are no more.
    pub(crate) async fn renew(&self, leases: Vec<LeaseId>) -> Result<Vec<LeaseId>, StoreError> {
        in_time(self.etcd.renew(leases)).await
    }

    /// Changes live keys: at most [`live::BATCH`], no host twice.
    pub(crate) async fn commit(&self, batch: &[Change]) -> Result<Vec<Outcome>, StoreError> {
        in_time(live::commit(&*self.etcd, &self.folder, &self.replica, batch)).await
    }

    /// Whether etcd decides, and soon: it has to ask its quorum for this.
    pub(crate) async fn answers(&self) -> bool {
        let us = self.folder.key(Kind::Replica, self.replica.as_str());
        let answer = tokio::time::timeout(PROMPTLY, self.etcd.range(Range::one(&us)));
        answer.await.is_ok_and(|answer| answer.is_ok())
    }

    /// Gives a host other labels, if its record is still the one of this revision.
    pub(crate) async fn relabel(
        &self,
        host: &Name,
        labels: BTreeMap<String, String>,
        revision: i64,
    ) -> Result<Relabelled, StoreError> {
        let key = self.folder.key(Kind::Host, host.as_str());
        let there = in_time(self.etcd.range(Range::one(&key))).await?;
        let Some(pair) = there.pairs.first() else { return Ok(Relabelled::Changed) };
        let record: keys::Host = serde_json::from_slice(&pair.value).unwrap_or_default();
        let value = serde_json::to_vec(&keys::Host { labels, ..record })?;
        let is_same = Compare::Revision(key.clone(), revision);
        let done = in_time(self.etcd.txn(Txn::when(is_same, vec![Op::put(key, value)]))).await?;
        Ok(if done.succeeded { Relabelled::Done(done.revision) } else { Relabelled::Changed })
    }

    /// Writes an order, if it is not there.
    pub(crate) async fn put_order(&self, known: &Known) -> Result<(), StoreError> {
        let value = serde_json::to_vec(&keys::Order::of(known))?;
        let epoch = known.order.epoch.to_string();
        let signature = known.signed.signature.iter().take(8);
        let signature: String = signature.map(|byte| format!("{byte:02x}")).collect();
        let first = self.folder.key(Kind::Stop, &epoch);
        let second = self.folder.key(Kind::Stop, &format!("{epoch}-{signature}"));
        // Two replicas that did not hear each other may have given the same epoch to two orders: both count.
        let is_absent = Compare::Absent(first.clone());
        let is_another = Compare::Differs(first.clone(), value.clone());
        let elsewhere = Txn::when(is_another, vec![Op::put(second, value.clone())]);
        let txn = Txn::when(is_absent, vec![Op::put(first, value)]);
        in_time(self.etcd.txn(txn.or_else(vec![Op::Txn(elsewhere)]))).await.map(drop)
    }

    /// Says where this replica is, on a lease of its own.
    async fn put_replica(&self, us: &keys::Replica, lease: LeaseId) -> Result<(), StoreError> {
        let key = self.folder.key(Kind::Replica, self.replica.as_str());
        let value = serde_json::to_vec(us)?;
        let put = Op::Put { key, value, lease: Some(lease) };
        in_time(self.etcd.txn(Txn::always(vec![put]))).await.map(drop)
    }

    /// Tells of the fleet's folder until etcd fails: from `known`, the revision that was told last, if there is one.
    pub(crate) async fn follow(
        &self,
        known: &mut Option<i64>,
        tell: mpsc::Sender<watch::Told>,
    ) -> Result<(), StoreError> {
        let followed = watch::follow(&*self.etcd, &self.folder, known, &tell).await;
        self.failed.notify_one();
        followed
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.map_err(|_| StoreError::Silent(PATIENCE.as_secs()))?
}
