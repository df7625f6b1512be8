//! The real etcd, by its client.

use std::fs;
use std::path::Path;
use std::time::Duration;

use etcd_client as etcd;
use etcd_client::{
    BalancedChannelBuilder, Certificate, Channel, CompareOp, ConnectOptions, EventType, GetOptions,
    Identity, PutOptions, ResponseHeader, TlsOptions, TxnOp, TxnOpResponse, TxnResponse,
    WatchOptions, WatchResponse, WatchStream,
};
use tokio::sync::mpsc;
use tonic::transport::Channel as Plain;

use super::error::StoreError;
use super::etcd::{Compare, Done, Etcd, Event, News, Op, Page, Pair, Range, Txn, Watching};
use super::keepalive;
use crate::config;
use crate::fleet::leases::LeaseId;

/// From one ping to the next, and time for its answer: a member that hangs is left for another.
const PING: Duration = Duration::from_secs(2);

/// A way to etcd, over whichever of its members answers.
#[derive(Clone)]
pub(super) struct Client {
    client: etcd::Client,
    /// The same way, for what the client does not know.
    channel: Plain,
}

/// Keeps a copy of the channel that it makes.
struct Keep<'c>(&'c mut Option<Plain>);

impl BalancedChannelBuilder for Keep<'_> {
    type Error = etcd::Error;

    fn balanced_channel(
        self,
        buffer_size: usize,
    ) -> Result<(Channel, EndpointUpdater), Self::Error> {
        let (channel, updates) = Plain::balance_channel(buffer_size);
        *self.0 = Some(channel.clone());
        Ok((Channel::Tonic(channel), updates))
    }
}

/// As `etcd_client` has it, without a name for others.
type EndpointUpdater = mpsc::Sender<
    tonic::transport::channel::Change<tonic::codegen::http::Uri, tonic::transport::Endpoint>,
>;

/// How etcd is to be talked to.
pub(crate) fn options(etcd: &config::Etcd) -> Result<ConnectOptions, StoreError> {
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

impl Client {
    /// As the settings say; nobody needs to be there yet.
    pub(super) async fn open(etcd: &config::Etcd) -> Result<Self, StoreError> {
        let mut channel = None;
        let options = options(etcd)?;
        let client = etcd::Client::connect_with_balanced_channel(
            &etcd.endpoints,
            Some(options),
            Keep(&mut channel),
        );
        let client = client.await?;
        let channel = channel.ok_or(StoreError::Answer("a channel"))?;
        Ok(Self { client, channel })
    }
}

#[tonic::async_trait]
impl Etcd for Client {
    async fn grant(&self, ttl_seconds: i64) -> Result<LeaseId, StoreError> {
        Ok(self.client.lease_client().grant(ttl_seconds, None).await?.id())
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.client.lease_client().revoke(lease).await?;
        Ok(())
    }

    async fn renew(&self, leases: Vec<LeaseId>) -> Result<Vec<LeaseId>, StoreError> {
        keepalive::renew(self.channel.clone(), leases).await
    }

    async fn members(&self) -> Result<Vec<String>, StoreError> {
        let answer = self.client.cluster_client().member_list().await?;
        // One that learns yet, or has not begun, answers nothing.
        let members = answer.members().iter().filter(|member| !member.is_learner());
        Ok(members.flat_map(|member| member.client_urls().iter().cloned()).collect())
    }

    async fn ask_too(&self, url: &str) -> Result<(), StoreError> {
        Ok(self.client.add_endpoint(url).await?)
    }

    async fn ask_no_more(&self, url: &str) -> Result<(), StoreError> {
        Ok(self.client.remove_endpoint(url).await?)
    }

    async fn txn(&self, txn: Txn) -> Result<Done, StoreError> {
        Ok(done(&self.client.kv_client().txn(txn.into()).await?))
    }

    async fn range(&self, range: Range) -> Result<Page, StoreError> {
        let options = GetOptions::new().with_range(range.to).with_limit(range.limit);
        let options = options.with_revision(range.revision);
        let answer = self.client.kv_client().get(range.from, Some(options)).await?;
        Ok(Page {
            revision: answer.header().ok_or(StoreError::Answer("a list"))?.revision(),
            pairs: answer.kvs().iter().map(Pair::from).collect(),
            more: answer.more(),
        })
    }

    async fn watch(&self, prefix: &str, from: i64) -> Result<Box<dyn Watching>, StoreError> {
        let options = WatchOptions::new()
            .with_prefix()
            .with_start_revision(from)
            .with_progress_notify()
            .with_fragment();
        let stream = self.client.watch_client().watch(prefix, Some(options)).await?;
        Ok(Box::new(stream))
    }
}

#[tonic::async_trait]
impl Watching for WatchStream {
    async fn next(&mut self) -> Result<Option<News>, StoreError> {
        Ok(self.message().await?.as_ref().map(news))
    }

    async fn ask_progress(&mut self) -> Result<(), StoreError> {
        Ok(self.request_progress().await?)
    }
}

fn news(answer: &WatchResponse) -> News {
    if answer.compact_revision() > 0 {
        return News::Compacted;
    }
    if answer.canceled() {
        return News::Canceled;
    }
    if !answer.events().is_empty() {
        let events = answer.events().iter().filter_map(event).collect();
        return News::Events { events, fragment: answer.0.fragment };
    }
    if answer.created() {
        return News::Created;
    }
    News::Progress(answer.header().map_or(0, ResponseHeader::revision))
}

fn event(event: &etcd::Event) -> Option<Event> {
    let pair = event.kv()?;
    let put = (event.event_type() == EventType::Put).then(|| Pair::from(pair));
    Some(Event { revision: pair.mod_revision(), key: pair.key().to_vec(), put })
}

fn done(answer: &TxnResponse) -> Done {
    let within = |answer| match answer {
        TxnOpResponse::Txn(within) => Some(done(&within)),
        _ => None,
    };
    Done {
        revision: answer.header().map_or(0, ResponseHeader::revision),
        succeeded: answer.succeeded(),
        within: answer.op_responses().into_iter().map(within).collect(),
    }
}

impl From<&etcd::KeyValue> for Pair {
    fn from(pair: &etcd::KeyValue) -> Self {
        Self {
            key: pair.key().to_vec(),
            value: pair.value().to_vec(),
            mod_revision: pair.mod_revision(),
        }
    }
}

impl From<Txn> for etcd::Txn {
    fn from(txn: Txn) -> Self {
        let compares: Vec<_> = txn.when.into_iter().map(Into::into).collect();
        let then: Vec<_> = txn.then.into_iter().map(Into::into).collect();
        let otherwise: Vec<_> = txn.otherwise.into_iter().map(Into::into).collect();
        Self::new().when(compares).and_then(then).or_else(otherwise)
    }
}

impl From<Compare> for etcd::Compare {
    fn from(compare: Compare) -> Self {
        match compare {
            Compare::Absent(key) => Self::create_revision(key, CompareOp::Equal, 0),
            Compare::OnLease(key, lease) => Self::lease(key, CompareOp::Equal, lease),
            Compare::Revision(key, revision) => Self::mod_revision(key, CompareOp::Equal, revision),
            Compare::Differs(key, value) => Self::value(key, CompareOp::NotEqual, value),
        }
    }
}

impl From<Op> for TxnOp {
    fn from(op: Op) -> Self {
        match op {
            Op::Put { key, value, lease } => {
                Self::put(key, value, lease.map(|lease| PutOptions::new().with_lease(lease)))
            }
            Op::Delete(key) => Self::delete(key, None),
            Op::Txn(txn) => Self::txn(txn.into()),
        }
    }
}
