//! Who is alive, suspect, lost, gone: as a replica sees it, and as the others do.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use wanglou_api::fleet::v1::host::State;
use wanglou_api::sensor::v1::goodbye::Reason;
use wanglou_api::sensor::v1::heartbeat;
use wanglou_fleet_testkit::host::operator;
use wanglou_fleet_testkit::operator::{becomes, seen};
use wanglou_fleet_testkit::{Host, Scene};

/// Waits until etcd has a key, or has not.
async fn written(scene: &Scene, key: &str, is: bool) -> Result<()> {
    let start = Instant::now();
    loop {
        let keys = scene.etcd.keys("/wanglou/blue/v1/").await?;
        if keys.contains_key(&format!("/wanglou/blue/v1/{key}")) == is {
            return Ok(());
        }
        ensure!(start.elapsed() < SOON, "{key} should be there: {is}, and there is {keys:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_host_lives_as_long_as_its_stream() -> Result<()> {
    let scene = Scene::one().await?;
    let replica = scene.replica("one", &[]).await?;
    let mut operator = operator(scene.pki(), &replica.address()).await?;
    let host = Host::connect(scene.pki(), &replica.address(), "web", "a").await?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;
    written(&scene, "live/web", true).await?;
    written(&scene, "host/web", true).await?;

    // It breaks, and comes back within the grace.
    drop(host);
    becomes(&mut operator, "web", State::Suspect, SOON).await?;
    let host = Host::connect(scene.pki(), &replica.address(), "web", "a").await?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;

    // It breaks, and does not.
    let broken = Instant::now();
    drop(host);
    becomes(&mut operator, "web", State::Lost, SOON).await?;
    ensure!(broken.elapsed() > Duration::from_secs(4), "it had no grace: {:?}", broken.elapsed());

    // It says goodbye.
    let host = Host::connect(scene.pki(), &replica.address(), "web", "a").await?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;
    host.goodbye(Reason::Ended).await?;
    becomes(&mut operator, "web", State::Gone, SOON).await?;
    written(&scene, "live/web", false).await?;
    written(&scene, "end/web", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_replica_knows_the_others_tell() -> Result<()> {
    let scene = Scene::one().await?;
    let (one, two) = (scene.replica("one", &[]).await?, scene.replica("two", &[]).await?);
    let mut operator = operator(scene.pki(), &two.address()).await?;
    let host = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    host.heartbeat(heartbeat::State::Stopped).await?;
    becomes(&mut operator, "web", State::Stopped, SOON).await?;
    let known = seen(&mut operator, "web").await.context("it is known")?;
    ensure!(known.kernel_release == "6.1.0" && known.replica == "replicas/one", "{known:?}");
    drop(host);
    becomes(&mut operator, "web", State::Suspect, SOON).await?;
    becomes(&mut operator, "web", State::Lost, SOON).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_moves_is_never_lost() -> Result<()> {
    let scene = Scene::one().await?;
    let (one, two) = (scene.replica("one", &[]).await?, scene.replica("two", &[]).await?);
    let mut operator = operator(scene.pki(), &one.address()).await?;
    let before = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    becomes(&mut operator, "web", State::Alive, SOON).await?;
    let after = Host::connect(scene.pki(), &two.address(), "web", "a").await?;
    let until = Instant::now() + Duration::from_secs(8);
    let mut moved = false;
    while Instant::now() < until {
        let host = seen(&mut operator, "web").await.context("it is known")?;
        ensure!(host.state() == State::Alive, "{host:?}");
        moved |= host.replica == "replicas/two";
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(moved, "it is still where it was");
    drop((before, after));
    Ok(())
}
