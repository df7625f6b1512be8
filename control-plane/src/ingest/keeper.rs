//! What the lake needs now and then: to be compacted, by one replica; to be reconciled, by each, so that each can say
//! what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use wanglou_lake::books::{Balance, Books, Run, State};
use wanglou_lake::{Error, Lake};

use crate::clock;
use crate::log::ids;

/// From one look at the books to the next.
const RECONCILE: Duration = Duration::from_secs(30);

/// What is known of all runs, as of a moment ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) balanced: u64,
    pub(crate) open: u64,
    pub(crate) unbalanced: u64,
    /// Events that nothing explains.
    pub(crate) unexplained: u64,
}

/// Knows how the books stand.
#[derive(Debug, Default)]
pub(crate) struct Keeper(Mutex<Sums>);

impl Keeper {
    /// As of a moment ago.
    pub(crate) fn sums(&self) -> Sums {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Sums> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps the lake for as long as it is polled; compacts only while that is `ours` to do.
pub(crate) async fn keep(
    lake: Arc<Lake>,
    keeper: Arc<Keeper>,
    ours: watch::Receiver<bool>,
    compact_every: Duration,
) {
    let mut reconcile_at = Instant::now();
    let mut told = BTreeSet::new();
    let mut is_behind = false;
    loop {
        // What is left of a round is taken by the next one at once.
        if !std::mem::take(&mut is_behind) {
            sleep(compact_every.min(RECONCILE)).await;
        }
        if *ours.borrow() {
            match lake.compact(clock::now()).await {
                Ok(round) => {
                    tracing::debug!(?round, "the lake was compacted");
                    is_behind = round.is_behind;
                }
                Err(error) => {
                    tracing::warn!(id = ids::NOT_COMPACTED.code, %error, "events are not compacted: it is tried again");
                }
            }
        }
        if Instant::now() >= reconcile_at {
            reconcile_at = Instant::now() + RECONCILE;
            match balances(&lake).await {
                Ok(balances) => *keeper.lock() = sum(&balances, &mut told),
                Err(error) => {
                    tracing::warn!(id = ids::NOT_RECONCILED.code, %error, "the books cannot be read: it is tried again");
                }
            }
        }
    }
}

/// How every run stands.
pub(crate) async fn balances(lake: &Lake) -> Result<Vec<(Run, Balance)>, Error> {
    Ok(settle(lake.books().await?, clock::now()))
}

/// A run after which another one of the same host has begun is over, whether or not it says so.
fn settle(books: BTreeMap<Run, Books>, now: i64) -> Vec<(Run, Balance)> {
    let mut last: BTreeMap<String, (u64, String, u64)> = BTreeMap::new();
    for (run, books) in &books {
        let began = (books.times().map_or(0, |(first, _)| first), run.boot.clone(), run.run);
        let newest = last.entry(run.host.clone()).or_insert_with(|| began.clone());
        *newest = began.max(newest.clone());
    }
    let is_newest = |run: &Run| {
        last.get(&run.host).is_some_and(|(_, boot, id)| *boot == run.boot && *id == run.run)
    };
    books
        .into_iter()
        .map(|(run, books)| {
            let balance = books.balance(!is_newest(&run), now);
            (run, balance)
        })
        .collect()
}

/// Counts them, and says once of each run that events of it are missing.
fn sum(balances: &[(Run, Balance)], told: &mut BTreeSet<Run>) -> Sums {
    let mut sums = Sums::default();
    for (run, balance) in balances {
        match balance.state {
            State::Balanced => sums.balanced += 1,
            State::Open => sums.open += 1,
            State::Unbalanced => sums.unbalanced += 1,
        }
        if balance.state == State::Unbalanced {
            let events = balance.unexplained.values().sum::<u64>();
            sums.unexplained += events;
            if told.insert(run.clone()) {
                let (host, reason) = (&run.host, &balance.reason);
                tracing::error!(id = ids::UNEXPLAINED.code, %host, boot = %run.boot, run = run.run, events, "{reason}: see wanglou reconcile");
            }
        }
    }
    told.retain(|run| {
        balances.iter().any(|(it, balance)| it == run && balance.state == State::Unbalanced)
    });
    sums
}
