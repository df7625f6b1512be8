//! What hosts tell, and what of it is in the lake: all that was answered, once, and nothing that cannot be true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::time::{sleep, timeout};
use wanglou_api::fleet::v1::run_balance::State;
use wanglou_api::fleet::v1::{ReadEventsRequest, ReconcileRunsRequest, RunBalance};
use wanglou_api::sensor::v1::Batch;
use wanglou_api::sensor::v1::publish_request::Record;
use wanglou_fleet_testkit::host::{event_reader, operator};
use wanglou_fleet_testkit::operator::seen;
use wanglou_fleet_testkit::teller::{Run, Teller};
use wanglou_fleet_testkit::{Host, Replica, Scene};

const SOON: Duration = Duration::from_secs(60);

async fn replica(scene: &Scene, id: &str, lake: &Path) -> Result<Replica> {
    let settings = [
        ("lake.location", json!(lake)),
        ("lake.flush_milliseconds", json!(100)),
        ("lake.compact_seconds", json!(1)),
    ];
    scene.replica(id, &settings).await
}

async fn runs(scene: &Scene, replica: &Replica) -> Result<Vec<RunBalance>> {
    let mut events = event_reader(scene.pki(), &replica.address()).await?;
    let mut answers = events.reconcile_runs(ReconcileRunsRequest::default()).await?.into_inner();
    let mut runs = Vec::new();
    while let Some(answer) = answers.message().await? {
        runs.extend(answer.runs);
        if answer.complete {
            return Ok(runs);
        }
    }
    anyhow::bail!("the answer has no end")
}

/// Waits until a run is in a state, and says how it stands.
async fn becomes(scene: &Scene, replica: &Replica, host: &str, state: State) -> Result<RunBalance> {
    let start = Instant::now();
    loop {
        let runs = runs(scene, replica).await?;
        if let Some(run) = runs.iter().find(|run| run.host == host && run.state() == state) {
            return Ok(run.clone());
        }
        ensure!(start.elapsed() < SOON, "{runs:#?}");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_stored_whatever_dies_after_it() -> Result<()> {
    let (scene, lake) = (Scene::one().await?, tempfile::tempdir()?);
    let mut one = replica(&scene, "one", lake.path()).await?;
    let two = replica(&scene, "two", lake.path()).await?;
    let mut run = Run::of("web", 1);
    let first: Vec<_> =
        (0..20).map(|_| Record::Batch(run.batch(&["fork", "exec", "exec", "end"]))).collect();
    let mut teller = Teller::connect(scene.pki(), &one.address(), "web").await?;
    teller.tell_all(first.clone()).await?;
    one.process.kill()?;
    // Whoever had no answer tells it again, elsewhere: here even what was answered.
    let mut teller = Teller::connect(scene.pki(), &two.address(), "web").await?;
    let second = (0..20).map(|_| Record::Batch(run.batch(&["exec"]))).collect::<Vec<_>>();
    teller.tell_all(first.into_iter().chain(second)).await?;
    becomes(&scene, &two, "web", State::Open).await?;
    teller.tell_all([run.closed()]).await?;
    let balance = becomes(&scene, &two, "web", State::Balanced).await?;
    ensure!(balance.stored == *run.produced(), "{balance:#?}");
    ensure!(balance.stored["exec"] == 60 && balance.last_number == 40, "{balance:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lies_is_refused_counted_and_shown_and_others_are_not() -> Result<()> {
    let (scene, lake) = (Scene::one().await?, tempfile::tempdir()?);
    let one = replica(&scene, "one", lake.path()).await?;
    let _control = Host::connect(scene.pki(), &one.address(), "liar", "a").await?;
    let mut liar = Teller::connect(scene.pki(), &one.address(), "liar").await?;
    let mut honest = Teller::connect(scene.pki(), &one.address(), "web").await?;
    let (mut run, mut other) = (Run::of("liar", 1), Run::of("web", 1));
    liar.tell_all([Record::Batch(run.batch(&["exec"]))]).await?;
    let truth = run.clone().batch(&["exec", "exec"]);
    let bomb = zstd::bulk::compress(&vec![0; 1 << 30], 19)?;
    let lies = [
        ("not a Zstandard frame", Batch { events: bomb, ..truth.clone() }),
        ("content_bytes", Batch { content_bytes: 1 << 30, ..truth.clone() }),
        ("not a Zstandard frame", Batch { events: vec![7; 5_000], ..truth.clone() }),
        (
            "the batch says 1 of exec, and has 2",
            Batch { counts: [("exec".into(), 1)].into(), ..truth.clone() },
        ),
        ("events of host \"web\"", Batch { run: Some(run.id()), ..other.clone().batch(&["exec"]) }),
        (
            "were produced",
            Batch { ledger: run.clone().batch(&["exec"; 9]).ledger, ..truth.clone() },
        ),
        ("less of exec", Batch { ledger: Some(Default::default()), ..truth.clone() }),
    ];
    let many = lies.len();
    for (reason, lie) in lies {
        liar.tell(Record::Batch(lie)).await?;
        let said = liar.answer().await?;
        ensure!(said.as_ref().is_err_and(|said| said.contains(reason)), "{reason}: {said:?}");
        honest.tell_all([Record::Batch(other.batch(&["exec"]))]).await?;
    }
    // It may tell the truth again.
    liar.tell_all([Record::Batch(truth)]).await?;
    // A number that goes back is no news.
    let back = Batch { number: 1, ..run.batch(&["fork"]) };
    liar.tell(Record::Batch(back)).await?;
    ensure!(liar.answer().await?.is_err_and(|said| said.contains("told on this stream before")));
    let metrics = one.metrics().await?;
    let refused = metrics["wanglou_control_plane_records_total{outcome=\"refused\"}"];
    ensure!(refused >= many as f64, "{refused}");
    let mut asks = operator(scene.pki(), &one.address()).await?;
    let shown = seen(&mut asks, "liar").await.context("it is known")?;
    ensure!(shown.refused_records >= many as u64, "{shown:?}");
    let web = becomes(&scene, &one, "web", State::Open).await?;
    ensure!(web.stored == *other.produced(), "{web:#?}");
    let liar = becomes(&scene, &one, "liar", State::Open).await?;
    ensure!(liar.stored["exec"] == 3 && !liar.stored.contains_key("fork"), "{liar:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_lake_takes_nothing_hosts_wait_and_nothing_is_missing() -> Result<()> {
    let (scene, folder) = (Scene::one().await?, tempfile::tempdir()?);
    let lake = folder.path().join("lake");
    let one = replica(&scene, "one", &lake).await?;
    let mut run = Run::of("web", 1);
    let mut teller = Teller::connect(scene.pki(), &one.address(), "web").await?;
    teller.tell_all([Record::Batch(run.batch(&["exec"]))]).await?;
    // Somebody puts a file where the folder was: whoever is root may write to any folder.
    let away = folder.path().join("away");
    fs::rename(&lake, &away)?;
    fs::write(&lake, "no folder")?;
    for _ in 0..10 {
        teller.tell(Record::Batch(run.batch(&["exec", "end"]))).await?;
    }
    ensure!(
        timeout(Duration::from_secs(3), teller.answer()).await.is_err(),
        "it is said to be stored"
    );
    // The control stream beside it works.
    let host = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    fs::remove_file(&lake)?;
    fs::rename(&away, &lake)?;
    for _ in 0..10 {
        teller.answer().await?.map_err(anyhow::Error::msg)?;
    }
    teller.tell_all([run.closed()]).await?;
    let balance = becomes(&scene, &one, "web", State::Balanced).await?;
    ensure!(balance.stored == *run.produced(), "{balance:#?}");
    drop(host);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_hears_of_all_replicas_once() -> Result<()> {
    let (scene, lake) = (Scene::one().await?, tempfile::tempdir()?);
    let one = replica(&scene, "one", lake.path()).await?;
    let two = replica(&scene, "two", lake.path()).await?;
    let mut here = Teller::connect(scene.pki(), &one.address(), "here").await?;
    let mut there = Teller::connect(scene.pki(), &two.address(), "there").await?;
    let mut follower = event_reader(scene.pki(), &one.address()).await?;
    let request = ReadEventsRequest {
        actions: vec!["exec".to_owned()],
        follow: true,
        ..ReadEventsRequest::default()
    };
    let mut answers = follower.read_events(request).await?.into_inner();
    let mut heard: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let (mut runs, start) = ([Run::of("here", 1), Run::of("there", 1)], Instant::now());
    // Until the replica that is asked has found the other one, what is told there is not heard here.
    while !["here", "there"].iter().all(|host| heard.get(*host).is_some_and(|it| it.len() > 20)) {
        here.tell_all([Record::Batch(runs[0].batch(&["fork", "exec"]))]).await?;
        there.tell_all([Record::Batch(runs[1].batch(&["exec", "end"]))]).await?;
        while let Ok(answer) = timeout(Duration::from_millis(100), answers.message()).await {
            for event in answer?.context("it has ended")?.events {
                let meta = event.event.as_ref().context("no event")?;
                ensure!(meta.action.as_deref() == Some("exec"), "{event:?}");
                let host = event.host.as_ref().and_then(|host| host.id.clone());
                let number = meta.sequence.context("no number")?;
                let is_new = heard.entry(host.context("no host")?).or_default().insert(number);
                ensure!(is_new, "{number} is told twice");
            }
        }
        ensure!(start.elapsed() < SOON, "{heard:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_a_lake_does_everything_else() -> Result<()> {
    let scene = Scene::one().await?;
    let one = scene.replica("one", &[("lake.location", json!(""))]).await?;
    let _host = Host::connect(scene.pki(), &one.address(), "web", "a").await?;
    let told = Teller::connect(scene.pki(), &one.address(), "web").await;
    let why = told.err().context("it takes telemetry")?.to_string();
    ensure!(why.contains("no lake"), "{why}");
    Ok(())
}
