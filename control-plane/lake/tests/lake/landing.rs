//! How records are taken.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use tokio::time::Instant;
use wanglou_lake::{Error, Folder, Lake, Settings};

use crate::reading;
use crate::stopping::Stopping;
use crate::telling::{NOW, Teller, open};

#[tokio::test(start_paused = true)]
async fn records_of_many_become_one_object_and_none_waits_longer_than_it_may() -> Result<()> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let lake = Arc::new(Lake::open(Arc::clone(&store), Settings::new("one")).await?);
    let start = Instant::now();
    let told = (0..100).map(|n| {
        let (lake, record) = (Arc::clone(&lake), Teller::new(&n.to_string()).batch(&["exec"], NOW));
        tokio::spawn(async move { lake.store(record).await })
    });
    for told in told.collect::<Vec<_>>() {
        told.await??;
    }
    let waited = start.elapsed();
    ensure!((Duration::from_secs(1)..Duration::from_millis(1_100)).contains(&waited), "{waited:?}");
    ensure!(reading::paths(&*store, "landing").await?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_store_that_fails_is_named_to_every_caller_and_asked_again() -> Result<()> {
    let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let stopped: Arc<dyn ObjectStore> = Arc::new(Stopping::after(Arc::clone(&memory), 0, true));
    let lake = open(&stopped, "one").await?;
    let record = Teller::new("a").batch(&["exec"], NOW);
    for _ in 0..2 {
        let error = lake.store(record.clone()).await.err().context("an error")?;
        ensure!(error.to_string().starts_with("cannot write landing/one/"), "{error}");
    }
    // The first was made all the same, and counts once.
    let lake = open(&memory, "one").await?;
    lake.store(record).await?;
    let round = lake.compact(NOW).await?;
    ensure!((round.objects, round.events, round.duplicates) == (2, 1, 1), "{round:?}");
    Ok(())
}

#[tokio::test]
async fn a_replica_that_starts_again_writes_over_nothing() -> Result<()> {
    let root = tempfile::tempdir()?;
    let store: Arc<dyn ObjectStore> = Arc::new(Folder::open(root.path())?);
    let mut host = Teller::new("a");
    for _ in 0..2 {
        let lake = open(&store, "one").await?;
        lake.store(host.batch(&["exec"], NOW)).await?;
    }
    ensure!(reading::paths(&*store, "landing").await?.len() == 2);
    Ok(())
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused() -> Result<()> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let usual = Settings::new("one");
    let wrong = [
        Settings { replica: "../two".to_owned(), ..usual.clone() },
        Settings { flush: Duration::from_secs(3), ..usual.clone() },
        Settings { retention_days: 0, ..usual.clone() },
        Settings { round_bytes: 0, ..usual },
    ];
    for settings in wrong {
        let refused = Lake::open(Arc::clone(&store), settings).await;
        ensure!(matches!(refused, Err(Error::Setting { .. })), "{refused:?}");
    }
    Ok(())
}
