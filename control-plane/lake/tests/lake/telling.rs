//! What hosts tell, and the lakes that they tell it to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use object_store::ObjectStore;
use prost::Message as _;
use wanglou_api::event::v1;
use wanglou_api::sensor::v1::publish_request::Record;
use wanglou_api::sensor::v1::{Batch, BatchLedger, ClosedRun, LostBatch, PublishRequest, RunId};
use wanglou_lake::{HostRecord, Lake, Settings};

/// 2026-11-22T09:35:00Z.
pub(crate) const NOW: i64 = 1_795_340_100_000;
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// A host with one run, and what it has told.
pub(crate) struct Teller {
    pub(crate) host: String,
    number: u64,
    sequence: u64,
    counts: BTreeMap<String, u64>,
}

impl Teller {
    pub(crate) fn new(host: &str) -> Self {
        Self { host: host.to_owned(), number: 0, sequence: 0, counts: BTreeMap::new() }
    }

    /// The next batch: an event of each action, which happened at `at`, ms since 1970.
    pub(crate) fn batch(&mut self, actions: &[&str], at: i64) -> HostRecord {
        self.number += 1;
        let (mut content, mut counts) = (Vec::new(), BTreeMap::new());
        for action in actions {
            self.sequence += 1;
            let event = self.event(action, at * 1_000_000 + self.sequence as i64);
            content.extend(event.encode_length_delimited_to_vec());
            if *action == "ledger" {
                continue;
            }
            for counts in [&mut counts, &mut self.counts] {
                *counts.entry((*action).to_owned()).or_default() += 1;
            }
        }
        let batch = Batch {
            run: self.run(),
            number: self.number,
            events: zstd::bulk::compress(&content, 1).expect("a frame"),
            content_bytes: content.len() as u32,
            counts,
            ledger: Some(self.ledger()),
        };
        self.record(Record::Batch(batch), at)
    }

    /// The next batch is lost.
    pub(crate) fn lose(&mut self, action: &str, at: i64) -> HostRecord {
        self.number += 1;
        *self.counts.entry(action.to_owned()).or_default() += 1;
        let counts = BTreeMap::from([(action.to_owned(), 1)]);
        let cause = "spool_full".to_owned();
        let lost = LostBatch { run: self.run(), number: self.number, counts, cause };
        self.record(Record::LostBatch(lost), at)
    }

    pub(crate) fn close(&self, at: i64) -> HostRecord {
        let (last_number, ledger) = (self.number, Some(self.ledger()));
        self.record(Record::ClosedRun(ClosedRun { run: self.run(), last_number, ledger }), at)
    }

    /// The host and the sequence of each event that was told.
    pub(crate) fn told(&self) -> impl Iterator<Item = (String, u64)> {
        (1..=self.sequence).map(|sequence| (self.host.clone(), sequence))
    }

    fn event(&self, action: &str, nanos: i64) -> v1::Event {
        let timestamp = prost_types::Timestamp {
            seconds: nanos / 1_000_000_000,
            nanos: (nanos % 1_000_000_000) as i32,
        };
        let meta = v1::EventMeta {
            action: Some(action.to_owned()),
            sequence: Some(self.sequence),
            category: vec!["process".to_owned()],
            ..Default::default()
        };
        let process = v1::Process {
            name: Some("make".to_owned()),
            args: vec!["make".to_owned(), "all".to_owned()],
            entity_id: Some(format!("{}-{}", self.host, self.sequence)),
            ..Default::default()
        };
        let mut event = v1::Event {
            timestamp: Some(timestamp),
            event: Some(meta),
            host: Some(v1::Host { id: Some(self.host.clone()), ..Default::default() }),
            process: Some(process),
            ..Default::default()
        };
        if action == "ledger" {
            let ledger = v1::Ledger { produced: self.counts.clone(), ..Default::default() };
            event.wanglou = Some(v1::Wanglou { ledger: Some(ledger), ..Default::default() });
        }
        event
    }

    fn run(&self) -> Option<RunId> {
        Some(RunId { boot_id: "boot".to_owned(), run_id: 7 })
    }

    fn ledger(&self) -> BatchLedger {
        BatchLedger { produced: self.counts.clone(), ..Default::default() }
    }

    fn record(&self, record: Record, received_ms: i64) -> HostRecord {
        let record = Some(PublishRequest { record: Some(record) });
        HostRecord { host: self.host.clone(), received_ms, record }
    }
}

/// A lake whose records wait for nobody.
pub(crate) async fn open(store: &Arc<dyn ObjectStore>, replica: &str) -> Result<Lake> {
    let flush = Duration::ZERO;
    let settings = Settings { flush, ..Settings::new(replica) };
    Ok(Lake::open(Arc::clone(store), settings).await?)
}
