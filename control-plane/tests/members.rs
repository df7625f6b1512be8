//! Members of etcd that come and go while replicas run.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use wanglou_api::fleet::v1::StopHostsRequest;
use wanglou_api::fleet::v1::host::State;
use wanglou_api::sensor::v1::goodbye::Reason;
use wanglou_fleet_testkit::host::operator;
use wanglou_fleet_testkit::operator::{becomes, stays};
use wanglou_fleet_testkit::{Host, Replica, Scene};

const SOON: Duration = Duration::from_secs(60);

/// Waits until a replica says that it asks so many members beside those of its settings.
async fn asks(replica: &Replica, members: usize) -> Result<()> {
    let start = Instant::now();
    loop {
        let told = replica.process.told()?;
        let last = told.lines().rev().find(|line| line.contains("[WL5106]"));
        if last.is_some_and(|line| line.matches("http://").count() == members) {
            return Ok(());
        }
        ensure!(start.elapsed() < SOON, "it does not ask {members} more: {last:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_follow_members_that_come_and_go() -> Result<()> {
    let mut scene = Scene::one().await?;
    let short = [("fleet.lease_seconds", json!(10))];
    let (one, two) = (scene.replica("one", &short).await?, scene.replica("two", &short).await?);
    let mut operator = operator(scene.pki(), &two.address()).await?;
    let mut web = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;
    // The settings of both name the first only.
    scene.etcd.join().await?;
    scene.etcd.join().await?;
    for replica in [&one, &two] {
        asks(replica, 2).await?;
    }
    scene.etcd.leave(0).await?;
    let gone = Instant::now();
    // Longer than a lease lasts, so that it has to be renewed at the others.
    stays(&mut operator, "web", &[State::Alive], Duration::from_secs(20)).await?;
    // What comes and goes is written, and what is ordered is too.
    let new = Host::connect(scene.pki(), &one.address(), "new", "b").await?;
    let took = becomes(&mut operator, "new", State::Alive, SOON).await?;
    println!("{:?} after the first has gone, a new host is there after {took:?}", gone.elapsed());
    let all = StopHostsRequest { all: true, ..StopHostsRequest::default() };
    let order = operator.stop_hosts(all).await?.into_inner();
    web.order().await?;
    let epoch = order.name.trim_start_matches("orders/").to_owned();
    let start = Instant::now();
    while !scene
        .etcd
        .keys(&format!("/wanglou/blue/v1/stop/{epoch}"))
        .await
        .is_ok_and(|it| !it.is_empty())
    {
        ensure!(start.elapsed() < SOON, "the order is not in etcd");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    new.goodbye(Reason::Ended).await?;
    becomes(&mut operator, "new", State::Gone, SOON).await?;
    Ok(())
}
