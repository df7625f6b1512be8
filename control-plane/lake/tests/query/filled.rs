//! A lake with events in it: some landed, some in files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use object_store::memory::InMemory;
use prost::Message as _;
use wanglou_api::event::v1::{Boot, Event, EventMeta, Host, ParentProcess, Process, User};
use wanglou_api::sensor::v1::publish_request::Record;
use wanglou_api::sensor::v1::{Batch, PublishRequest, RunId};
use wanglou_lake::query::{Engine, Limits, Query};
use wanglou_lake::{HostRecord, Lake, Settings};

/// 2026-11-30 10:00:00 UTC, in seconds.
pub(crate) const BEGIN: i64 = 1_796_032_800;

/// A lake in memory.
pub(crate) struct Filled {
    pub(crate) lake: Arc<Lake>,
    number: AtomicU64,
}

impl Filled {
    pub(crate) async fn new() -> Result<Self> {
        let settings = Settings { flush: Duration::ZERO, ..Settings::new("one") };
        let lake = Lake::open(Arc::new(InMemory::new()), settings).await?;
        Ok(Self { lake: Arc::new(lake), number: AtomicU64::new(0) })
    }

    /// Stores a batch as a host has told it.
    pub(crate) async fn land(&self, events: &[Event]) -> Result<()> {
        self.land_as(self.number.fetch_add(1, Ordering::Relaxed) + 1, events).await
    }

    /// One of a number.
    pub(crate) async fn land_as(&self, number: u64, events: &[Event]) -> Result<()> {
        self.land_of("web-1", number, events).await
    }

    /// One of a host, whose boot is called like it.
    pub(crate) async fn land_of(&self, host: &str, number: u64, events: &[Event]) -> Result<()> {
        let mut content = Vec::new();
        let mut counts = BTreeMap::new();
        for event in events {
            event.encode_length_delimited(&mut content)?;
            let action = event.event.as_ref().and_then(|meta| meta.action.clone());
            *counts.entry(action.context("an action")?).or_default() += 1;
        }
        let batch = Batch {
            run: Some(RunId { boot_id: host.to_owned(), run_id: 1 }),
            number,
            content_bytes: u32::try_from(content.len())?,
            events: zstd::bulk::compress(&content, 1)?,
            counts,
            ledger: None,
        };
        let record = Some(PublishRequest { record: Some(Record::Batch(batch)) });
        let received_ms = (BEGIN + 3_600) * 1_000;
        Ok(self.lake.store(HostRecord { host: host.to_owned(), received_ms, record }).await?)
    }

    /// Everything that has landed becomes files.
    pub(crate) async fn compact(&self) -> Result<()> {
        self.lake.compact((BEGIN + 3_600) * 1_000).await?;
        Ok(())
    }

    pub(crate) fn engine(&self) -> Engine {
        Engine::new(self.lake.clone(), Limits::default())
    }

    /// Process ids of all events of which a condition holds.
    pub(crate) async fn pids(&self, filter: &str) -> Result<Vec<u32>> {
        self.pids_of(&Query { filter: filter.to_owned(), ..all() }).await
    }

    pub(crate) async fn pids_of(&self, query: &Query) -> Result<Vec<u32>> {
        let events = self.engine().read(query).await?;
        Ok(events.filter_map(|event| event.process?.pid).collect())
    }
}

/// Of everything.
pub(crate) fn all() -> Query {
    let nanos = |seconds: i64| seconds * 1_000_000_000;
    let (since, until) = (nanos(BEGIN), nanos(BEGIN + 86_400));
    Query { since, until, max_events: 10_000, ..Query::default() }
}

/// An event of a process, which has its pid as its id too.
pub(crate) fn event(action: &str, second: i64, pid: u32, parent: u32) -> Event {
    let id = |pid: u32| Some(format!("id-{pid}"));
    Event {
        timestamp: Some(prost_types::Timestamp { seconds: BEGIN + second, nanos: 7 }),
        event: Some(EventMeta { action: Some(action.to_owned()), ..EventMeta::default() }),
        host: Some(Host {
            id: Some("host-1".to_owned()),
            boot: Some(Boot { id: Some("web-1".to_owned()) }),
            ..Host::default()
        }),
        process: Some(Process {
            pid: Some(pid),
            entity_id: id(pid),
            name: Some(format!("p{pid}")),
            parent: Some(ParentProcess {
                pid: Some(parent),
                entity_id: id(parent),
                ..ParentProcess::default()
            }),
            ..Process::default()
        }),
        user: Some(User { id: Some("1000".to_owned()), ..User::default() }),
        ..Event::default()
    }
}
