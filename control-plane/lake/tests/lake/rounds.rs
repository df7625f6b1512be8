//! What rounds of compaction make of what has landed.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use wanglou_api::sensor::v1::publish_request::Record;
use wanglou_lake::books::State;
use wanglou_lake::{Folder, Settings};

use crate::reading;
use crate::telling::{DAY, HOUR, MINUTE, NOW, Teller, open};

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

#[tokio::test]
async fn events_lie_in_their_hour_and_kind_also_in_a_folder() -> Result<()> {
    let root = tempfile::tempdir()?;
    let store: Arc<dyn ObjectStore> = Arc::new(Folder::open(root.path())?);
    let lake = open(&store, "one").await?;
    let mut host = Teller::new("a");
    lake.store(host.batch(&["exec", "fork", "exec"], NOW)).await?;
    lake.store(host.batch(&["exec"], NOW - HOUR)).await?;
    let round = lake.compact(NOW).await?;
    ensure!((round.objects, round.records, round.events) == (2, 2, 4), "{round:?}");
    let commit = format!("{:020}", 1);
    let day = "events/dt=2026-11-22";
    let wanted = [
        format!("{day}/hour=08/kind=exec/{commit}-0.parquet"),
        format!("{day}/hour=09/kind=exec/{commit}-1.parquet"),
        format!("{day}/hour=09/kind=fork/{commit}-2.parquet"),
    ];
    ensure!(reading::paths(&*store, "events").await? == wanted);
    ensure!(reading::published(&*store).await?.len() == 4);
    ensure!(!root.path().join("landing/one").exists(), "what is empty is taken away");
    Ok(())
}

#[tokio::test]
async fn what_two_replicas_have_taken_counts_once() -> Result<()> {
    let store = memory();
    let (one, two) = (open(&store, "one").await?, open(&store, "two").await?);
    let mut host = Teller::new("a");
    let record = host.batch(&["exec"], NOW);
    one.store(record.clone()).await?;
    two.store(record.clone()).await?;
    let round = one.compact(NOW).await?;
    ensure!((round.records, round.duplicates) == (1, 1), "{round:?}");
    two.store(record).await?;
    ensure!(two.snapshot().await?.batches().count() == 0, "it is in a file");
    let round = two.compact(NOW).await?;
    ensure!((round.objects, round.records, round.duplicates) == (1, 0, 1), "{round:?}");
    ensure!(reading::published(&*store).await? == host.told().collect());
    Ok(())
}

#[tokio::test]
async fn a_late_event_goes_to_its_own_hour_and_is_merged_when_all_is_quiet() -> Result<()> {
    let store = memory();
    let lake = open(&store, "one").await?;
    let mut host = Teller::new("a");
    lake.store(host.batch(&["exec", "exec"], NOW)).await?;
    lake.compact(NOW).await?;
    let later = NOW + 3 * HOUR;
    let mut late = host.batch(&["exec"], NOW - MINUTE);
    late.received_ms = later;
    lake.store(late).await?;
    ensure!(lake.compact(later).await?.merged == 0, "more may come");
    ensure!(reading::paths(&*store, "events").await?.len() == 2);
    let round = lake.compact(later + 11 * MINUTE).await?;
    ensure!(round.merged == 2, "{round:?}");
    ensure!(reading::paths(&*store, "events").await?.len() == 1);
    ensure!(reading::published(&*store).await? == host.told().collect());
    let file = lake.snapshot().await?.files.pop().context("a file")?;
    ensure!(file.rows == 3 && file.times.0 < file.times.1);
    Ok(())
}

#[tokio::test]
async fn many_small_files_become_one_while_their_hour_goes_on() -> Result<()> {
    let store = memory();
    let lake = open(&store, "one").await?;
    let mut host = Teller::new("a");
    for minute in (0..9).rev() {
        lake.store(host.batch(&["exec", "exec"], NOW - minute * MINUTE)).await?;
        lake.compact(NOW).await?;
    }
    ensure!(reading::paths(&*store, "events").await?.len() == 1);
    ensure!(reading::published(&*store).await? == host.told().collect());
    Ok(())
}

#[tokio::test]
async fn what_is_too_old_goes_with_its_books_and_volume() -> Result<()> {
    let store = memory();
    let lake = open(&store, "one").await?;
    let (mut a, mut b) = (Teller::new("a"), Teller::new("b"));
    lake.store(a.batch(&["exec"], NOW)).await?;
    lake.store(a.close(NOW)).await?;
    lake.store(b.batch(&["exec"], NOW + 20 * DAY)).await?;
    lake.compact(NOW + 20 * DAY).await?;
    ensure!(lake.volume().await?.len() == 2 && lake.books().await?.len() == 2);
    let round = lake.compact(NOW + 31 * DAY).await?;
    ensure!(round.expired == 1, "{round:?}");
    ensure!(reading::published(&*store).await? == b.told().collect());
    let (volume, books) = (lake.volume().await?, lake.books().await?);
    ensure!(volume.len() == 1 && volume[0].host == "b");
    ensure!(books.len() == 1 && books.keys().all(|run| run.host == "b"));
    Ok(())
}

#[tokio::test]
async fn books_have_what_has_landed_and_what_is_in_files() -> Result<()> {
    let store = memory();
    let lake = open(&store, "one").await?;
    let mut host = Teller::new("a");
    let state = async || -> Result<State> {
        let books = lake.books().await?;
        let books = books.values().next().context("a run")?;
        Ok(books.balance(false, NOW).state)
    };
    lake.store(host.batch(&["exec", "fork"], NOW)).await?;
    ensure!(state().await? == State::Open);
    lake.compact(NOW).await?;
    lake.store(host.lose("exec", NOW)).await?;
    lake.store(host.close(NOW)).await?;
    ensure!(state().await? == State::Balanced);
    lake.compact(NOW).await?;
    ensure!(state().await? == State::Balanced);
    let reopened = open(&store, "two").await?;
    ensure!(reopened.books().await? == lake.books().await?);
    Ok(())
}

#[tokio::test]
async fn a_damaged_object_costs_only_what_is_damaged_and_a_newer_one_is_left() -> Result<()> {
    let store = memory();
    let lake = open(&store, "one").await?;
    let mut host = Teller::new("a");
    for _ in 0..3 {
        lake.store(host.batch(&["exec"], NOW)).await?;
    }
    let paths = reading::paths(&*store, "landing").await?;
    let change = async |path: &str, change: fn(&mut Vec<u8>)| -> Result<()> {
        let path = Path::from(path);
        let mut object = store.get(&path).await?.bytes().await?.to_vec();
        change(&mut object);
        store.put(&path, object.into()).await?;
        Ok(())
    };
    change(&paths[0], |object| object.truncate(object.len() - 1)).await?;
    change(&paths[1], |object| object[6] = 9).await?;
    let round = lake.compact(NOW).await?;
    ensure!((round.objects, round.newer_objects, round.events) == (2, 1, 1), "{round:?}");
    ensure!(round.cut_bytes > 0);
    ensure!(reading::paths(&*store, "landing").await? == paths[1..2]);
    change(&paths[1], |object| object[6] = 1).await?;
    ensure!(lake.compact(NOW).await?.events == 1);
    let books = lake.books().await?;
    let missing = &books.values().next().context("a run")?.balance(false, NOW).missing;
    ensure!(*missing == [(1, 1)], "{missing:?}");
    Ok(())
}

#[tokio::test]
async fn a_batch_that_cannot_be_read_stays_missing() -> Result<()> {
    let store = memory();
    let lake = open(&store, "one").await?;
    let mut host = Teller::new("a");
    let mut bad = host.batch(&["exec"], NOW);
    if let Some(Record::Batch(batch)) = bad.record.as_mut().and_then(|told| told.record.as_mut()) {
        batch.content_bytes = 7;
    }
    lake.store(bad).await?;
    lake.store(host.batch(&["exec"], NOW)).await?;
    let round = lake.compact(NOW).await?;
    ensure!((round.damaged_records, round.events) == (1, 1), "{round:?}");
    let books = lake.books().await?;
    ensure!(books.values().all(|books| !books.has_number(1) && books.has_number(2)));
    Ok(())
}

#[tokio::test]
async fn a_round_takes_as_much_as_it_may_and_says_that_there_is_more() -> Result<()> {
    let store = memory();
    let lake = open(&store, "one").await?;
    let mut host = Teller::new("a");
    for _ in 0..3 {
        lake.store(host.batch(&["exec"], NOW)).await?;
    }
    let settings = Settings { round_bytes: 1, ..Settings::new("two") };
    let small = wanglou_lake::Lake::open(Arc::clone(&store), settings).await?;
    let mut rounds = Vec::new();
    for _ in 0..3 {
        rounds.push(small.compact(NOW).await?.is_behind);
    }
    ensure!(rounds == [true, true, false], "{rounds:?}");
    ensure!(reading::published(&*store).await? == host.told().collect());
    Ok(())
}

#[tokio::test]
async fn commits_are_folded_and_whoever_opens_later_knows_all_of_them() -> Result<()> {
    let store = memory();
    let (lake, slow) = (open(&store, "one").await?, open(&store, "slow").await?);
    let mut host = Teller::new("a");
    for _ in 0..70 {
        lake.store(host.batch(&["listen"], NOW)).await?;
        lake.compact(NOW).await?;
    }
    ensure!(reading::paths(&*store, "snapshot").await?.len() == 1);
    ensure!(reading::paths(&*store, "manifest").await?.len() < 64);
    for lake in [open(&store, "two").await?, slow] {
        let snapshot = lake.snapshot().await?;
        ensure!(reading::snapshot(&*store, &snapshot).await? == host.told().collect());
        ensure!(lake.volume().await?[0].events == 70);
    }
    Ok(())
}
