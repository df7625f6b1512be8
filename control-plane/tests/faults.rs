//! What goes wrong with etcd, replicas and disks: nobody is called lost because we had a fault.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use wanglou_api::fleet::v1::host::State;
use wanglou_api::fleet::v1::{ListHostsRequest, StopHostsRequest};
use wanglou_api::sensor::v1::control_response::Message as Heard;
use wanglou_api::sensor::v1::goodbye::Reason;
use wanglou_fleet_testkit::host::operator;
use wanglou_fleet_testkit::operator::{becomes, seen, stays};
use wanglou_fleet_testkit::{Host, Scene};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_dies_and_its_hosts_are_unknown_until_they_are_elsewhere() -> Result<()> {
    let scene = Scene::one().await?;
    let short = [("fleet.lease_seconds", json!(10))];
    let (mut one, two) = (scene.replica("one", &short).await?, scene.replica("two", &short).await?);
    let mut operator = operator(scene.pki(), &two.address()).await?;
    let _moves = Host::connect(scene.pki(), &one.address(), "moves", "a").await?;
    let _stays = Host::connect(scene.pki(), &one.address(), "stays", "b").await?;
    for host in ["moves", "stays"] {
        becomes(&mut operator, host, State::Alive, SOON).await?;
    }
    one.process.kill()?;
    let _moved = Host::connect(scene.pki(), &two.address(), "moves", "a").await?;
    becomes(&mut operator, "stays", State::Unknown, SOON).await?;
    stays(&mut operator, "stays", &[State::Unknown], Duration::from_secs(8)).await?;
    stays(&mut operator, "moves", &[State::Alive], Duration::from_secs(1)).await?;
    let _back = Host::connect(scene.pki(), &two.address(), "stays", "b").await?;
    becomes(&mut operator, "stays", State::Alive, SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_lost_behind_our_back_is_repaired() -> Result<()> {
    let scene = Scene::one().await?;
    let one = scene.replica("one", &[]).await?;
    let two = scene.replica("two", &[]).await?;
    let mut operator = operator(scene.pki(), &two.address()).await?;
    let _host = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;
    let key = "/wanglou/blue/v1/live/web";
    let lease_of = async || -> Result<i64> {
        let keys = scene.etcd.keys(key).await?;
        Ok(keys.get(key).context("there is no live key")?.lease)
    };
    let start = Instant::now();
    let first = loop {
        match lease_of().await {
            Ok(lease) => break lease,
            Err(error) => ensure!(start.elapsed() < SOON, error),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    scene.etcd.client().await?.lease_client().revoke(first).await?;
    // Others may not have known for a moment, and never that it was lost.
    stays(&mut operator, "web", &[State::Alive, State::Unknown], Duration::from_secs(1)).await?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;
    ensure!(lease_of().await? != first, "it is on the lease that is gone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_etcd_nobody_gets_lost_and_everybody_can_be_stopped() -> Result<()> {
    let mut scene = Scene::one().await?;
    let short = [("fleet.lease_seconds", json!(10))];
    let (one, two) = (scene.replica("one", &short).await?, scene.replica("two", &short).await?);
    let mut operator = operator(scene.pki(), &two.address()).await?;
    let mut web = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;
    scene.etcd.member(0).stop()?;
    let states = [State::Alive, State::Unknown];
    stays(&mut operator, "web", &states, Duration::from_secs(20)).await?;
    let listed = operator.list_hosts(ListHostsRequest::default()).await?.into_inner();
    ensure!(listed.frozen_time.is_some(), "it is not said that etcd does not answer: {listed:?}");
    // Who comes meanwhile is seen where it is, and hears what everybody hears.
    let mut new = Host::connect(scene.pki(), &two.address(), "new", "b").await?;
    stays(&mut operator, "new", &[State::Alive], Duration::from_secs(1)).await?;
    let all = StopHostsRequest { all: true, ..StopHostsRequest::default() };
    operator.stop_hosts(all).await?;
    for host in [&mut web, &mut new] {
        host.order().await?;
    }
    scene.etcd.member(0).resume()?;
    for host in ["web", "new"] {
        becomes(&mut operator, host, State::Alive, SOON).await?;
    }
    stays(&mut operator, "web", &states, Duration::from_secs(5)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_of_three_dies() -> Result<()> {
    let mut scene = Scene::three().await?;
    let short = [("fleet.lease_seconds", json!(30))];
    let (one, two) = (scene.replica("one", &short).await?, scene.replica("two", &short).await?);
    let mut operator = operator(scene.pki(), &two.address()).await?;
    let _web = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;
    let leader = scene.etcd.leader().await?;
    scene.etcd.member(leader).kill()?;
    stays(&mut operator, "web", &[State::Alive], Duration::from_secs(15)).await?;
    let new = Host::connect(scene.pki(), &one.address(), "new", "b").await?;
    becomes(&mut operator, "new", State::Alive, SOON).await?;
    new.goodbye(Reason::Shutdown).await?;
    becomes(&mut operator, "new", State::Gone, SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_machines_that_call_themselves_the_same_are_told_apart() -> Result<()> {
    let scene = Scene::one().await?;
    let (one, two) = (scene.replica("one", &[]).await?, scene.replica("two", &[]).await?);
    let mut at_one = operator(scene.pki(), &one.address()).await?;
    let mut first = Host::connect(scene.pki(), &one.address(), "web", "first").await?;
    becomes(&mut at_one, "web", State::Alive, SOON).await?;
    // At the same replica: the first is asked, and answers.
    let mut second = Host::connect(scene.pki(), &one.address(), "web", "second").await?;
    loop {
        if let Heard::Probe(_) = first.hear().await? {
            break first.heartbeat(wanglou_api::sensor::v1::heartbeat::State::Working).await?;
        }
    }
    let start = Instant::now();
    while seen(&mut at_one, "web").await.context("it is known")?.duplicate_instance_ids
        != ["second"]
    {
        ensure!(start.elapsed() < SOON, "{:?}", seen(&mut at_one, "web").await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // At another replica: that one has the host from now on, and neither is lost.
    let mut third = Host::connect(scene.pki(), &two.address(), "web", "third").await?;
    let start = Instant::now();
    loop {
        let host = seen(&mut at_one, "web").await.context("it is known")?;
        ensure!(host.state() == State::Alive, "{host:?}");
        if host.duplicate_instance_ids.len() == 2 {
            break;
        }
        ensure!(start.elapsed() < SOON, "{host:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A stop reaches all of them.
    at_one.stop_hosts(StopHostsRequest { all: true, ..StopHostsRequest::default() }).await?;
    for host in [&mut first, &mut second, &mut third] {
        host.order().await?;
    }
    // Once the third is gone, the first is the host again.
    third.goodbye(Reason::Ended).await?;
    becomes(&mut at_one, "web", State::Alive, SOON).await?;
    stays(&mut at_one, "web", &[State::Alive], Duration::from_secs(3)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_told_to_end_sends_its_hosts_elsewhere() -> Result<()> {
    let scene = Scene::one().await?;
    let (mut one, two) = (scene.replica("one", &[]).await?, scene.replica("two", &[]).await?);
    let mut operator = operator(scene.pki(), &two.address()).await?;
    let mut web = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;
    let ending = tokio::task::spawn_blocking(move || one.terminate(Duration::from_secs(20)));
    let mut endpoints = Vec::new();
    loop {
        match web.hear().await? {
            Heard::Endpoints(told) => endpoints = told.addresses,
            Heard::Drain(_) => break,
            _ => {}
        }
    }
    ensure!(endpoints == [two.address()], "{endpoints:?}");
    web.goodbye(Reason::Moves).await?;
    let _web = Host::connect(scene.pki(), &two.address(), "web", "a").await?;
    stays(&mut operator, "web", &[State::Alive, State::Suspect], Duration::from_secs(3)).await?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;
    ensure!(ending.await??.success(), "it has not ended well");
    Ok(())
}
