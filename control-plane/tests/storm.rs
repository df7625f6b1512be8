//! A storm on this host, from the real sensor through a real replica into the lake: what is there is what was.

use std::collections::BTreeSet;
use std::env;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;
use wanglou_api::event::v1::Event;
use wanglou_api::fleet::v1::ReadEventsRequest;
use wanglou_api::fleet::v1::host::State;
use wanglou_api::sensor::v1::heartbeat;
use wanglou_fleet_testkit::host::{event_reader, operator};
use wanglou_fleet_testkit::operator::{balanced, becomes, seen};
use wanglou_fleet_testkit::{Replica, Scene, sensor};

const SOON: Duration = Duration::from_secs(120);
/// What a heartbeat tells is as old as that at most.
const HEARTBEAT: u64 = 1;

async fn events(
    scene: &Scene,
    replica: &Replica,
    action: &str,
    filter: &str,
) -> Result<Vec<Event>> {
    let mut reader = event_reader(scene.pki(), &replica.address()).await?;
    let request = ReadEventsRequest {
        actions: vec![action.to_owned()],
        filter: filter.to_owned(),
        max_events: 100_000,
        ..ReadEventsRequest::default()
    };
    let mut answers = reader.read_events(request).await?.into_inner();
    let mut events = Vec::new();
    while let Some(answer) = answers.message().await? {
        ensure!(!answer.truncated, "there are more than were asked for");
        events.extend(answer.events);
    }
    Ok(events)
}

/// So many processes; what each of them executed.
fn blow(processes: usize) -> Result<String> {
    let folder = env::var_os("WANGLOU_TESTKIT_BIN").context("WANGLOU_TESTKIT_BIN is not set")?;
    let storm = PathBuf::from(folder).join("storm");
    let output = Command::new(storm).args([processes.to_string(), "2".to_owned()]).output()?;
    ensure!(output.status.success(), "the storm has failed");
    let report: Value = serde_json::from_slice(&output.stdout)?;
    Ok(report["path"].as_str().context("no path")?.to_owned())
}

/// So many connections, one after the other; the port that they went to.
fn connect(connections: usize) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let taking = thread::spawn(move || (0..connections).all(|_| listener.accept().is_ok()));
    for _ in 0..connections {
        // Whoever listens closes first, so that no port of ours has to wait.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?);
    }
    ensure!(taking.join().is_ok_and(|all| all), "a connection was not taken");
    Ok(port)
}

async fn a_storm_of(processes: usize, connections: usize) -> Result<()> {
    if env::var_os("WANGLOU_SENSOR").is_none() || env::var_os("WANGLOU_TESTKIT_BIN").is_none() {
        eprintln!("skipped: WANGLOU_SENSOR and WANGLOU_TESTKIT_BIN are not set");
        return Ok(());
    }
    let scene = Scene::one().await?;
    let settings =
        [("lake.compact_seconds", json!(2)), ("fleet.heartbeat_seconds", json!(HEARTBEAT))];
    let replica = scene.replica("one", &settings).await?;
    let mut asks = operator(scene.pki(), &replica.address()).await?;
    let loopback = ["network.include_loopback=true", "sensor.ring_bytes=16777216"];
    let mut sensor = sensor::start_here(&scene.fleet, &replica.address(), &loopback)?;
    let id = sensor::machine_id()?;
    becomes(&mut asks, &id, State::Alive, SOON).await?;
    let start = Instant::now();
    loop {
        let beat = seen(&mut asks, &id).await.and_then(|host| host.heartbeat);
        if beat.is_some_and(|beat| beat.state() == heartbeat::State::Working) {
            break;
        }
        ensure!(start.elapsed() < SOON, "it does not work: {}", sensor.complaint());
        sleep(Duration::from_millis(50)).await;
    }
    // Whatever this test needs of the kernel is not to be lost with what it makes.
    let (path, port) = tokio::task::spawn_blocking(move || -> Result<_> {
        Ok((blow(processes)?, connect(connections)?))
    })
    .await??;
    sensor.terminate(SOON)?;

    let runs = balanced(scene.pki(), &replica, SOON).await?;
    let [run] = &runs[..] else { anyhow::bail!("there are {} runs", runs.len()) };
    ensure!(run.unexplained.is_empty() && run.missing.is_empty(), "{run:#?}");
    let lost = |action: &str| -> u64 {
        run.lost.values().filter_map(|counts| counts.counts.get(action)).sum()
    };
    for (action, filter, wanted) in [
        ("exec", format!("process.executable = '{path}' AND process.args_count > 3"), processes),
        ("connection_attempted", format!("destination.port = {port}"), connections),
        ("connection_accepted", format!("destination.port = {port}"), connections),
    ] {
        let found = events(&scene, &replica, action, &filter).await?;
        let numbers: BTreeSet<_> =
            found.iter().filter_map(|event| event.event.as_ref()?.sequence).collect();
        let missing = (wanted as u64).saturating_sub(found.len() as u64);
        println!("{action}: {} of {wanted}, {} lost by a known cause", found.len(), lost(action));
        ensure!(numbers.len() == found.len(), "some are there twice");
        ensure!(found.len() <= wanted, "{} of {wanted}", found.len());
        ensure!(missing <= lost(action), "{missing} are missing, and {} are lost", lost(action));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_storm_does_is_in_the_lake_or_lost_by_a_cause() -> Result<()> {
    a_storm_of(5_000, 2_000).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn what_a_storm_of_fifty_thousand_does_is_in_the_lake_or_lost_by_a_cause() -> Result<()> {
    a_storm_of(50_000, 20_000).await
}
