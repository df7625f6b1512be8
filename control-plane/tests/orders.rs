//! Stop and start: from an operator to every host, whatever does not work meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use prost::Message as _;
use serde_json::json;
use wanglou_api::fleet::v1::{
    GetOrderRequest, Order, PrepareStartRequest, StartHostsRequest, StopHostsRequest,
    WatchOrderRequest,
};
use wanglou_api::order::v1::order::Kind;
use wanglou_api::order::v1::{Order as Said, Selector, SignedOrder};
use wanglou_api::sensor::v1::Hello;
use wanglou_api::sensor::v1::order_receipt::Stage;
use wanglou_fleet_testkit::host::{hello, operator};
use wanglou_fleet_testkit::operator::Operator;
use wanglou_fleet_testkit::{Host, Scene};

fn of(hosts: &[&str]) -> Selector {
    let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
    Selector { hosts, ..Selector::default() }
}

async fn stop(operator: &mut Operator, hosts: &[&str]) -> Result<Order> {
    let request = StopHostsRequest {
        selector: Some(of(hosts)),
        all: hosts.is_empty(),
        reason: "a drill".to_owned(),
        request_id: String::new(),
    };
    Ok(operator.stop_hosts(request).await?.into_inner())
}

/// Signs what the replica has prepared, as an operator's program does.
async fn start(scene: &Scene, operator: &mut Operator) -> Result<Order> {
    let request = PrepareStartRequest { all: true, ..PrepareStartRequest::default() };
    let prepared = operator.prepare_start(request).await?.into_inner().order;
    let signed = scene.operator_signer()?.sign(prepared);
    let request = StartHostsRequest { order: Some(signed), request_id: String::new() };
    Ok(operator.start_hosts(request).await?.into_inner())
}

/// Waits until so many have done it, and says how it stands.
async fn done(operator: &mut Operator, name: &str, hosts: u32) -> Result<Order> {
    let start = Instant::now();
    loop {
        let order =
            operator.get_order(GetOrderRequest { name: name.to_owned() }).await?.into_inner();
        if order.progress.as_ref().is_some_and(|progress| progress.done == hosts) {
            return Ok(order);
        }
        ensure!(start.elapsed() < Duration::from_secs(60), "{order:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_reaches_every_host_and_both_answers_are_told() -> Result<()> {
    let scene = Scene::one().await?;
    let (one, two) = (scene.replica("one", &[]).await?, scene.replica("two", &[]).await?);
    let mut operator = operator(scene.pki(), &one.address()).await?;
    let mut web = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    let mut db = Host::connect(scene.pki(), &two.address(), "db", "b").await?;
    let order = stop(&mut operator, &[]).await?;
    for host in [&mut web, &mut db] {
        let (_, said) = host.order().await?;
        ensure!(
            said.kind() == Kind::Stop && said.author == "ops" && said.reason == "a drill",
            "{said:?}"
        );
        host.receipt(said.epoch, Stage::Received).await?;
    }
    let request = WatchOrderRequest { name: order.name.clone() };
    let mut watched = operator.watch_order(request).await?.into_inner();
    let mut progress = Vec::new();
    while progress.last().is_none_or(|(received, _)| *received < 2) {
        let now = watched.message().await?.and_then(|it| it.order?.progress).context("it ends")?;
        progress.push((now.received, now.done));
    }
    for host in [&web, &db] {
        host.receipt(1, Stage::Detached).await?;
    }
    // It ends by itself when there is nothing more to tell.
    while let Some(answer) = watched.message().await? {
        let now = answer.order.and_then(|it| it.progress).context("progress")?;
        progress.push((now.received, now.done));
    }
    ensure!(progress.last() == Some(&(2, 2)), "{progress:?}");
    let order = done(&mut operator, &order.name, 2).await?;
    ensure!(order.durable && order.progress.is_some_and(|it| it.silent_hosts.is_empty()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_needs_no_etcd_and_is_remembered_without_it() -> Result<()> {
    let mut scene = Scene::one().await?;
    let mut one = scene.replica("one", &[]).await?;
    let two = scene.replica("two", &[("replica.peers", json!([one.address()]))]).await?;
    let mut web = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    let mut db = Host::connect(scene.pki(), &two.address(), "db", "b").await?;
    scene.etcd.member(0).kill()?;
    let mut by_one = operator(scene.pki(), &one.address()).await?;
    let order = stop(&mut by_one, &[]).await?;
    ensure!(!order.durable, "it cannot be");
    let epoch = web.order().await?.1.epoch;
    ensure!(db.order().await?.1.epoch == epoch, "another one");
    // The replica that took it dies, and is started again: it has not forgotten.
    one.restart().await?;
    let mut web = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    ensure!(web.order().await?.1.epoch == epoch, "another one");
    // etcd is back: it has it too.
    scene.etcd.restart(0).await?;
    let mut by_one = operator(scene.pki(), &one.address()).await?;
    let start = Instant::now();
    while !by_one
        .get_order(GetOrderRequest { name: order.name.clone() })
        .await?
        .into_inner()
        .durable
    {
        ensure!(start.elapsed() < Duration::from_secs(60), "it is not durable");
    }
    let keys = scene.etcd.keys("/wanglou/blue/v1/stop/").await?;
    ensure!(keys.len() == 1, "{keys:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_an_operator_signed_ends_a_stop() -> Result<()> {
    let scene = Scene::one().await?;
    let one = scene.replica("one", &[]).await?;
    let mut operator = operator(scene.pki(), &one.address()).await?;
    let mut web = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    stop(&mut operator, &[]).await?;
    let (stopped, said) = web.order().await?;
    web.receipt(said.epoch, Stage::Detached).await?;

    // The control plane's own key is for stops.
    let request = PrepareStartRequest { all: true, ..PrepareStartRequest::default() };
    let prepared = operator.prepare_start(request.clone()).await?.into_inner().order;
    let forged = scene.stop_signer()?.sign(prepared.clone());
    let refused = operator
        .start_hosts(StartHostsRequest { order: Some(forged), request_id: String::new() })
        .await;
    ensure!(refused.is_err_and(|status| status.code() == tonic::Code::InvalidArgument));
    // What was signed by an operator, sent by somebody else in its name.
    let other = Said { author: "somebody".to_owned(), ..Said::decode(&*prepared)? };
    let other = scene.operator_signer()?.sign(other.encode_to_vec());
    let refused = operator
        .start_hosts(StartHostsRequest { order: Some(other), request_id: String::new() })
        .await;
    ensure!(refused.is_err_and(|status| status.code() == tonic::Code::InvalidArgument));
    // What was prepared before another order.
    let late = scene.operator_signer()?.sign(prepared);
    stop(&mut operator, &["db"]).await?;
    let refused = operator
        .start_hosts(StartHostsRequest { order: Some(late), request_id: String::new() })
        .await;
    ensure!(refused.is_err_and(|status| status.code() == tonic::Code::Aborted));

    start(&scene, &mut operator).await?;
    let (_, said) = web.order().await?;
    ensure!(said.kind() == Kind::Start, "{said:?}");
    // A host that shows the stop that it obeyed hears the start again; one that shows nothing too.
    for last_order in [Some(stopped), None] {
        let hello = Hello { last_order, ..hello("web") };
        let mut web = Host::connect_with(scene.pki(), &one.address(), "web", hello).await?;
        ensure!(web.order().await?.1.kind() == Kind::Start);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_has_lost_everything_learns_from_hosts() -> Result<()> {
    let scene = Scene::one().await?;
    let one = scene.replica("one", &[]).await?;
    let mut operator = operator(scene.pki(), &one.address()).await?;
    // Of a fleet whose etcd and replicas were set up anew.
    let said = Said {
        fleet: "blue".to_owned(),
        kind: Kind::Stop.into(),
        selector: Some(Selector::default()),
        epoch: 41,
        author: "ops".to_owned(),
        ..Said::default()
    };
    let shown = scene.stop_signer()?.sign(said.encode_to_vec());
    let lies = SignedOrder { signature: vec![7; 64], ..shown.clone() };
    for last_order in [lies, shown] {
        let hello = Hello { last_order: Some(last_order), ..hello("web") };
        let mut web = Host::connect_with(scene.pki(), &one.address(), "web", hello).await?;
        web.hears_nothing(Duration::from_millis(500)).await?;
    }
    let order = stop(&mut operator, &[]).await?;
    ensure!(order.name == "orders/42", "{order:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_stops_all_by_forgetting_to_say_whom() -> Result<()> {
    let scene = Scene::one().await?;
    let one = scene.replica("one", &[]).await?;
    let mut operator = operator(scene.pki(), &one.address()).await?;
    let status = match operator.stop_hosts(StopHostsRequest::default()).await {
        Ok(order) => bail!("{order:?}"),
        Err(status) => status,
    };
    ensure!(
        status.code() == tonic::Code::InvalidArgument && status.message().contains("all"),
        "{status}"
    );
    Ok(())
}
