//! A host is switched off, with the real sensor on it: how soon an operator knows, by how it goes.

use std::env;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;
use tokio::sync::Mutex;
use wanglou_api::fleet::v1::host::State;
use wanglou_fleet_testkit::host::operator;
use wanglou_fleet_testkit::operator::{Operator, becomes};
use wanglou_fleet_testkit::process::Process;
use wanglou_fleet_testkit::{Cable, Replica, Scene, sensor};

/// One after the other: what is measured is a time.
static TURN: Mutex<()> = Mutex::const_new(());
const SOON: Duration = Duration::from_secs(60);

struct Switched {
    operator: Operator,
    sensor: Process,
    cable: Cable,
    _replica: Replica,
    _scene: Scene,
}

/// A fleet of one host; `None` where there is no sensor to try it with.
async fn on() -> Result<Option<Switched>> {
    if env::var_os("WANGLOU_SENSOR").is_none() {
        eprintln!("skipped: WANGLOU_SENSOR is not set, and the host of this test is a real sensor");
        return Ok(None);
    }
    let scene = Scene::one().await?;
    let cable = Cable::new(scene.fleet.folder())?;
    let listen = [("control.listen", json!(cable.address()))];
    let replica = scene.replica("one", &listen).await?;
    let mut operator = operator(scene.pki(), &cable.address().to_string()).await?;
    let sensor = sensor::start(&scene.fleet, "web", &cable)?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;
    written(&replica).await?;
    Ok(Some(Switched { operator, sensor, cable, _replica: replica, _scene: scene }))
}

/// Waits until etcd has it: one that goes before has never been there.
async fn written(replica: &Replica) -> Result<()> {
    const WRITTEN: &str = "wanglou_control_plane_hosts_written_total{outcome=\"committed\"}";
    let start = Instant::now();
    while replica.metrics().await?.get(WRITTEN).is_none_or(|hosts| *hosts < 1.0) {
        ensure!(start.elapsed() < SOON, "etcd does not get the host");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A replica that has just begun cannot say for so long that another one has not got a suspect: etcd may have answered
/// nobody until a moment ago.
const OTHERS: Duration = Duration::from_secs(8);

/// Waits until the host is so; how long after `since`.
async fn is(operator: &mut Operator, state: State, since: Instant) -> Result<Duration> {
    becomes(operator, "web", state, SOON).await?;
    Ok(since.elapsed())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_sensor_is_killed_is_suspect_at_once_and_lost_after_its_grace() -> Result<()> {
    let _turn = TURN.lock().await;
    let Some(mut host) = on().await? else { return Ok(()) };
    tokio::time::sleep(OTHERS).await;
    let since = Instant::now();
    host.sensor.kill()?;
    let suspect = is(&mut host.operator, State::Suspect, since).await?;
    let lost = is(&mut host.operator, State::Lost, since).await?;
    println!("killed: suspect after {suspect:?}, lost after {lost:?}");
    ensure!(suspect < Duration::from_secs(1), "suspect after {suspect:?}");
    ensure!((5.0..6.0).contains(&lost.as_secs_f64()), "lost after {lost:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_cable_is_pulled_is_lost_after_two_pings_and_its_grace() -> Result<()> {
    let _turn = TURN.lock().await;
    let Some(mut host) = on().await? else { return Ok(()) };
    let since = Instant::now();
    host.cable.pull()?;
    let suspect = is(&mut host.operator, State::Suspect, since).await?;
    let lost = is(&mut host.operator, State::Lost, since).await?;
    println!("cable pulled: suspect after {suspect:?}, lost after {lost:?}");
    // The next ping is due in ten seconds at most, and is waited for as long.
    ensure!((10.0..21.0).contains(&suspect.as_secs_f64()), "suspect after {suspect:?}");
    ensure!((15.0..26.0).contains(&lost.as_secs_f64()), "lost after {lost:?}");
    let since = Instant::now();
    host.cable.plug()?;
    let alive = is(&mut host.operator, State::Alive, since).await?;
    println!("plugged in again: alive after {alive:?}");
    ensure!(host.sensor.is_running(), "the sensor has ended: {}", host.sensor.complaint());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_shut_down_is_gone_at_once() -> Result<()> {
    let _turn = TURN.lock().await;
    let Some(mut host) = on().await? else { return Ok(()) };
    let since = Instant::now();
    host.sensor.signal(rustix::process::Signal::TERM)?;
    let gone = is(&mut host.operator, State::Gone, since).await?;
    let status = host.sensor.wait(SOON)?;
    println!("shut down: gone after {gone:?}, ended after {:?} with {status}", since.elapsed());
    // Goodbye is the last thing that a sensor does: that takes as long as its worker takes to end.
    ensure!(gone < Duration::from_secs(3), "gone after {gone:?}");
    ensure!(status.success(), "it ended with {status}: {}", host.sensor.complaint());
    Ok(())
}
