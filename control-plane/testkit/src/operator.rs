//! What operators see, for tests that wait for it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tonic::transport::Channel;
use wanglou_api::fleet::v1::fleet_service_client::FleetServiceClient;
use wanglou_api::fleet::v1::host::State;
use wanglou_api::fleet::v1::run_balance::State as Books;
use wanglou_api::fleet::v1::{GetHostRequest, Host, ReconcileRunsRequest, RunBalance};

use crate::host::event_reader;
use crate::{Pki, Replica};

/// An operator's way to a replica.
pub type Operator = FleetServiceClient<Channel>;

/// A host as a replica shows it, if it does.
pub async fn seen(operator: &mut Operator, id: &str) -> Option<Host> {
    let request = GetHostRequest { name: format!("hosts/{id}"), read_mask: None };
    operator.get_host(request).await.ok().map(tonic::Response::into_inner)
}

/// Waits until a host is so, at most for so long; how long it took.
///
/// # Errors
///
/// With how it is, if it does not get so.
pub async fn becomes(
    operator: &mut Operator,
    id: &str,
    state: State,
    most: Duration,
) -> Result<Duration> {
    let start = Instant::now();
    loop {
        let host = seen(operator, id).await;
        if host.as_ref().is_some_and(|host| host.state() == state) {
            return Ok(start.elapsed());
        }
        ensure!(start.elapsed() < most, "{id} is not {state:?} but {host:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Looks again and again that a host is in one of these states, for so long.
///
/// # Errors
///
/// With how it is, if it is in another.
pub async fn stays(
    operator: &mut Operator,
    id: &str,
    states: &[State],
    long: Duration,
) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < long {
        let host = seen(operator, id).await;
        let is_so = host.as_ref().is_some_and(|host| states.contains(&host.state()));
        ensure!(is_so, "after {:?} {id} is {host:?}", start.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Waits until there are runs, all of them are over and balance, at most for so long.
///
/// # Errors
///
/// With those that do not, or if the replica does not answer.
pub async fn balanced(pki: &Pki, replica: &Replica, most: Duration) -> Result<Vec<RunBalance>> {
    let start = Instant::now();
    loop {
        let mut reader = event_reader(pki, &replica.address()).await?;
        let request = ReconcileRunsRequest::default();
        let mut answers = reader.reconcile_runs(request).await?.into_inner();
        let mut runs = Vec::new();
        while let Some(answer) = answers.message().await? {
            runs.extend(answer.runs);
        }
        let left: Vec<_> = runs.iter().filter(|run| run.state() != Books::Balanced).collect();
        if !runs.is_empty() && left.is_empty() {
            return Ok(runs);
        }
        ensure!(start.elapsed() < most, "of {} runs {left:#?}", runs.len());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
