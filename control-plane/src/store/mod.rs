//! etcd, and nothing that decides.
//!
//! ```text
//! keys   what there is, and of what form       watch   all of it, and every change
//! live   live keys, many in a transaction      keepalive   leases, all over one stream
//! ```

mod error;
pub(crate) mod keepalive;
pub(crate) mod keys;
pub(crate) mod live;
pub(crate) mod presence;
pub(crate) mod watch;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use std::{fmt, fs};

pub(crate) use error::StoreError;
use etcd_client::{
    BalancedChannelBuilder, Certificate, Channel, Client, Compare, CompareOp, ConnectOptions,
    Identity, TlsOptions, Txn, TxnOp,
};
use keys::{Folder, Kind};
pub(crate) use live::BATCH;
use tokio::sync::mpsc;
use tonic::transport::Channel as Plain;
use wanglou_api::identity::Name;

use crate::config::Etcd;
use crate::fleet::leases::LeaseId;
use crate::fleet::orders::Known;
use crate::fleet::placement::{Change, Outcome};

/// Time for an answer, but to a watch.
const PATIENCE: Duration = Duration::from_secs(5);
/// From one ping to the next, and time for its answer: a member that hangs is left for another.
const PING: Duration = Duration::from_secs(2);

/// A way to etcd, over whichever of its members answers.
#[derive(Clone)]
pub(crate) struct Store {
    client: Client,
    /// The same way, for what the client does not know.
    channel: Plain,
    folder: Folder,
    replica: Name,
}

/// Keeps a copy of the channel that it makes.
struct Keep<'c>(&'c mut Option<Plain>);

impl BalancedChannelBuilder for Keep<'_> {
    type Error = etcd_client::Error;

    fn balanced_channel(
        self,
        buffer_size: usize,
    ) -> Result<(Channel, EndpointUpdater), Self::Error> {
        let (channel, updates) = Plain::balance_channel(buffer_size);
        *self.0 = Some(channel.clone());
        Ok((Channel::Tonic(channel), updates))
    }
}

/// How etcd is to be talked to.
pub(crate) fn options(etcd: &Etcd) -> Result<ConnectOptions, StoreError> {
    let options = ConnectOptions::new()
        .with_connect_timeout(PING)
        .with_keep_alive(PING, PING)
        .with_keep_alive_while_idle(true)
        .with_require_leader(true);
    if etcd.authorities.as_os_str().is_empty() {
        return Ok(options);
    }
    let read = |path: &Path| {
        fs::read(path).map_err(|error| StoreError::File(path.display().to_string(), error))
    };
    let mut tls = TlsOptions::new().ca_certificate(Certificate::from_pem(read(&etcd.authorities)?));
    if !etcd.certificate.as_os_str().is_empty() {
        let (certificate, key) = (read(&etcd.certificate)?, read(&etcd.key)?);
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    Ok(options.with_tls(tls))
}

/// What became of new labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relabelled {
    /// They are there, at this revision.
    Done(i64),
    /// Somebody else was faster.
    Changed,
}

/// As `etcd_client` has it, without a name for others.
type EndpointUpdater = mpsc::Sender<
    tonic::transport::channel::Change<tonic::codegen::http::Uri, tonic::transport::Endpoint>,
>;

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.folder.as_str())
    }
}

impl Store {
    /// As the settings say; nobody needs to be there yet.
    pub(crate) async fn open(etcd: &Etcd, fleet: &Name, replica: Name) -> Result<Self, StoreError> {
        let mut channel = None;
        let options = options(etcd)?;
        let client = Client::connect_with_balanced_channel(
            &etcd.endpoints,
            Some(options),
            Keep(&mut channel),
        );
        let client = client.await?;
        let channel = channel.ok_or(StoreError::Answer("a channel"))?;
        Ok(Self { client, channel, folder: Folder::of(fleet), replica })
    }

    /// Where the fleet's keys are.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Makes a lease.
    pub(crate) async fn grant(&self, ttl_seconds: i64) -> Result<LeaseId, StoreError> {
        let mut leases = self.client.lease_client();
        Ok(in_time(leases.grant(ttl_seconds, None)).await?.id())
    }

    /// Ends one, with all keys that are on it.
    pub(crate) async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        let mut leases = self.client.lease_client();
        in_time(leases.revoke(lease)).await.map(drop)
    }

    /// Renews leases; those that are no more.
    pub(crate) async fn renew(&self, leases: Vec<LeaseId>) -> Result<Vec<LeaseId>, StoreError> {
        keepalive::renew(self.channel.clone(), leases, PATIENCE).await
    }

    /// Changes live keys: at most [`live::BATCH`], no host twice.
    pub(crate) async fn commit(&self, batch: &[Change]) -> Result<Vec<Outcome>, StoreError> {
        let mut kv = self.client.kv_client();
        tokio::time::timeout(PATIENCE, live::commit(&mut kv, &self.folder, &self.replica, batch))
            .await
            .map_err(|_| StoreError::Silent(PATIENCE.as_secs()))?
    }

    /// Gives a host other labels, if its record is still the one of this revision.
    pub(crate) async fn relabel(
        &self,
        host: &Name,
        labels: BTreeMap<String, String>,
        revision: i64,
    ) -> Result<Relabelled, StoreError> {
        let mut kv = self.client.kv_client();
        let key = self.folder.key(Kind::Host, host.as_str());
        let there = in_time(kv.get(key.clone(), None)).await?;
        let Some(pair) = there.kvs().first() else { return Ok(Relabelled::Changed) };
        let record: keys::Host = serde_json::from_slice(pair.value()).unwrap_or_default();
        let value = serde_json::to_vec(&keys::Host { labels, ..record })?;
        let is_same = Compare::mod_revision(key.clone(), CompareOp::Equal, revision);
        let txn = Txn::new().when([is_same]).and_then([TxnOp::put(key, value, None)]);
        let done = in_time(kv.txn(txn)).await?;
        let at = done.header().map_or(0, etcd_client::ResponseHeader::revision);
        Ok(if done.succeeded() { Relabelled::Done(at) } else { Relabelled::Changed })
    }

    /// Writes an order, if it is not there.
    pub(crate) async fn put_order(&self, known: &Known) -> Result<(), StoreError> {
        let mut kv = self.client.kv_client();
        let value = serde_json::to_vec(&keys::Order::of(known))?;
        let epoch = known.order.epoch.to_string();
        let signature = known.signed.signature.iter().take(8);
        let signature: String = signature.map(|byte| format!("{byte:02x}")).collect();
        let first = self.folder.key(Kind::Stop, &epoch);
        let second = self.folder.key(Kind::Stop, &format!("{epoch}-{signature}"));
        // Two replicas that did not hear each other may have given the same epoch to two orders: both count.
        let is_absent = Compare::create_revision(first.clone(), CompareOp::Equal, 0);
        let is_this = Compare::value(first.clone(), CompareOp::NotEqual, value.clone());
        let elsewhere =
            Txn::new().when([is_this]).and_then([TxnOp::put(second, value.clone(), None)]);
        let txn = Txn::new()
            .when([is_absent])
            .and_then([TxnOp::put(first, value, None)])
            .or_else([TxnOp::txn(elsewhere)]);
        in_time(kv.txn(txn)).await.map(drop)
    }

    /// Tells of the fleet's folder until etcd fails: from `known`, the revision that was told last, if there is one.
    pub(crate) async fn follow(
        &self,
        known: &mut Option<i64>,
        tell: mpsc::Sender<watch::Told>,
    ) -> Result<(), StoreError> {
        watch::follow(&self.client, &self.folder, known, &tell).await
    }
}

async fn in_time<T>(
    answer: impl Future<Output = Result<T, etcd_client::Error>>,
) -> Result<T, StoreError> {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    Ok(answer.map_err(|_| StoreError::Silent(PATIENCE.as_secs()))??)
}
