//! etcd that stands still for a minute or has no room, and a replica that has slept through what it should have seen:
//! nobody is called lost who is not, everybody can be stopped, and all of it heals by itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::time::sleep;
use wanglou_api::fleet::v1::host::State;
use wanglou_api::fleet::v1::{GetOrderRequest, StopHostsRequest};
use wanglou_api::sensor::v1::goodbye::Reason;
use wanglou_fleet_testkit::etcd::Options;
use wanglou_fleet_testkit::host::operator;
use wanglou_fleet_testkit::operator::{Operator, becomes, seen, stays};
use wanglou_fleet_testkit::{Etcd, Fleet, Host, Scene};

const SOON: Duration = Duration::from_secs(60);
/// A second, and as much again for a busy machine.
const STOP: Duration = Duration::from_secs(2);
const LEASE: u64 = 10;

/// Stops all, and waits until each of these has heard it; the order's name.
async fn stop(operator: &mut Operator, hosts: &mut [&mut Host]) -> Result<String> {
    let start = Instant::now();
    let all = StopHostsRequest { all: true, ..StopHostsRequest::default() };
    let order = operator.stop_hosts(all).await?.into_inner();
    let epoch = order.name.trim_start_matches("orders/").parse::<u64>()?;
    for host in hosts {
        while host.order().await?.1.epoch != epoch {}
    }
    ensure!(start.elapsed() < STOP, "a stop took {:?}", start.elapsed());
    Ok(order.name)
}

/// Waits until etcd has an order.
async fn durable(operator: &mut Operator, name: &str) -> Result<()> {
    let start = Instant::now();
    loop {
        let request = GetOrderRequest { name: name.to_owned() };
        let order = operator.get_order(request).await?.into_inner();
        if order.durable {
            return Ok(());
        }
        ensure!(start.elapsed() < SOON, "{order:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until etcd says that this replica has a host, or that none has.
async fn held(scene: &Scene, host: &str, by: Option<&str>) -> Result<()> {
    let key = format!("/wanglou/blue/v1/live/{host}");
    let start = Instant::now();
    loop {
        let keys = scene.etcd.keys(&key).await?;
        let is_so = match (keys.get(&key), by) {
            (Some(value), Some(by)) => value.text.contains(&format!("\"replica\":\"{by}\"")),
            (there, by) => there.is_none() && by.is_none(),
        };
        if is_so {
            return Ok(());
        }
        ensure!(start.elapsed() < SOON, "{host} should be at {by:?}: {keys:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn a_minute_without_etcd_in_which_hosts_come_go_and_are_stopped() -> Result<()> {
    let mut scene = Scene::one().await?;
    let short = [("fleet.lease_seconds", json!(LEASE))];
    let (one, two) = (scene.replica("one", &short).await?, scene.replica("two", &short).await?);
    let both = [one.address(), two.address()];
    let mut operator = operator(scene.pki(), &both[1]).await?;
    let mut web = Host::connect(scene.pki(), &both[0], "web", "a").await?;
    let goes = Host::connect(scene.pki(), &both[0], "goes", "a").await?;
    let dies = Host::connect(scene.pki(), &both[0], "dies", "a").await?;
    let moves = Host::connect(scene.pki(), &both[0], "moves", "a").await?;
    for host in ["web", "goes", "dies", "moves"] {
        becomes(&mut operator, host, State::Alive, SOON).await?;
        held(&scene, host, Some("one")).await?;
    }
    scene.etcd.member(0).stop()?;
    let (start, mut turn, mut new) = (Instant::now(), 0, Vec::new());
    goes.goodbye(Reason::Ended).await?;
    drop(dies);
    moves.goodbye(Reason::Moves).await?;
    let mut moved = Host::connect(scene.pki(), &both[1], "moves", "a").await?;
    while start.elapsed() < Duration::from_secs(60) {
        let id = format!("new-{turn}");
        let mut host = Host::connect(scene.pki(), &both[turn % 2], &id, "a").await?;
        stop(&mut operator, &mut [&mut web, &mut moved, &mut host]).await?;
        // Every other one goes again, before anybody has written anything of it.
        if turn % 2 == 0 {
            new.push((id, host));
        } else {
            host.goodbye(Reason::Ended).await?;
        }
        turn += 1;
        for host in ["web", "moves"] {
            let states = [State::Alive, State::Unknown, State::Suspect];
            stays(&mut operator, host, &states, Duration::from_secs(2)).await?;
        }
    }
    let last = stop(&mut operator, &mut [&mut web, &mut moved]).await?;
    scene.etcd.member(0).resume()?;
    let healed = Instant::now();
    durable(&mut operator, &last).await?;
    for (host, by) in [("web", Some("one")), ("moves", Some("two")), ("goes", None), ("dies", None)]
    {
        held(&scene, host, by).await?;
    }
    for (host, state) in [
        ("web", State::Alive),
        ("moves", State::Alive),
        ("goes", State::Gone),
        ("dies", State::Lost),
    ] {
        becomes(&mut operator, host, state, SOON).await?;
    }
    for (id, _) in &new {
        held(&scene, id, Some("one")).await?;
        becomes(&mut operator, id, State::Alive, SOON).await?;
    }
    println!("{turn} hosts came; all was well again after {:?}", healed.elapsed());
    stays(&mut operator, "web", &[State::Alive], Duration::from_secs(5)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_room_in_etcd_nobody_gets_lost_and_it_heals_once_there_is_some() -> Result<()> {
    let options = Options { quota_bytes: Some(16 << 20), ..Options::default() };
    let scene = Scene { etcd: Etcd::start(options).await?, fleet: Fleet::new("blue")? };
    // A lease for each host: whoever comes needs one that there is no room for.
    let settings = [("fleet.lease_seconds", json!(LEASE)), ("fleet.hosts_per_lease", json!(1))];
    let (mut one, mut two) =
        (scene.replica("one", &settings).await?, scene.replica("two", &settings).await?);
    let mut at_one = operator(scene.pki(), &one.address()).await?;
    let mut operator = operator(scene.pki(), &two.address()).await?;
    let mut web = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    let goes = Host::connect(scene.pki(), &one.address(), "goes", "a").await?;
    let dies = Host::connect(scene.pki(), &one.address(), "dies", "a").await?;
    for host in ["web", "goes", "dies"] {
        becomes(&mut operator, host, State::Alive, SOON).await?;
        held(&scene, host, Some("one")).await?;
    }
    scene.etcd.fill().await?;
    let mut new = Host::connect(scene.pki(), &one.address(), "new", "a").await?;
    // It is seen where it is.
    becomes(&mut at_one, "new", State::Alive, SOON).await?;
    // Leases are renewed all the same: that is no write.
    stays(&mut operator, "web", &[State::Alive], Duration::from_secs(LEASE + 5)).await?;
    stays(&mut at_one, "new", &[State::Alive], Duration::from_secs(1)).await?;
    let told = one.process.told()?;
    ensure!(told.contains("[WL5103]"), "it says nothing of it: {told}");
    let order = stop(&mut operator, &mut [&mut web, &mut new]).await?;
    goes.goodbye(Reason::Ended).await?;
    drop(dies);
    for (host, state) in [("goes", State::Gone), ("dies", State::Lost)] {
        becomes(&mut operator, host, state, SOON).await?;
    }
    let request = GetOrderRequest { name: order.clone() };
    ensure!(!operator.get_order(request).await?.into_inner().durable, "there was room for it");
    scene.etcd.free().await?;
    let healed = Instant::now();
    for (host, by) in [("web", Some("one")), ("new", Some("one")), ("goes", None), ("dies", None)] {
        held(&scene, host, by).await?;
    }
    durable(&mut operator, &order).await?;
    println!("all was well again {:?} after there was room", healed.elapsed());
    for (host, state) in [("goes", State::Gone), ("dies", State::Lost), ("new", State::Alive)] {
        becomes(&mut operator, host, state, SOON).await?;
    }
    stays(&mut operator, "web", &[State::Alive], Duration::from_secs(3)).await?;
    ensure!(one.process.is_running() && two.process.is_running(), "one of them has ended");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_has_slept_takes_no_host_back_that_has_moved() -> Result<()> {
    let scene = Scene::one().await?;
    let short = [("fleet.lease_seconds", json!(LEASE))];
    let (one, two) = (scene.replica("one", &short).await?, scene.replica("two", &short).await?);
    let mut operator = operator(scene.pki(), &two.address()).await?;
    // One keeps its old stream, as a network that has swallowed its end does; the others have ended it.
    let _silent = Host::connect(scene.pki(), &one.address(), "silent", "a").await?;
    let web = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    let goes = Host::connect(scene.pki(), &one.address(), "goes", "a").await?;
    for host in ["silent", "web", "goes"] {
        becomes(&mut operator, host, State::Alive, SOON).await?;
        held(&scene, host, Some("one")).await?;
    }
    one.process.stop()?;
    drop((web, goes));
    let mut moved = Vec::new();
    for host in ["silent", "web"] {
        moved.push(Host::connect(scene.pki(), &two.address(), host, "a").await?);
        held(&scene, host, Some("two")).await?;
    }
    // This one has moved as well, and said goodbye there.
    let gone = Host::connect(scene.pki(), &two.address(), "goes", "a").await?;
    held(&scene, "goes", Some("two")).await?;
    gone.goodbye(Reason::Ended).await?;
    becomes(&mut operator, "goes", State::Gone, SOON).await?;
    for host in ["silent", "web"] {
        stays(&mut operator, host, &[State::Alive], Duration::from_secs(LEASE / 2 + 2)).await?;
    }
    one.process.resume()?;
    let until = Instant::now() + Duration::from_secs(15);
    while Instant::now() < until {
        for (id, state) in [("silent", State::Alive), ("web", State::Alive), ("goes", State::Gone)]
        {
            let host = seen(&mut operator, id).await.with_context(|| format!("{id} is known"))?;
            let is_there = state != State::Alive || host.replica == "replicas/two";
            ensure!(host.state() == state && is_there, "{host:?}");
        }
        sleep(Duration::from_millis(50)).await;
    }
    for (host, by) in [("silent", Some("two")), ("web", Some("two")), ("goes", None)] {
        held(&scene, host, by).await?;
    }
    drop(moved);
    Ok(())
}
