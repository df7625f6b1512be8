//! Replicas take, one of them compacts, and another one looks, all at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use object_store::ObjectStore;
use wanglou_lake::Folder;

use crate::reading;
use crate::telling::{NOW, Teller, open};

const BATCHES: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_looks_sees_all_that_was_stored_before_and_nothing_twice() -> Result<()> {
    let root = tempfile::tempdir()?;
    let store: Arc<dyn ObjectStore> = Arc::new(Folder::open(root.path())?);
    let is_over = Arc::new(AtomicBool::new(false));
    let told = ["a", "b"].map(|host| tokio::spawn(tell(Arc::clone(&store), host)));
    let rounds = tokio::spawn(compact(Arc::clone(&store), Arc::clone(&is_over)));
    let looks = tokio::spawn(look(Arc::clone(&store), Arc::clone(&is_over)));
    let mut truth = BTreeSet::new();
    for told in told {
        truth.extend(told.await??);
    }
    is_over.store(true, Ordering::Relaxed);
    ensure!(rounds.await?? > 0 && looks.await?? > 0);
    open(&store, "last").await?.compact(NOW).await?;
    ensure!(reading::published(&*store).await? == truth);
    Ok(())
}

async fn tell(store: Arc<dyn ObjectStore>, host: &str) -> Result<Vec<(String, u64)>> {
    let lake = open(&store, host).await?;
    let mut teller = Teller::new(host);
    for _ in 0..BATCHES {
        lake.store(teller.batch(&["exec", "listen"], NOW)).await?;
    }
    Ok(teller.told().collect())
}

async fn compact(store: Arc<dyn ObjectStore>, is_over: Arc<AtomicBool>) -> Result<usize> {
    let lake = open(&store, "compacting").await?;
    let mut rounds = 0;
    while !is_over.load(Ordering::Relaxed) {
        lake.compact(NOW).await?;
        rounds += 1;
    }
    Ok(rounds)
}

/// Each look has at least what the one before had.
async fn look(store: Arc<dyn ObjectStore>, is_over: Arc<AtomicBool>) -> Result<usize> {
    let lake = open(&store, "looking").await?;
    let (mut looks, mut before) = (0, BTreeSet::new());
    while !is_over.load(Ordering::Relaxed) || looks == 0 {
        let snapshot = lake.snapshot().await?;
        match reading::snapshot(&*store, &snapshot).await {
            Ok(now) => {
                ensure!(before.is_subset(&now), "{} events are gone", before.len());
                (before, looks) = (now, looks + 1);
            }
            // One of its files was merged: another snapshot has what it was merged into.
            Err(error) if error.downcast_ref().is_some_and(is_gone) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(looks)
}

fn is_gone(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. })
}
