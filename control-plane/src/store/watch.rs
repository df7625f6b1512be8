//! The fleet's folder as it is, and then every change of it, whatever happens to etcd meanwhile.
//!
//! A watch on a server that is dead may stay silent for ever: etcd is asked for its progress, and one that says nothing is
//! given up. What was compacted meanwhile is listed again.

use std::time::Duration;

use etcd_client::{Client, EventType, GetOptions, KeyValue, WatchOptions, WatchStream};
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use super::error::StoreError;
use super::keys::Folder;

/// Keys of one answer to a list.
const PAGE: i64 = 5_000;
/// From one question for progress to the next, and time for an answer.
const PROGRESS: Duration = Duration::from_secs(5);

/// What is told.
#[derive(Debug)]
pub(crate) enum Told {
    /// What was told before is not so any more: from here on all that there is.
    Begin,
    /// Keys that there are.
    Listed(Vec<Pair>),
    /// That was all, of this revision.
    Whole(i64),
    /// What changed in one revision; a value of `None` was deleted.
    Changed(i64, Vec<(Vec<u8>, Option<Pair>)>),
    /// Nothing has changed up to now.
    Quiet,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) mod_revision: i64,
}

impl From<&KeyValue> for Pair {
    fn from(pair: &KeyValue) -> Self {
        Self {
            key: pair.key().to_vec(),
            value: pair.value().to_vec(),
            mod_revision: pair.mod_revision(),
        }
    }
}

/// Tells all of it until etcd fails; whoever calls tries again, from the revision that it has.
pub(crate) async fn follow(
    client: &Client,
    folder: &Folder,
    known: &mut Option<i64>,
    tell: &Sender<Told>,
) -> Result<(), StoreError> {
    loop {
        let revision = match *known {
            Some(revision) => revision,
            None => list(client, folder, tell).await?,
        };
        *known = Some(revision);
        let options = WatchOptions::new()
            .with_prefix()
            .with_start_revision(revision + 1)
            .with_progress_notify()
            .with_fragment();
        let mut client = client.watch_client();
        let opened = timeout(PROGRESS, client.watch(folder.as_str(), Some(options))).await;
        let mut stream = opened.map_err(|_| silent())??;
        read_until_compacted(&mut stream, known, tell).await?;
        *known = None;
    }
}

async fn list(client: &Client, folder: &Folder, tell: &Sender<Told>) -> Result<i64, StoreError> {
    say(tell, Told::Begin).await;
    let mut from = folder.as_str().as_bytes().to_vec();
    let end = after(folder.as_str().as_bytes());
    let mut revision = 0;
    loop {
        let mut options = GetOptions::new().with_range(end.clone()).with_limit(PAGE);
        if revision > 0 {
            options = options.with_revision(revision);
        }
        let answer = client.kv_client().get(from, Some(options)).await?;
        if revision == 0 {
            revision = answer.header().ok_or(StoreError::Answer("a list"))?.revision();
        }
        let pairs: Vec<_> = answer.kvs().iter().map(Pair::from).collect();
        let last = pairs.last().map(|pair| pair.key.clone());
        say(tell, Told::Listed(pairs)).await;
        match last {
            // The next key of all: this one and a zero.
            Some(mut key) if answer.more() => {
                key.push(0);
                from = key;
            }
            _ => break,
        }
    }
    say(tell, Told::Whole(revision)).await;
    Ok(revision)
}

/// The first key that does not begin with this, as etcd's `GetPrefixRangeEnd` has it.
fn after(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            break;
        }
    }
    end
}

/// Until what would be told next has been compacted.
async fn read_until_compacted(
    stream: &mut WatchStream,
    known: &mut Option<i64>,
    tell: &Sender<Told>,
) -> Result<(), StoreError> {
    let mut asked = false;
    // Of one revision, which may come in parts.
    let mut parts: Vec<(Vec<u8>, Option<Pair>)> = Vec::new();
    let mut of = 0;
    loop {
        let answer = match timeout(PROGRESS, stream.message()).await {
            Ok(answer) => answer?,
            Err(_) if asked => return Err(silent()),
            Err(_) => {
                stream.request_progress().await?;
                asked = true;
                continue;
            }
        };
        let Some(answer) = answer else { return Err(StoreError::Answer("a watch")) };
        asked = false;
        if answer.compact_revision() > 0 {
            return Ok(());
        }
        if answer.canceled() {
            return Err(StoreError::Answer("a watch: it has ended it"));
        }
        for event in answer.events() {
            let Some(pair) = event.kv() else { continue };
            if pair.mod_revision() != of && !parts.is_empty() {
                say(tell, Told::Changed(of, std::mem::take(&mut parts))).await;
                *known = Some(of);
            }
            of = pair.mod_revision();
            let put = (event.event_type() == EventType::Put).then(|| Pair::from(pair));
            parts.push((pair.key().to_vec(), put));
        }
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        if !parts.is_empty() && !answer.0.fragment {
            say(tell, Told::Changed(of, std::mem::take(&mut parts))).await;
            *known = Some(of);
        } else if answer.events().is_empty() && !answer.created() {
            *known = (*known).max(Some(revision));
            say(tell, Told::Quiet).await;
        }
    }
}

/// A node ends with its process.
async fn say(to: &Sender<Told>, told: Told) {
    let _ = to.send(told).await;
}

fn silent() -> StoreError {
    StoreError::Silent(PROGRESS.as_secs())
}
