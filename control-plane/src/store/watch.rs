//! The fleet's folder as it is, and then every change of it, whatever happens to etcd meanwhile.
//!
//! A watch on a server that is dead may stay silent for ever: etcd is asked for its progress, and one that says nothing is
//! given up. What was compacted meanwhile is listed again.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use super::error::StoreError;
pub(crate) use super::etcd::Pair;
use super::etcd::{self, Etcd, News, Range, Watching};
use super::keys::Folder;

/// Keys of one answer to a list.
const PAGE: i64 = 5_000;
/// From one question for progress to the next, and time for an answer, whatever was asked.
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

/// Tells all of it until etcd fails; whoever calls tries again, from the revision that it has.
pub(super) async fn follow(
    etcd: &dyn Etcd,
    folder: &Folder,
    known: &mut Option<i64>,
    tell: &Sender<Told>,
) -> Result<(), StoreError> {
    loop {
        let revision = match *known {
            Some(revision) => revision,
            None => list(etcd, folder, tell).await?,
        };
        *known = Some(revision);
        let opened = timeout(PROGRESS, etcd.watch(folder.as_str(), revision + 1)).await;
        let mut watch = opened.map_err(|_| silent())??;
        read_until_compacted(&mut *watch, known, tell).await?;
        *known = None;
    }
}

async fn list(etcd: &dyn Etcd, folder: &Folder, tell: &Sender<Told>) -> Result<i64, StoreError> {
    say(tell, Told::Begin).await;
    let mut from = folder.as_str().as_bytes().to_vec();
    let to = after(folder.as_str().as_bytes());
    let mut revision = 0;
    loop {
        let range = Range { from, to: to.clone(), limit: PAGE, revision };
        let page = timeout(PROGRESS, etcd.range(range)).await.map_err(|_| silent())??;
        if revision == 0 {
            revision = page.revision;
        }
        let last = page.pairs.last().map(|pair| pair.key.clone());
        say(tell, Told::Listed(page.pairs)).await;
        match last {
            Some(key) if page.more => from = etcd::next(key),
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
    watch: &mut dyn Watching,
    known: &mut Option<i64>,
    tell: &Sender<Told>,
) -> Result<(), StoreError> {
    let mut asked = false;
    // Of one revision, which may come in parts.
    let mut parts: Vec<(Vec<u8>, Option<Pair>)> = Vec::new();
    let mut of = 0;
    loop {
        let news = match timeout(PROGRESS, watch.next()).await {
            Ok(news) => news?,
            Err(_) if asked => return Err(silent()),
            Err(_) => {
                watch.ask_progress().await?;
                asked = true;
                continue;
            }
        };
        asked = false;
        match news {
            None => return Err(StoreError::Answer("a watch")),
            Some(News::Compacted) => return Ok(()),
            Some(News::Canceled) => return Err(StoreError::Answer("a watch: it has ended it")),
            Some(News::Created) => {}
            Some(News::Progress(revision)) => {
                *known = (*known).max(Some(revision));
                say(tell, Told::Quiet).await;
            }
            Some(News::Events { events, fragment }) => {
                for event in events {
                    if event.revision != of && !parts.is_empty() {
                        say(tell, Told::Changed(of, std::mem::take(&mut parts))).await;
                        *known = Some(of);
                    }
                    of = event.revision;
                    parts.push((event.key, event.put));
                }
                if !parts.is_empty() && !fragment {
                    say(tell, Told::Changed(of, std::mem::take(&mut parts))).await;
                    *known = Some(of);
                }
            }
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
