//! The key of this replica itself: there for as long as it is.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::{Store, StoreError, keys};
use crate::clock;
use crate::fleet::leases::LeaseId;

/// Before something that failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps it there, whatever happens to etcd or to the lease, until `until` says [`Stage::Gone`].
pub(crate) async fn keep(
    store: Store,
    addresses: Vec<String>,
    ttl: Duration,
    mut until: watch::Receiver<Stage>,
) {
    let mut us = keys::Replica {
        addresses,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        since: clock::rfc3339(clock::now()),
        draining: false,
    };
    let mut lease = None;
    loop {
        let pause = match appear(&store, &us, &mut lease, ttl).await {
            Ok(()) => ttl / 3,
            Err(error) => {
                tracing::debug!(%error, "the replica's own key is not there");
                PAUSE
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            changed = until.changed() => {
                let stage = *until.borrow_and_update();
                if changed.is_err() || stage == Stage::Gone {
                    break;
                }
                us.draining = stage == Stage::Draining;
                // The value is put with a lease only.
                if let Some(old) = lease.take() {
                    let _ = appear(&store, &us, &mut lease, ttl).await;
                    let _ = store.revoke(old).await;
                }
            }
        }
    }
    if let Some(lease) = lease {
        // It ends by itself otherwise.
        let _ = store.revoke(lease).await;
    }
}

/// Where a replica is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It takes hosts.
    Serving,
    /// It sends them elsewhere.
    Draining,
    /// It is about to end.
    Gone,
}

/// Renews the key's lease; where that is gone, everything begins again.
async fn appear(
    store: &Store,
    us: &keys::Replica,
    lease: &mut Option<LeaseId>,
    ttl: Duration,
) -> Result<(), StoreError> {
    if let Some(id) = *lease {
        if store.renew(vec![id]).await?.is_empty() {
            return Ok(());
        }
        *lease = None;
    }
    let id = store.grant(ttl.as_secs() as i64).await?;
    store.put_replica(us, id).await?;
    *lease = Some(id);
    Ok(())
}
