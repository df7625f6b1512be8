//! Wherever a round ends, nobody sees an event twice, and the next round leaves all of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::reading;
use crate::stopping::Stopping;
use crate::telling::{DAY, HOUR, MINUTE, NOW, Teller, open};

type Events = BTreeSet<(String, u64)>;

/// A lake about to have all there is in one round: records of two replicas, some of them twice; an hour with too many
/// small files; one that is over. Also the events that it has.
async fn scene() -> Result<(InMemory, Events)> {
    let memory = InMemory::new();
    let store: Arc<dyn ObjectStore> = Arc::new(memory.clone());
    let (one, two) = (open(&store, "one").await?, open(&store, "two").await?);
    let (mut a, mut b) = (Teller::new("a"), Teller::new("b"));
    one.store(a.batch(&["exec", "end"], NOW - 2 * HOUR)).await?;
    one.compact(NOW - 2 * HOUR).await?;
    one.store(a.batch(&["end"], NOW - 2 * HOUR)).await?;
    one.compact(NOW - 2 * HOUR).await?;
    for minute in 0..8 {
        one.store(a.batch(&["exec"], NOW - 10 * MINUTE + minute)).await?;
        one.compact(NOW).await?;
    }
    for _ in 0..3 {
        let record = a.batch(&["exec", "fork", "ledger"], NOW);
        two.store(record.clone()).await?;
        one.store(record).await?;
        two.store(b.batch(&["exec", "flow"], NOW - MINUTE)).await?;
    }
    two.store(b.lose("exec", NOW)).await?;
    one.store(b.close(NOW)).await?;
    Ok((memory, a.told().chain(b.told()).collect()))
}

/// Whatever a reader of the folders sees is true and there once, and a snapshot has all of it.
async fn check(store: &Arc<dyn ObjectStore>, truth: &Events) -> Result<()> {
    let published = reading::published(&**store).await?;
    ensure!(published.is_subset(truth), "events that never were");
    let snapshot = open(store, "three").await?.snapshot().await?;
    let seen = reading::snapshot(&**store, &snapshot).await?;
    ensure!(seen == *truth, "a snapshot has {} of {} events", seen.len(), truth.len());
    Ok(())
}

async fn recover(store: &Arc<dyn ObjectStore>, truth: &Events) -> Result<()> {
    let lake = open(store, "four").await?;
    lake.compact(NOW).await?;
    let published = reading::published(&**store).await?;
    ensure!(published == *truth, "{} of {} events are there", published.len(), truth.len());
    // What nobody has made part of a commit is swept by the round after.
    lake.compact(NOW).await?;
    for folder in ["landing", "staged"] {
        let left = reading::paths(&**store, folder).await?;
        ensure!(left.is_empty(), "{left:?}");
    }
    let runs = lake.books().await?;
    ensure!(runs.len() == 2);
    let a = runs.iter().find(|(run, _)| run.host == "a").context("the books of a")?.1;
    ensure!(a.balance(false, NOW).stored["exec"] == 12 && a.balance(false, NOW).missing.is_empty());
    let events: u64 = lake.volume().await?.iter().map(|volume| volume.events).sum();
    ensure!(events == truth.len() as u64, "the volume has {events}");
    Ok(())
}

#[tokio::test]
async fn a_round_that_stops_anywhere_loses_and_doubles_nothing() -> Result<()> {
    let (memory, truth) = scene().await?;
    for is_last_made in [false, true] {
        for changes in 0.. {
            let fork: Arc<dyn ObjectStore> = Arc::new(memory.fork());
            let stopping = Stopping::after(Arc::clone(&fork), changes, is_last_made);
            let store: Arc<dyn ObjectStore> = Arc::new(stopping.clone());
            let round = open(&store, "one").await?.compact(NOW).await;
            check(&fork, &truth).await.with_context(|| format!("after {changes} changes"))?;
            recover(&fork, &truth).await.with_context(|| format!("after {changes} changes"))?;
            if stopping.is_through() {
                ensure!(changes > 30 && round?.merged > 0, "all of it was tried");
                break;
            }
            ensure!(round.is_err(), "a round that fails says so");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_recovery_that_stops_is_recovered_from() -> Result<()> {
    let (memory, truth) = scene().await?;
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..30 {
        let fork: Arc<dyn ObjectStore> = Arc::new(memory.fork());
        let mut stops = Vec::new();
        for _ in 0..3 {
            stops.push(random.i64(0..30));
            let changes = stops[stops.len() - 1];
            let stopping = Stopping::after(Arc::clone(&fork), changes, random.bool());
            let store: Arc<dyn ObjectStore> = Arc::new(stopping);
            let _ = open(&store, "one").await?.compact(NOW).await;
            check(&fork, &truth).await.with_context(|| format!("after {stops:?} changes"))?;
        }
        recover(&fork, &truth).await.with_context(|| format!("after {stops:?} changes"))?;
    }
    Ok(())
}

/// Two compact at once, as one of them doesn't know yet that it is not the one any more.
#[tokio::test]
async fn of_two_who_compact_one_wins_and_nothing_is_harmed() -> Result<()> {
    let (memory, truth) = scene().await?;
    let store: Arc<dyn ObjectStore> = Arc::new(memory);
    let (one, two) = (open(&store, "one").await?, open(&store, "two").await?);
    let (first, second) = tokio::join!(one.compact(NOW), two.compact(NOW));
    ensure!(first.is_ok() || second.is_ok(), "{first:?}, {second:?}");
    recover(&store, &truth).await?;
    Ok(())
}

#[tokio::test]
async fn expiry_that_stops_is_done_by_the_next_round() -> Result<()> {
    let (memory, _) = scene().await?;
    let later = NOW + 31 * DAY;
    for changes in 0.. {
        let fork: Arc<dyn ObjectStore> = Arc::new(memory.fork());
        let stopping = Stopping::after(Arc::clone(&fork), changes, false);
        let store: Arc<dyn ObjectStore> = Arc::new(stopping.clone());
        let _ = open(&store, "one").await?.compact(later).await;
        open(&fork, "one").await?.compact(later).await?;
        let left = reading::paths(&*fork, "events").await?;
        ensure!(left.is_empty(), "after {changes} changes: {left:?}");
        if stopping.is_through() {
            break;
        }
    }
    Ok(())
}
