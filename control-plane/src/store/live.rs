//! Live keys of this replica's hosts, changed many at a time.
//!
//! A failed comparison voids a whole transaction, so each host is a transaction within one; a batch is decided host by
//! host, and committed in one revision.

use etcd_client::{
    Compare, CompareOp, KvClient, PutOptions, Txn, TxnOp, TxnOpResponse, TxnResponse,
};

use wanglou_api::identity::Name;

use super::error::StoreError;
use super::keys::{End, Folder, Host, Kind, Live};
use crate::fleet::leases::LeaseId;
use crate::fleet::placement::{Change, Here, Outcome};

/// Hosts in one transaction: etcd allows 128 operations, of which what is within counts too.
pub(crate) const BATCH: usize = 120;

/// Commits a batch; an outcome for each, in their order.
pub(crate) async fn commit(
    kv: &mut KvClient,
    folder: &Folder,
    replica: &Name,
    batch: &[Change],
) -> Result<Vec<Outcome>, StoreError> {
    let changes = batch.iter().map(|change| Ok(TxnOp::txn(one(folder, replica, change)?)));
    let changes = changes.collect::<Result<Vec<_>, StoreError>>()?;
    let answer = kv.txn(Txn::new().and_then(changes)).await?;
    let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
    let outcome = |answer: TxnOpResponse| match answer {
        TxnOpResponse::Txn(within) if !within.succeeded() && !is_done_otherwise(&within) => {
            Outcome::Taken
        }
        _ => Outcome::Done(revision),
    };
    let outcomes: Vec<_> = answer.op_responses().into_iter().map(outcome).collect();
    if outcomes.len() == batch.len() {
        Ok(outcomes)
    } else {
        Err(StoreError::Answer("a transaction"))
    }
}

/// Whether what stands behind the comparison that failed was done.
fn is_done_otherwise(within: &TxnResponse) -> bool {
    let others = within.op_responses();
    others.iter().any(|it| matches!(it, TxnOpResponse::Txn(other) if other.succeeded()))
}

fn one(folder: &Folder, replica: &Name, change: &Change) -> Result<Txn, StoreError> {
    let host = change.host().as_str();
    let (live_key, end_key) = (folder.key(Kind::Live, host), folder.key(Kind::End, host));
    let put = |here: &Here, lease: LeaseId| -> Result<_, StoreError> {
        let live = Live {
            replica: replica.to_string(),
            session: here.session,
            instance: here.instance.clone(),
            serial: here.serial.clone(),
            since: here.since.clone(),
        };
        let on = PutOptions::new().with_lease(lease);
        let put = TxnOp::put(live_key.clone(), serde_json::to_vec(&live)?, Some(on));
        Ok([put, TxnOp::delete(end_key.clone(), None)])
    };
    Ok(match change {
        Change::Register { here, lease, .. } => {
            let [put, forget_end] = put(here, *lease)?;
            Txn::new().and_then([put, forget_end, enter(folder, host, &here.since)?])
        }
        Change::Repair { here, lease, .. } => {
            let absent = Compare::create_revision(live_key.clone(), CompareOp::Equal, 0);
            // An earlier repair may have been committed whose answer was lost.
            let ours = Compare::lease(live_key.clone(), CompareOp::Equal, *lease);
            let again = Txn::new().when([ours]).and_then(put(here, *lease)?);
            Txn::new().when([absent]).and_then(put(here, *lease)?).or_else([TxnOp::txn(again)])
        }
        Change::End { lease, ended, .. } => {
            let ours = Compare::lease(live_key.clone(), CompareOp::Equal, *lease);
            let absent = Compare::create_revision(live_key.clone(), CompareOp::Equal, 0);
            let end = End {
                replica: replica.to_string(),
                session: ended.session,
                goodbye: ended.goodbye,
                time: ended.time.clone(),
            };
            let put = TxnOp::put(end_key, serde_json::to_vec(&end)?, None);
            // Where its lease has taken the key away already, only the end is missing.
            let only_end = Txn::new().when([absent]).and_then([put.clone()]);
            Txn::new()
                .when([ours])
                .and_then([TxnOp::delete(live_key, None), put])
                .or_else([TxnOp::txn(only_end)])
        }
    })
}

/// Of a host that nobody knows, from now on somebody does.
fn enter(folder: &Folder, host: &str, now: &str) -> Result<TxnOp, StoreError> {
    let key = folder.key(Kind::Host, host);
    let record = Host { first_seen: now.to_owned(), ..Host::default() };
    let absent = Compare::create_revision(key.clone(), CompareOp::Equal, 0);
    let put = TxnOp::put(key, serde_json::to_vec(&record)?, None);
    Ok(TxnOp::txn(Txn::new().when([absent]).and_then([put])))
}
