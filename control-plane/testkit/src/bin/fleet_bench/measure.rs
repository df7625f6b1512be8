//! What is asked, and what it costs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use wanglou_api::fleet::v1::{
    CountHostsRequest, ListHostsRequest, PrepareStartRequest, StartHostsRequest, StopHostsRequest,
    WatchHostsRequest, WatchOrderRequest,
};
use wanglou_api::signing::Signer;
use wanglou_fleet_testkit::Replica;
use wanglou_fleet_testkit::operator::Operator;
use wanglou_fleet_testkit::truth;

/// When something began, and what replicas had cost by then.
pub(crate) struct Clock {
    wall: Instant,
    /// `CLOCK_MONOTONIC`, ns.
    began: u64,
    cpu: Duration,
}

impl Clock {
    pub(crate) fn start(replicas: &[Replica]) -> Result<Self> {
        Ok(Self { wall: Instant::now(), began: truth::now(), cpu: cpu(replicas)? })
    }

    pub(crate) fn began(&self) -> u64 {
        self.began
    }

    /// Time, and CPU time of all replicas.
    pub(crate) fn read(&self, replicas: &[Replica]) -> Result<(Duration, Duration)> {
        Ok((self.wall.elapsed(), cpu(replicas)?.saturating_sub(self.cpu)))
    }
}

fn cpu(replicas: &[Replica]) -> Result<Duration> {
    replicas.iter().map(|replica| Ok(replica.usage()?.cpu)).sum()
}

/// Bytes of all replicas.
pub(crate) fn resident(replicas: &[Replica]) -> Result<u64> {
    replicas.iter().map(|replica| Ok(replica.usage()?.resident)).sum()
}

/// How many hosts are in a state.
pub(crate) async fn counted(asks: &mut Operator, state: &str) -> Result<u32> {
    let request = CountHostsRequest { filter: None, group_by: "state".to_owned() };
    let counts = asks.count_hosts(request).await?.into_inner().counts;
    Ok(counts.get(state).copied().unwrap_or_default())
}

/// All pages.
pub(crate) async fn listed(asks: &mut Operator, hosts: usize) -> Result<()> {
    let mut request = ListHostsRequest { page_size: 1_000, ..ListHostsRequest::default() };
    let mut found = 0;
    loop {
        let page = asks.list_hosts(request.clone()).await?.into_inner();
        found += page.hosts.len();
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    ensure!(found == hosts, "{found} of {hosts} are listed");
    Ok(())
}

/// A watch, until it has told of all.
pub(crate) async fn watched(asks: &mut Operator, hosts: usize) -> Result<()> {
    let mut answers = asks.watch_hosts(WatchHostsRequest::default()).await?.into_inner();
    let mut found = 0;
    loop {
        let answer = answers.message().await?.context("the watch has ended")?;
        found += answer.hosts.len();
        if answer.complete {
            break;
        }
    }
    ensure!(found == hosts, "{found} of {hosts} are told of");
    Ok(())
}

/// Stops all; the epoch.
pub(crate) async fn stop(asks: &mut Operator) -> Result<u64> {
    let request = StopHostsRequest { all: true, ..StopHostsRequest::default() };
    let order = asks.stop_hosts(request).await?.into_inner().order;
    Ok(order.context("no order")?.epoch)
}

/// Starts all; the epoch.
pub(crate) async fn start(asks: &mut Operator, signer: &Signer) -> Result<u64> {
    let request = PrepareStartRequest { all: true, ..PrepareStartRequest::default() };
    let prepared = asks.prepare_start(request).await?.into_inner().order;
    let order = Some(signer.sign(prepared));
    let request = StartHostsRequest { order, request_id: String::new() };
    let order = asks.start_hosts(request).await?.into_inner().order;
    Ok(order.context("no order")?.epoch)
}

/// Until so many have done it; how long it took until as many had received it.
pub(crate) async fn progress(asks: &mut Operator, epoch: u64, hosts: u32) -> Result<Duration> {
    let began = Instant::now();
    let mut received = None;
    let name = format!("orders/{epoch}");
    let mut answers = asks.watch_order(WatchOrderRequest { name }).await?.into_inner();
    loop {
        let answer = answers.message().await?.context("the watch has ended")?;
        let progress = answer.order.and_then(|order| order.progress).unwrap_or_default();
        ensure!(progress.refused == 0, "{progress:?}");
        if progress.received >= hosts {
            received.get_or_insert(began.elapsed());
        }
        if progress.done >= hosts {
            return Ok(received.unwrap_or_else(|| began.elapsed()));
        }
    }
}
