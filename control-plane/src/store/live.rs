//! Live keys of this replica's hosts, changed many at a time.
//!
//! A failed comparison voids a whole transaction, so each host is a transaction within one; a batch is decided host by
//! host, and committed in one revision.

use wanglou_api::identity::Name;

use super::error::StoreError;
use super::etcd::{Compare, Done, Etcd, Op, Txn};
use super::keys::{End, Folder, Host, Kind, Live};
use crate::fleet::leases::LeaseId;
use crate::fleet::placement::{Change, Here, Outcome};

/// Hosts in one transaction: etcd allows 128 operations, of which what is within counts too.
pub(crate) const BATCH: usize = 120;

/// Commits a batch; an outcome for each, in their order.
pub(super) async fn commit(
    etcd: &dyn Etcd,
    folder: &Folder,
    replica: &Name,
    batch: &[Change],
) -> Result<Vec<Outcome>, StoreError> {
    let changes = batch.iter().map(|change| Ok(Op::Txn(one(folder, replica, change)?)));
    let changes = changes.collect::<Result<Vec<_>, StoreError>>()?;
    let done = etcd.txn(Txn::always(changes)).await?;
    let outcome = |within: Option<Done>| match within {
        Some(within) if !within.succeeded && !is_done_otherwise(&within) => Outcome::Taken,
        _ => Outcome::Done(done.revision),
    };
    let outcomes: Vec<_> = done.within.into_iter().map(outcome).collect();
    if outcomes.len() == batch.len() {
        Ok(outcomes)
    } else {
        Err(StoreError::Answer("a transaction"))
    }
}

/// Whether what stands behind a comparison that failed was done.
fn is_done_otherwise(within: &Done) -> bool {
    within.within.iter().flatten().any(|other| other.succeeded || is_done_otherwise(other))
}

/// Does it if the key is on any of these leases, and else what comes last.
fn on_any(key: &str, leases: &[LeaseId], then: &[Op], last: Option<Txn>) -> Option<Txn> {
    leases.iter().rev().fold(last, |otherwise, lease| {
        let on_it = Txn::when(Compare::OnLease(key.to_owned(), *lease), then.to_vec());
        Some(on_it.or_else(otherwise.map(Op::Txn).into_iter().collect()))
    })
}

fn one(folder: &Folder, replica: &Name, change: &Change) -> Result<Txn, StoreError> {
    let host = change.host().as_str();
    let (live_key, end_key) = (folder.key(Kind::Live, host), folder.key(Kind::End, host));
    let absent = Compare::Absent(live_key.clone());
    let put = |here: &Here, lease: LeaseId| -> Result<_, StoreError> {
        let live = Live {
            replica: replica.to_string(),
            session: here.session,
            instance: here.instance.clone(),
            serial: here.serial.clone(),
            since: here.since.clone(),
        };
        let (key, value) = (live_key.clone(), serde_json::to_vec(&live)?);
        let put = Op::Put { key, value, lease: Some(lease) };
        Ok(vec![put, Op::Delete(end_key.clone())])
    };
    Ok(match change {
        Change::Register { here, lease, .. } => {
            let mut then = put(here, *lease)?;
            then.push(enter(folder, host, &here.since)?);
            Txn::always(then)
        }
        Change::Repair { here, lease, ours, .. } => {
            let put = put(here, *lease)?;
            // An earlier repair may have been committed whose answer was lost, or none have been needed.
            let again = on_any(&live_key, ours, &put, None);
            // We have deleted the end when we registered the host: if it is there, somebody else had the host since, and
            // knows how that ended.
            let repair = Txn::when(absent, put).and(Compare::Absent(end_key.clone()));
            repair.or_else(again.map(Op::Txn).into_iter().collect())
        }
        Change::Withdraw { revision, .. } => {
            let is_same = Compare::Revision(live_key.clone(), *revision);
            Txn::when(is_same, vec![Op::Delete(live_key)])
        }
        Change::End { ours, ended, .. } => {
            let end = End {
                replica: replica.to_string(),
                session: ended.session,
                goodbye: ended.goodbye,
                time: ended.time.clone(),
            };
            let put = Op::put(end_key.clone(), serde_json::to_vec(&end)?);
            // Where its lease has taken the key away already, only the end is missing.
            let only_end = Txn::when(absent, vec![put.clone()]);
            let then = [Op::Delete(live_key.clone()), put];
            on_any(&live_key, ours, &then, Some(only_end)).unwrap_or_default()
        }
    })
}

/// Of a host that nobody knows, from now on somebody does.
fn enter(folder: &Folder, host: &str, now: &str) -> Result<Op, StoreError> {
    let key = folder.key(Kind::Host, host);
    let record = Host { first_seen: now.to_owned(), ..Host::default() };
    let put = Op::put(key.clone(), serde_json::to_vec(&record)?);
    Ok(Op::Txn(Txn::when(Compare::Absent(key), vec![put])))
}
