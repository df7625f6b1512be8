//! The telemetry stream of a host, whose test says what it tells.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use wanglou_api::event::v1::{Boot, Event, EventMeta, Host, Process};
use wanglou_api::sensor::v1::publish_request::Record;
use wanglou_api::sensor::v1::publish_response::Message as Answer;
use wanglou_api::sensor::v1::telemetry_service_client::TelemetryServiceClient;
use wanglou_api::sensor::v1::{
    Batch, BatchLedger, ClosedRun, PublishRequest, PublishResponse, RecordId, RunId,
};

use crate::Pki;
use crate::host::dial;

/// Time for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// Of every host here.
const BOOT: &str = "8f0b3a3e-0000-4000-8000-000000000001";

/// A stream on which nothing has been told. Dropping it cuts the connection.
#[derive(Debug)]
pub struct Teller {
    say: mpsc::Sender<PublishRequest>,
    heard: Streaming<PublishResponse>,
}

impl Teller {
    /// Opens a stream of a host to a replica.
    ///
    /// # Errors
    ///
    /// If the replica is not reached, or takes no telemetry.
    pub async fn connect(pki: &Pki, endpoint: &str, id: &str) -> Result<Self> {
        let channel = dial(pki, endpoint, "host", id).await?;
        let (say, said) = mpsc::channel(64);
        let mut client = TelemetryServiceClient::new(channel);
        let heard = client.publish(ReceiverStream::new(said)).await?.into_inner();
        Ok(Self { say, heard })
    }

    /// Tells something.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub async fn tell(&self, record: Record) -> Result<()> {
        let request = PublishRequest { record: Some(record) };
        self.say.send(request).await.context("the stream has ended")
    }

    /// The next answer that is about a record: the number that is stored, or why one is refused.
    ///
    /// # Errors
    ///
    /// If none comes, or the stream ends.
    pub async fn answer(&mut self) -> Result<Result<u64, String>> {
        loop {
            let heard = timeout(PATIENCE, self.heard.message()).await.context("no answer")?;
            match heard?.context("the stream has ended")?.message {
                Some(Answer::Stored(RecordId { number, .. })) => return Ok(Ok(number)),
                Some(Answer::Refused(refused)) => return Ok(Err(refused.reason)),
                Some(Answer::Limits(_)) | None => {}
            }
        }
    }

    /// Tells of all of a run, and waits until it is stored.
    ///
    /// # Errors
    ///
    /// If something of it is refused, or not answered.
    pub async fn tell_all(&mut self, records: impl IntoIterator<Item = Record>) -> Result<()> {
        let mut told = 0;
        for record in records {
            self.tell(record).await?;
            told += 1;
        }
        for _ in 0..told {
            if let Err(reason) = self.answer().await? {
                bail!("refused: {reason}");
            }
        }
        Ok(())
    }
}

/// One start of a worker that tells the truth, unless its test changes what it tells.
#[derive(Clone, Debug)]
pub struct Run {
    host: String,
    id: u64,
    number: u64,
    /// Events so far.
    sequence: u64,
    produced: BTreeMap<String, u64>,
}

impl Run {
    /// Of a host.
    pub fn of(host: &str, id: u64) -> Self {
        Self { host: host.to_owned(), id, number: 0, sequence: 0, produced: BTreeMap::new() }
    }

    /// Which one it is.
    pub fn id(&self) -> RunId {
        RunId { boot_id: BOOT.to_owned(), run_id: self.id }
    }

    /// All that has happened.
    pub fn produced(&self) -> &BTreeMap<String, u64> {
        &self.produced
    }

    /// The next batch, with an event of each of these actions.
    pub fn batch(&mut self, actions: &[&str]) -> Batch {
        let events: Vec<_> = actions.iter().map(|action| self.event(action)).collect();
        self.batch_of(&events)
    }

    /// The next batch, with these events.
    pub fn batch_of(&mut self, events: &[Event]) -> Batch {
        self.number += 1;
        let mut counts = BTreeMap::new();
        let actions = events.iter().filter_map(|event| event.event.as_ref()?.action.as_ref());
        for action in actions {
            *counts.entry(action.clone()).or_default() += 1;
            *self.produced.entry(action.clone()).or_default() += 1;
        }
        let content: Vec<u8> =
            events.iter().flat_map(Event::encode_length_delimited_to_vec).collect();
        Batch {
            run: Some(self.id()),
            number: self.number,
            // It fails only without memory.
            events: zstd::bulk::compress(&content, 1).unwrap_or_default(),
            content_bytes: content.len() as u32,
            counts,
            ledger: Some(self.ledger()),
        }
    }

    /// Its end.
    pub fn closed(&self) -> Record {
        let (run, ledger) = (Some(self.id()), Some(self.ledger()));
        Record::ClosedRun(ClosedRun { run, last_number: self.number, ledger })
    }

    fn ledger(&self) -> BatchLedger {
        BatchLedger { produced: self.produced.clone(), ..BatchLedger::default() }
    }

    fn event(&mut self, action: &str) -> Event {
        self.sequence += 1;
        Event {
            timestamp: Some(SystemTime::now().into()),
            event: Some(EventMeta {
                kind: Some("event".to_owned()),
                action: Some(action.to_owned()),
                sequence: Some(self.sequence),
                ..EventMeta::default()
            }),
            host: Some(Host {
                id: Some(self.host.clone()),
                name: Some(self.host.clone()),
                boot: Some(Boot { id: Some(BOOT.to_owned()) }),
            }),
            process: Some(Process {
                pid: Some(4_711),
                name: Some("make".to_owned()),
                entity_id: Some(format!("{}-{}", self.host, self.number + 1)),
                ..Process::default()
            }),
            ..Event::default()
        }
    }
}
