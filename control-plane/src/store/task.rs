//! What only one replica may do at a time: whoever holds the key does it, and whoever loses it stops.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::etcd::{Compare, Op, Range, Txn};
use super::keys::Kind;
use super::{Store, StoreError, in_time};
use crate::fleet::leases::LeaseId;

/// For how long a holder that has died holds it.
const TTL: Duration = Duration::from_secs(30);
/// From one renewal, or one attempt, to the next.
const PAUSE: Duration = Duration::from_secs(5);
/// After so long without a renewal somebody else may hold it.
const SURE: Duration = Duration::from_secs(20);

/// Tries to hold a task for as long as somebody wants to know whether it does.
pub(crate) async fn hold(store: Store, task: &'static str, ours: watch::Sender<bool>) {
    let (mut lease, mut sure_until) = (None, Instant::now());
    while !ours.is_closed() {
        match take(&store, task, &mut lease).await {
            Ok(true) => sure_until = Instant::now() + SURE,
            Ok(false) => sure_until = Instant::now(),
            Err(error) => tracing::debug!(%error, task, "nobody knows who does it"),
        }
        let is_ours = Instant::now() < sure_until;
        ours.send_if_modified(|was| std::mem::replace(was, is_ours) != is_ours);
        sleep(PAUSE).await;
    }
}

/// Whether it is ours, now.
async fn take(store: &Store, task: &str, lease: &mut Option<LeaseId>) -> Result<bool, StoreError> {
    if let Some(id) = *lease {
        if store.renew(vec![id]).await?.is_empty() {
            return Ok(true);
        }
        *lease = None;
    }
    let key = store.folder.key(Kind::Task, task);
    if !in_time(store.etcd.range(Range::one(&key))).await?.pairs.is_empty() {
        return Ok(false);
    }
    let id = store.grant(TTL.as_secs() as i64).await?;
    let absent = Compare::Absent(key.clone());
    let put = Op::Put { key, value: store.replica.as_str().into(), lease: Some(id) };
    let done = in_time(store.etcd.txn(Txn::when(absent, vec![put]))).await?;
    if done.succeeded {
        *lease = Some(id);
    } else {
        // It ends by itself otherwise.
        let _ = store.revoke(id).await;
    }
    Ok(done.succeeded)
}
