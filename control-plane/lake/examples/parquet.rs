//! What it costs to keep events as Parquet, beside JSON lines through gzip, from the same batches in one run:
//! `cargo run --release -p wanglou-lake --example parquet [EVENTS]`. Prints a table in Markdown.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use prost::Message as _;
use rustix::time::{ClockId, clock_gettime};
use wanglou_api::event::{Json as _, v1};
use wanglou_api::sensor::v1::publish_request::Record;
use wanglou_api::sensor::v1::{Batch, PublishRequest, RunId};
use wanglou_lake::content::Content;
use wanglou_lake::{HostRecord, Lake, Settings};

/// 2026-11-22T09:00:00Z.
const START_MS: i64 = 1_795_338_000_000;
const HOSTS: usize = 50;
/// About as many as a sensor puts into a batch on a busy host.
const BATCH: usize = 400;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let events: usize = match std::env::args().nth(1) {
        Some(events) => events.parse().context("the number of events")?,
        None => 500_000,
    };
    let records = records(events);
    let events = records.len() * BATCH;
    let packed: usize = records.iter().filter_map(batch).map(|batch| batch.events.len()).sum();

    let gzip = gzip(&records)?;
    let parquet = parquet(records).await?;
    println!("{events} events of {HOSTS} hosts, {} bytes each as they come", packed / events);
    println!();
    println!("| | events/s | CPU per event, µs | bytes per event |");
    println!("| --- | --- | --- | --- |");
    let rows = [("landed and compacted into Parquet", parquet), ("JSON lines through gzip", gzip)];
    for (what, Cost { bytes, time, cpu }) in rows {
        let rate = events as f64 / time.as_secs_f64();
        let cpu = cpu.as_secs_f64() * 1e6 / events as f64;
        let bytes = bytes as f64 / events as f64;
        println!("| {what} | {rate:.0} | {cpu:.2} | {bytes:.1} |");
    }
    Ok(())
}

struct Cost {
    bytes: u64,
    time: Duration,
    cpu: Duration,
}

async fn parquet(records: Vec<HostRecord>) -> Result<Cost> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let settings = Settings { flush: Duration::ZERO, ..Settings::new("bench") };
    let lake = Lake::open(store, settings).await?;
    let (start, before) = (Instant::now(), cpu());
    for record in records {
        lake.store(record).await?;
    }
    while lake.compact(START_MS).await?.is_behind {}
    let (time, cpu) = (start.elapsed(), cpu() - before);
    let files = lake.snapshot().await?.files;
    Ok(Cost { bytes: files.iter().map(|file| file.bytes).sum(), time, cpu })
}

fn gzip(records: &[HostRecord]) -> Result<Cost> {
    let (start, before) = (Instant::now(), cpu());
    let mut file = GzEncoder::new(Vec::new(), Compression::default());
    let mut line = Vec::new();
    for batch in records.iter().filter_map(batch) {
        for event in Content::of(batch)?.events() {
            line.clear();
            event.write_json(&mut line);
            line.push(b'\n');
            file.write_all(&line)?;
        }
    }
    let bytes = file.finish()?.len() as u64;
    Ok(Cost { bytes, time: start.elapsed(), cpu: cpu() - before })
}

fn batch(record: &HostRecord) -> Option<&Batch> {
    match record.record.as_ref()?.record.as_ref()? {
        Record::Batch(batch) => Some(batch),
        _ => None,
    }
}

/// Of this process.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn records(events: usize) -> Vec<HostRecord> {
    let mut random = Rng::with_seed(7);
    let mut hosts: Vec<Host> = (0..HOSTS).map(|host| Host::new(host, &mut random)).collect();
    (0..events.div_ceil(BATCH)).map(|n| hosts[n % HOSTS].record(&mut random)).collect()
}

struct Host {
    id: String,
    boot: String,
    run: u64,
    number: u64,
    sequence: u64,
    pid: u32,
    nanos: i64,
}

impl Host {
    fn new(number: usize, random: &mut Rng) -> Self {
        Self {
            id: format!("{:032x}", random.u128(..)),
            boot: format!("1d0f6a52-3c1e-4a53-9c4f-{number:012x}"),
            run: random.u64(1..1 << 50),
            number: 0,
            sequence: 0,
            pid: random.u32(1_000..1_000_000),
            nanos: START_MS * 1_000_000,
        }
    }

    fn record(&mut self, random: &mut Rng) -> HostRecord {
        const ACTIONS: [&str; 5] =
            ["fork", "exec", "connection_attempted", "disconnect_received", "end"];
        self.number += 1;
        let (mut content, mut counts) = (Vec::new(), BTreeMap::new());
        for action in ACTIONS.into_iter().cycle().take(BATCH) {
            let event = self.event(action, random);
            content.extend(event.encode_length_delimited_to_vec());
            *counts.entry(action.to_owned()).or_default() += 1;
        }
        let run = Some(RunId { boot_id: self.boot.clone(), run_id: self.run });
        let batch = Batch {
            run,
            number: self.number,
            events: zstd::bulk::compress(&content, 1).unwrap_or_default(),
            content_bytes: content.len() as u32,
            counts,
            ledger: None,
        };
        let record = Some(PublishRequest { record: Some(Record::Batch(batch)) });
        HostRecord { host: self.id.clone(), received_ms: self.nanos / 1_000_000, record }
    }

    /// Of everyday size.
    fn event(&mut self, action: &str, random: &mut Rng) -> v1::Event {
        self.sequence += 1;
        self.pid += u32::from(action == "fork");
        self.nanos += random.i64(1_000..2_000_000);
        let at = prost_types::Timestamp {
            seconds: self.nanos / 1_000_000_000,
            nanos: (self.nanos % 1_000_000_000) as i32,
        };
        let is_network = action.starts_with("connection") || action.starts_with("disconnect");
        let meta = v1::EventMeta {
            kind: text("event"),
            category: vec![if is_network { "network" } else { "process" }.to_owned()],
            r#type: vec![if action == "end" { "end" } else { "start" }.to_owned()],
            action: text(action),
            sequence: Some(self.sequence),
            provider: text("ebpf"),
            outcome: is_network.then(|| "success".to_owned()),
            ..Default::default()
        };
        let host = v1::Host {
            id: Some(self.id.clone()),
            name: text("build-17"),
            boot: Some(v1::Boot { id: Some(self.boot.clone()) }),
        };
        let wanglou = v1::Wanglou {
            run: Some(v1::Run { id: Some(self.run.to_string()) }),
            cgroup: Some(v1::Cgroup { id: Some(random.u64(4_000..4_100)) }),
            ..Default::default()
        };
        let effective = Some(v1::EffectiveUser { id: text("0") });
        let mut event = v1::Event {
            timestamp: Some(at),
            event: Some(meta),
            host: Some(host),
            process: Some(self.process(action, at, random)),
            user: Some(v1::User { id: text("0"), effective, ..Default::default() }),
            group: Some(v1::Group { id: text("0"), ..Default::default() }),
            wanglou: Some(wanglou),
            ..Default::default()
        };
        if is_network {
            connect(&mut event, action == "disconnect_received", random);
        }
        event
    }

    fn process(&self, action: &str, at: prost_types::Timestamp, random: &mut Rng) -> v1::Process {
        const PROGRAMS: [&str; 8] = ["rustc", "cargo", "make", "sh", "cc1", "ld", "git", "python3"];
        let name = PROGRAMS[random.usize(..PROGRAMS.len())];
        let entity_id = |pid: u32| Some(format!("{:016x}", u64::from(pid).wrapping_mul(self.run)));
        let mut process = v1::Process {
            pid: Some(self.pid),
            entity_id: entity_id(self.pid),
            name: text(name),
            executable: Some(format!("/usr/local/toolchains/stable/bin/{name}")),
            start: Some(at),
            parent: Some(v1::ParentProcess {
                pid: Some(self.pid - 1),
                entity_id: entity_id(self.pid - 1),
                name: text("make"),
                executable: text("/usr/bin/make"),
            }),
            ..Default::default()
        };
        match action {
            "exec" => {
                let file = format!("src/module_{}.rs", random.u32(..500));
                process.args = vec![name.to_owned(), "--edition=2024".to_owned(), file];
                process.args_count = Some(3);
                process.working_directory = text("/work/main");
                process.interactive = Some(false);
            }
            "end" => {
                process.exit_code = Some(0);
                process.cpu_ns = Some(random.u64(100_000..50_000_000));
                process.max_rss_bytes = Some(random.u64(100..10_000) << 12);
            }
            _ => {}
        }
        process
    }
}

fn connect(event: &mut v1::Event, is_over: bool, random: &mut Rng) {
    let mut endpoint = |ip: String, port: u16| v1::Endpoint {
        ip: Some(ip),
        port: Some(u32::from(port)),
        bytes: is_over.then(|| random.u64(..100_000)),
        ..Default::default()
    };
    event.source = Some(endpoint("10.0.0.7".to_owned(), fastrand::u16(32_768..)));
    event.destination = Some(endpoint(format!("10.0.1.{}", fastrand::u8(..)), 443));
    event.network = Some(v1::Network {
        transport: text("tcp"),
        r#type: text("ipv4"),
        direction: text("egress"),
        community_id: Some(format!("1:{:026x}=", random.u128(..) >> 24)),
        ..Default::default()
    });
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}
