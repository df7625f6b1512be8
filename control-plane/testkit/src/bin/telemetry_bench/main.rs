//! What it costs to keep a fleet's events: from hosts' streams through one replica into Parquet, beside the same events as
//! lines of JSON through gzip.

mod baseline;
mod events;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::time::sleep;
use wanglou_api::sensor::v1::publish_request::Record;
use wanglou_fleet_testkit::teller::{Run, Teller};
use wanglou_fleet_testkit::{Replica, Scene};

use crate::events::Host;

/// Events of one batch.
const BATCH: usize = 500;
/// Batches of one host that have no answer yet.
const WINDOW: usize = 12;
/// For the lake to have compacted everything.
const PATIENCE: Duration = Duration::from_secs(600);

/// `telemetry_bench EVENTS HOSTS`.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: usize| -> Result<usize> {
        arguments.next().map_or(Ok(usual), |text| text.parse().context("it has to be a number"))
    };
    let (events, hosts) = (number(500_000)?, number(20)?);
    ensure!(events >= hosts && hosts > 0, "telemetry_bench EVENTS HOSTS, each at least 1");
    let (scene, lake) = (Scene::one().await?, tempfile::tempdir()?);
    let settings = [("lake.location", json!(lake.path())), ("lake.compact_seconds", json!(5))];
    let replica = scene.replica("one", &settings).await?;

    eprintln!("making events");
    let batches = events / hosts / BATCH;
    let mut records = Vec::new();
    let (mut on_wire, mut count) = (0, 0);
    for number in 0..hosts {
        let (mut host, mut run) = (Host::new(number), Run::of(&Host::name(number), 1));
        let mut of_host = Vec::new();
        for _ in 0..batches {
            let batch = run.batch_of(&host.next(BATCH));
            on_wire += batch.events.len();
            count += BATCH;
            of_host.push(Record::Batch(batch));
        }
        records.push(of_host);
    }
    let baseline = baseline::measure(hosts, batches * BATCH)?;

    eprintln!("{count} events of {hosts} hosts");
    let (wall, before) = (Instant::now(), replica.usage()?.cpu);
    let mut telling = Vec::new();
    for (number, records) in records.into_iter().enumerate() {
        let teller = Teller::connect(scene.pki(), &replica.address(), &Host::name(number)).await?;
        telling.push(tokio::spawn(tell(teller, records)));
    }
    for one in telling {
        one.await??;
    }
    let (stored, stored_cpu) = (wall.elapsed(), replica.usage()?.cpu - before);
    until_compacted(lake.path()).await?;
    let (compacted, cpu) = (wall.elapsed(), replica.usage()?.cpu - before);
    let kept = bytes_below(&lake.path().join("events"))?;

    let each = |what: f64| what / count as f64;
    let rate = |took: Duration| count as f64 / took.as_secs_f64() / 1e3;
    let micros = |cpu: Duration| each(cpu.as_secs_f64() * 1e6);
    println!("| way | thousand events a second | CPU an event, µs | bytes an event |");
    println!("| --- | --- | --- | --- |");
    let (wire, kept) = (each(on_wire as f64), each(kept as f64));
    println!(
        "| gRPC, until stored | {:.1} | {:.2} | {wire:.0} |",
        rate(stored),
        micros(stored_cpu)
    );
    println!(
        "| gRPC, until in Parquet | {:.1} | {:.2} | {kept:.0} |",
        rate(compacted),
        micros(cpu)
    );
    println!(
        "| JSON lines through gzip, one thread | {:.1} | {:.2} | {:.0} |",
        1e3 / baseline.micros,
        baseline.micros,
        baseline.bytes
    );
    resident(&replica)
}

fn resident(replica: &Replica) -> Result<()> {
    println!("\nReplica: {} MB resident at the end.", replica.usage()?.resident / 1_000_000);
    Ok(())
}

/// As a sensor does: so many without an answer, and no more.
async fn tell(mut teller: Teller, records: Vec<Record>) -> Result<()> {
    let mut open = 0;
    for record in records {
        if open == WINDOW {
            teller.answer().await?.map_err(anyhow::Error::msg)?;
            open -= 1;
        }
        teller.tell(record).await?;
        open += 1;
    }
    for _ in 0..open {
        teller.answer().await?.map_err(anyhow::Error::msg)?;
    }
    Ok(())
}

async fn until_compacted(lake: &Path) -> Result<()> {
    let start = Instant::now();
    while bytes_below(&lake.join("landing"))? > 0 {
        ensure!(start.elapsed() < PATIENCE, "it is not compacted");
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Of all files; those that go meanwhile count nothing.
fn bytes_below(folder: &Path) -> Result<u64> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(0) };
    let mut sum = 0;
    for entry in entries.flatten() {
        sum += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path())?,
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        };
    }
    Ok(sum)
}
