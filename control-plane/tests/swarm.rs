//! Hosts by the hundred, or in the night by the thousand, and what an operator is told of them meanwhile: nobody is lost
//! who is not, and nobody is there who is not.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;
use wanglou_api::fleet::v1::{WatchHostsRequest, host};
use wanglou_fleet_testkit::host::operator;
use wanglou_fleet_testkit::swarm::Behaviour;
use wanglou_fleet_testkit::truth::{self, Allowed, Observation, State, check};
use wanglou_fleet_testkit::{Replica, Scene, Swarm};

/// One after the other: a machine that is busy with both is late for either.
static TURN: Mutex<()> = Mutex::const_new(());
const PATIENCE: Duration = Duration::from_secs(240);
const LEASE: u64 = 10;

/// Writes down all that a replica says of hosts until it is told that it is enough.
async fn observe(scene: &Scene, replica: &Replica) -> Result<Observer> {
    let mut operator = operator(scene.pki(), &replica.address()).await?;
    let mut said = operator.watch_hosts(WatchHostsRequest::default()).await?.into_inner();
    let (enough, mut until) = oneshot::channel();
    let seen = tokio::spawn(async move {
        let mut seen = Vec::new();
        loop {
            let answer = tokio::select! {
                answer = said.message() => answer,
                _ = &mut until => return seen,
            };
            let Ok(Some(answer)) = answer else { return seen };
            let at = truth::now();
            let id = |name: &str| name.trim_start_matches("hosts/").to_owned();
            seen.extend(answer.hosts.iter().map(|host| Observation {
                at,
                host: id(&host.name),
                state: state(host.state()),
            }));
            let gone = answer.removed_hosts.iter();
            seen.extend(gone.map(|name| Observation { at, host: id(name), state: State::Absent }));
        }
    });
    Ok(Observer { seen, enough })
}

struct Observer {
    seen: JoinHandle<Vec<Observation>>,
    enough: oneshot::Sender<()>,
}

fn state(state: host::State) -> State {
    match state {
        host::State::Alive | host::State::Stopped => State::There,
        host::State::Suspect => State::Suspect,
        host::State::Lost => State::Lost,
        host::State::Gone => State::Gone,
        host::State::Unknown | host::State::Unspecified => State::Unknown,
    }
}

/// Compares what was said with what was.
async fn compare(observer: Observer, swarm: &mut Swarm) -> Result<()> {
    // It may have ended by itself.
    let _ = observer.enough.send(());
    let said = observer.seen.await?;
    let allowed = Allowed {
        lag: Duration::from_secs(5),
        // A silent host is asked after 10 s and waited for 10 s; then it has its grace, and the machine its own pace.
        death: Duration::from_secs(40),
        arrival: Duration::from_secs(60),
    };
    let findings = check(&swarm.truth()?, &said, truth::now(), allowed);
    ensure!(findings.0.is_empty(), "{findings}");
    Ok(())
}

async fn a_replica_is_killed_with(hosts: usize) -> Result<()> {
    let _turn = TURN.lock().await;
    let scene = Scene::one().await?;
    let settings =
        [("fleet.lease_seconds", json!(LEASE)), ("control.handshakes_per_second", json!(100))];
    let mut one = scene.replica("one", &settings).await?;
    let two = scene.replica("two", &settings).await?;
    let both = [one.address(), two.address()];
    let mut swarm = Swarm::start(&scene.fleet, hosts, &both)?;
    let observer = observe(&scene, &two).await?;
    swarm.behave(0..hosts, Behaviour::Well, 80)?;
    swarm.until(PATIENCE, |report| report.welcome == hosts as u64).await?;
    one.process.kill()?;
    swarm.until(PATIENCE, |report| report.welcome < hosts as u64).await?;
    swarm.until(PATIENCE, |report| report.welcome == hosts as u64).await?;
    // What the dead one has left in etcd goes meanwhile.
    tokio::time::sleep(Duration::from_secs(LEASE + 5)).await;
    compare(observer, &mut swarm).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_lost_when_a_replica_is_killed() -> Result<()> {
    a_replica_is_killed_with(200).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn nobody_of_ten_thousand_is_lost_when_a_replica_is_killed() -> Result<()> {
    a_replica_is_killed_with(10_000).await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_goes_is_told_of_in_time_however_they_go() -> Result<()> {
    let _turn = TURN.lock().await;
    let scene = Scene::one().await?;
    let one = scene.replica("one", &[("fleet.lease_seconds", json!(LEASE))]).await?;
    let mut swarm = Swarm::start_with(&scene.fleet, 60, 20, &[one.address()], |_| ())?;
    let observer = observe(&scene, &one).await?;
    swarm.behave(0..60, Behaviour::Well, 50)?;
    swarm.until(PATIENCE, |report| report.welcome == 60).await?;
    swarm.behave(0..10, Behaviour::Silent, 100)?;
    swarm.behave(10..20, Behaviour::Goodbye, 100)?;
    swarm.behave(20..30, Behaviour::Flapping, 100)?;
    swarm.behave(30..40, Behaviour::Lying, 100)?;
    // All of a process at once, as when a host loses its power and its kernel says so.
    swarm.kill(2)?;
    tokio::time::sleep(Duration::from_secs(45)).await;
    compare(observer, &mut swarm).await
}
