//! A round of compaction: what has landed becomes Parquet, each record once; small files become larger ones; what is too
//! old goes. Each of these is a commit of its own: see [`commit`](crate::commit) for why nothing is lost or doubled
//! wherever a round ends.
//!
//! ```text
//! landing objects, the oldest first ─▶ taking ─▶ an arena for each hour and kind ─▶ Parquet
//!                                        │ known already, by the books of its run: dropped
//! ```
//!
//! A round takes whole objects until it has [`Settings::round_bytes`] of events; there is another one for the rest.

mod adapt;
mod merge;
pub(crate) mod taking;

use std::sync::Arc;

use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use tokio::task::spawn_blocking;

use crate::books;
use crate::lake::{Lake, Rounds};
use crate::manifest::{File, Manifest};
use crate::partition::Partition;
use crate::state::State;
use crate::{Error, commit, journal, landing};
use taking::{Taken, Taking};

const HOUR_MS: i64 = 3_600_000;
/// Books that don't balance are kept so many times as long as events: somebody may still ask, or tell.
const UNBALANCED: i64 = 4;

/// What a round came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Landing objects that were consumed.
    pub objects: u64,
    /// Records that were taken.
    pub records: u64,
    /// Records that had been taken before.
    pub duplicates: u64,
    /// Events that were written.
    pub events: u64,
    /// Records that nothing could be read from. Those of a batch stay missing in its run's books.
    pub damaged_records: u64,
    /// Bytes of landing objects that could not be trusted.
    pub cut_bytes: u64,
    /// Landing objects of a newer version of this program, which are left to it.
    pub newer_objects: u64,
    /// Files that were merged into others.
    pub merged: u64,
    /// Files that were too old.
    pub expired: u64,
    /// There is more to take.
    pub is_behind: bool,
}

impl Lake {
    /// Compacts, at ms since 1970. One process at a time does so; where two do, one of them fails and nothing is harmed.
    pub async fn compact(&self, now: i64) -> Result<Round, Error> {
        let mut rounds = self.rounds.lock().await;
        let state = self.refresh().await?;
        if rounds.finished != Some(state.commit) {
            commit::finish(&*self.store, &state.last).await?;
            rounds.finished = Some(state.commit);
        }
        commit::sweep(&*self.store, state.commit).await?;
        let mut round = self.take(state, now, &mut rounds).await?;
        for (partition, files) in merge::choose(&*self.refresh().await?, now) {
            round.merged += self.merge(partition, files, now, &mut rounds).await?;
        }
        if rounds.expired_at.is_none_or(|at| now - at >= HOUR_MS) {
            round.expired = self.expire(now, &mut rounds).await?;
            rounds.expired_at = Some(now);
        }
        Ok(round)
    }

    async fn take(&self, state: Arc<State>, now: i64, rounds: &mut Rounds) -> Result<Round, Error> {
        let mut manifest = Manifest::new(state.commit + 1, now);
        let mut taking = Taking::new(state);
        for object in landing::list(&*self.store).await? {
            if taking.bytes >= self.settings.round_bytes {
                taking.round.is_behind = true;
                break;
            }
            let Some(bytes) = landing::read(&*self.store, &object.location).await? else {
                continue;
            };
            let taken;
            (taking, taken) = blocking(move || {
                let taken = taking.take(&bytes);
                (taking, taken)
            })
            .await?;
            match taken {
                Ok(()) => manifest.consumed.push(object.location.to_string()),
                Err(_) => taking.round.newer_objects += 1,
            }
        }
        taking.round.objects = manifest.consumed.len() as u64;
        manifest.volumes = taking.volumes();
        let Taking { partitions, books, round, .. } = taking;
        if manifest.consumed.is_empty() {
            return Ok(round);
        }
        for (partition, Taken { arena, batches }) in partitions {
            let (rows, times) = (arena.rows(), arena.times());
            let file = blocking(move || arena.encode()).await??;
            let batches = taking::ranges(&batches);
            self.stage(&mut manifest, partition, file, rows, times, batches).await?;
        }
        manifest.runs = books;
        self.commit(manifest, rounds).await?;
        Ok(round)
    }

    async fn merge(
        &self,
        partition: Partition,
        files: Vec<File>,
        now: i64,
        rounds: &mut Rounds,
    ) -> Result<u64, Error> {
        let mut manifest = Manifest::new(self.refresh().await?.commit + 1, now);
        let mut contents = Vec::new();
        for file in &files {
            let path = Path::from(file.path.as_str());
            let content = landing::read(&*self.store, &path).await?;
            let commit = manifest.commit;
            let missing = || Error::Missing { path: file.path.clone(), commit };
            contents.push(content.ok_or_else(missing)?);
        }
        let Some(merged) = blocking(move || merge::merge(contents)).await?? else { return Ok(0) };
        let rows = files.iter().map(|file| file.rows).sum();
        let first = files.iter().map(|file| file.times.0).min().unwrap_or(0);
        let last = files.iter().map(|file| file.times.1).max().unwrap_or(0);
        self.stage(&mut manifest, partition, merged, rows, (first, last), Vec::new()).await?;
        let count = files.len() as u64;
        manifest.removed = files.into_iter().map(|file| file.path).collect();
        self.commit(manifest, rounds).await?;
        Ok(count)
    }

    /// Removes what is older than it is to be kept.
    async fn expire(&self, now: i64, rounds: &mut Rounds) -> Result<u64, Error> {
        let kept_ms = i64::from(self.settings.retention_days) * 24 * HOUR_MS;
        let state = self.refresh().await?;
        let mut manifest = Manifest::new(state.commit + 1, now);
        let is_old = |file: &&File| {
            file.partition().is_some_and(|partition| now - partition.end_ms() >= kept_ms)
        };
        let old = state.files.values().filter(is_old);
        manifest.removed = old.map(|file| file.path.clone()).collect();
        for run in state.runs.values() {
            let kept_ms = match run.books.balance(false, now).state {
                books::State::Balanced => kept_ms,
                _ => kept_ms * UNBALANCED,
            };
            if now.saturating_sub(run.heard) > kept_ms {
                manifest.forgotten.push(run.run.clone());
            }
        }
        drop(state);
        let count = manifest.removed.len() as u64;
        if count > 0 || !manifest.forgotten.is_empty() {
            manifest.volumes_from = (now - kept_ms).div_euclid(HOUR_MS);
            self.commit(manifest, rounds).await?;
        }
        Ok(count)
    }

    async fn stage(
        &self,
        manifest: &mut Manifest,
        partition: Partition,
        file: Vec<u8>,
        rows: u64,
        times: (i64, i64),
        batches: Vec<(usize, u64, u64)>,
    ) -> Result<(), Error> {
        let path = manifest.add(partition, &file, rows, times, batches);
        let put = self.store.put(&path, Bytes::from(file).into()).await;
        put.map(drop).map_err(Error::store("write", &path))
    }

    async fn commit(&self, manifest: Manifest, rounds: &mut Rounds) -> Result<(), Error> {
        journal::write(&*self.store, &manifest).await?;
        // Others of this process may have read it already.
        let mut state = self.state.lock().await;
        if state.commit + 1 == manifest.commit {
            Arc::make_mut(&mut state).apply(manifest.clone());
        }
        let state = Arc::clone(&state);
        commit::finish(&*self.store, &manifest).await?;
        rounds.finished = Some(manifest.commit);
        match state.commit == manifest.commit {
            true => journal::fold(&*self.store, &state).await,
            false => Ok(()),
        }
    }
}

/// Runs what takes a while where it keeps nobody waiting.
async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    spawn_blocking(run).await.map_err(|_| Error::Closed)
}
