//! The books of runs, those that do not balance first.

use std::collections::{BTreeMap, HashSet};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use wanglou_api::fleet::v1::run_balance::State;
use wanglou_api::fleet::v1::{
    MissingBatches, ReconcileRunsRequest, ReconcileRunsResponse, RunBalance,
};
use wanglou_api::sensor::v1::{ActionCounts, RunId};
use wanglou_lake::books::{self, Balance, Run};

use super::{Stream, lake_status, timestamp};
use crate::ingest::{Ingest, balances};

/// Answers that wait to be written, and runs in one.
const WAITING: usize = 4;
const PAGE: usize = 100;

pub(super) async fn reconcile(
    ingest: &Ingest,
    request: ReconcileRunsRequest,
) -> Result<Stream<ReconcileRunsResponse>, Status> {
    let hosts: HashSet<String> = request.hosts.into_iter().collect();
    let mut runs = balances(&ingest.lake).await.map_err(|error| lake_status(&error))?;
    runs.retain(|(run, _)| hosts.is_empty() || hosts.contains(&run.host));
    let count = |state| runs.iter().filter(|(_, balance)| balance.state == state).count() as u64;
    let last = ReconcileRunsResponse {
        runs: Vec::new(),
        complete: true,
        runs_balanced: count(books::State::Balanced),
        runs_open: count(books::State::Open),
        runs_unbalanced: count(books::State::Unbalanced),
    };
    runs.retain(|(_, it)| !request.unbalanced_only || it.state == books::State::Unbalanced);
    runs.sort_by(|(run, one), (other, two)| (one.state, run).cmp(&(two.state, other)));
    let (to, answers) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut runs = runs.into_iter().peekable();
        while runs.peek().is_some() {
            let page = runs.by_ref().take(PAGE).map(|(run, balance)| of(run, balance)).collect();
            let page = ReconcileRunsResponse { runs: page, ..ReconcileRunsResponse::default() };
            if to.send(Ok(page)).await.is_err() {
                return;
            }
        }
        // Whoever has gone needs no sums.
        let _ = to.send(Ok(last)).await;
    });
    Ok(Box::pin(ReceiverStream::new(answers)))
}

fn of(run: Run, balance: Balance) -> RunBalance {
    let state = match balance.state {
        books::State::Balanced => State::Balanced,
        books::State::Open => State::Open,
        books::State::Unbalanced => State::Unbalanced,
    };
    let lost = balance.lost.into_iter().filter(|(_, counts)| counts.values().any(|it| *it > 0));
    let lost: BTreeMap<_, _> =
        lost.map(|(cause, counts)| (cause, ActionCounts { counts })).collect();
    let missing = balance.missing.into_iter().map(|(first_number, last_number)| MissingBatches {
        first_number,
        last_number,
        since_time: None,
        until_time: None,
    });
    RunBalance {
        host: run.host,
        run: Some(RunId { boot_id: run.boot, run_id: run.run }),
        state: state.into(),
        produced: balance.produced,
        stored: balance.stored,
        lost,
        in_flight: balance.in_flight,
        unexplained: balance.unexplained,
        missing: missing.collect(),
        last_number: balance.last_number,
        first_event_time: balance.times.map(|(first, _)| timestamp(first)),
        last_event_time: balance.times.map(|(_, last)| timestamp(last)),
        reason: balance.reason,
    }
}
