//! What is asked of etcd, in words of our own, so that the same questions can be put to a model of it.
//!
//! ```text
//! Store ──▶ Etcd ──▶ client   the real one
//!                └─▶ a model  in a simulation, where the network loses, doubles and reorders, and time is made
//! ```

use super::error::StoreError;
use crate::fleet::leases::LeaseId;

/// etcd, as far as it is used. Whoever asks says for how long to wait.
#[tonic::async_trait]
pub(crate) trait Etcd: Send + Sync {
    /// Makes a lease.
    async fn grant(&self, ttl_seconds: i64) -> Result<LeaseId, StoreError>;
    /// Ends one, with all keys that are on it.
    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError>;
    /// Renews leases; those that are no more.
    async fn renew(&self, leases: Vec<LeaseId>) -> Result<Vec<LeaseId>, StoreError>;
    /// Does all of it at one revision, or nothing.
    async fn txn(&self, txn: Txn) -> Result<Done, StoreError>;
    /// Reads keys from the first to before the last, in their order.
    async fn range(&self, range: Range) -> Result<Page, StoreError>;
    /// Tells what happens to keys with this prefix, from this revision on.
    async fn watch(&self, prefix: &str, from: i64) -> Result<Box<dyn Watching>, StoreError>;
    /// Where those of its members are that answer clients: URLs.
    async fn members(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }
    /// Asks this member too from now on.
    async fn ask_too(&self, _url: &str) -> Result<(), StoreError> {
        Ok(())
    }
    /// Asks it no more.
    async fn ask_no_more(&self, _url: &str) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A watch that is open.
#[tonic::async_trait]
pub(crate) trait Watching: Send {
    /// What is told next; `None`: nothing ever again. Nothing is lost if nobody waits for the answer.
    async fn next(&mut self) -> Result<Option<News>, StoreError>;
    /// Asks how far it is, which is told like everything else.
    async fn ask_progress(&mut self) -> Result<(), StoreError>;
}

/// If all comparisons hold one thing is done, else another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Txn {
    pub(crate) when: Vec<Compare>,
    pub(crate) then: Vec<Op>,
    pub(crate) otherwise: Vec<Op>,
}

/// What has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    /// There is no such key.
    Absent(String),
    /// The key is on this lease.
    OnLease(String, LeaseId),
    /// The key was put last at this revision.
    Revision(String, i64),
    /// The key holds anything but this.
    Differs(String, Vec<u8>),
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Put { key: String, value: Vec<u8>, lease: Option<LeaseId> },
    Delete(String),
    Txn(Txn),
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// Of etcd, after it.
    pub(crate) revision: i64,
    /// Whether all comparisons held.
    pub(crate) succeeded: bool,
    /// One for each operation that was done; `None` where that is no transaction.
    pub(crate) within: Vec<Option<Done>>,
}

/// Which keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
    pub(crate) limit: i64,
    /// As of this revision; 0: as of now.
    pub(crate) revision: i64,
}

/// Some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) revision: i64,
    pub(crate) pairs: Vec<Pair>,
    /// There are more than were asked for.
    pub(crate) more: bool,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) mod_revision: i64,
}

/// What a watch tells at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The watch is there.
    Created,
    /// What happened from the revision on that was asked for is no longer known.
    Compacted,
    /// etcd has ended it.
    Canceled,
    /// All up to this revision has been told.
    Progress(i64),
    /// What happened, in the order of revisions.
    Events {
        events: Vec<Event>,
        /// The last revision is not complete: the rest comes next.
        fragment: bool,
    },
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) revision: i64,
    pub(crate) key: Vec<u8>,
    /// `None`: it was deleted.
    pub(crate) put: Option<Pair>,
}

impl Txn {
    /// What is done whatever there is.
    pub(crate) fn always(then: Vec<Op>) -> Self {
        Self { then, ..Self::default() }
    }

    /// What is done if one thing holds.
    pub(crate) fn when(compare: Compare, then: Vec<Op>) -> Self {
        Self { when: vec![compare], then, otherwise: Vec::new() }
    }

    /// Another thing that has to hold.
    pub(crate) fn and(mut self, compare: Compare) -> Self {
        self.when.push(compare);
        self
    }

    /// What is done else.
    pub(crate) fn or_else(self, otherwise: Vec<Op>) -> Self {
        Self { otherwise, ..self }
    }
}

impl Op {
    /// Puts a key that is on no lease.
    pub(crate) fn put(key: String, value: Vec<u8>) -> Self {
        Self::Put { key, value, lease: None }
    }
}

impl Range {
    /// One key, as it is now.
    pub(crate) fn one(key: &str) -> Self {
        let from = key.as_bytes().to_vec();
        Self { to: next(from.clone()), from, limit: 1, revision: 0 }
    }
}

/// The next key of all: this one and a zero.
pub(crate) fn next(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}
