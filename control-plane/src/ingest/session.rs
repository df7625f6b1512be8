//! One telemetry stream: records are looked at as they come, wait for room, are stored side by side, and answered.
//!
//! A host whose records are not stored is not read from: HTTP/2 holds it back, and its sensor keeps what it has.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tonic::{Status, Streaming};
use wanglou_api::identity::Name;
use wanglou_api::sensor::v1::publish_request::Record;
use wanglou_api::sensor::v1::publish_response::Message as Answer;
use wanglou_api::sensor::v1::{Limits, PublishRequest, PublishResponse, RecordId, RefusedRecord};
use wanglou_lake::HostRecord;
use wanglou_lake::books::{Books, Run};
use wanglou_lake::content::Content;

use super::check::{self, MAX_CONTENT};
use super::{Ingest, MAX_RECORD};
use crate::clock;
use crate::log::ids;
use crate::node::Event;

/// Bytes of records that have no answer yet, of one host.
const WINDOW: u32 = 1 << 20;
/// Records of one host that are being stored.
const STORING: usize = 64;
/// Runs whose books are looked at: there are two only while a sensor goes from one to the next.
const RUNS: usize = 4;
/// How often what a host may tell is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// What is not stored is tried again after so long, and hosts are to wait meanwhile.
const PAUSE: Duration = Duration::from_secs(1);
/// Characters of why something is refused.
const WHY: usize = 200;

/// The way back to the host.
pub(crate) type Answers = mpsc::Sender<Result<PublishResponse, Status>>;

/// A record that waits for room.
type Waiting = Pin<Box<dyn Future<Output = Option<(OwnedSemaphorePermit, HostRecord)>> + Send>>;

pub(crate) struct Session {
    ingest: Arc<Ingest>,
    host: Name,
    say: Answers,
    storing: JoinSet<RecordId>,
    runs: BTreeMap<Run, Books>,
    limits: Limits,
}

/// The host has gone, or we are ending.
struct Over;

impl Session {
    pub(crate) fn new(ingest: Arc<Ingest>, host: Name, say: Answers) -> Self {
        let limits = Limits::default();
        Self { ingest, host, say, storing: JoinSet::new(), runs: BTreeMap::new(), limits }
    }

    /// Until the host ends its stream.
    pub(crate) async fn serve(mut self, mut heard: Streaming<PublishRequest>) {
        self.ingest.counters.publishing().add(1);
        // What has no answer is told again on the next stream.
        let _ = self.work(&mut heard).await;
    }

    async fn work(&mut self, heard: &mut Streaming<PublishRequest>) -> Result<(), Over> {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut waiting: Option<Waiting> = None;
        loop {
            let may_read = waiting.is_none() && self.storing.len() < STORING;
            tokio::select! {
                Some(stored) = self.storing.join_next() => match stored {
                    Ok(id) => self.answer(Answer::Stored(id)).await?,
                    Err(_) => return Err(Over),
                },
                room = async { waiting.as_mut()?.await }, if waiting.is_some() => {
                    waiting = None;
                    let (room, record) = room.ok_or(Over)?;
                    self.storing.spawn(store(Arc::clone(&self.ingest), record, room));
                }
                record = heard.message(), if may_read => {
                    let record = record.map_err(|_| Over)?.ok_or(Over)?;
                    waiting = self.hear(record).await?;
                }
                _ = look.tick() => self.limit().await?,
            }
        }
    }

    /// Looks at a record; what is to be stored, once there is room.
    async fn hear(&mut self, request: PublishRequest) -> Result<Option<Waiting>, Over> {
        // `None` where it is of a later version of the protocol, which waits for no answer of this one.
        let Some(record) = &request.record else { return Ok(None) };
        let id = match check::id(record) {
            Ok(id) => id,
            Err(refusal) => {
                self.refused(&refusal.to_string());
                // Without a name there is no answer to it.
                let why = Status::invalid_argument(refusal.to_string());
                let _ = self.say.send(Err(why)).await;
                return Err(Over);
            }
        };
        let content = match check::check(record, self.host.as_str()) {
            Ok(content) => {
                let times = content.as_ref().and_then(Content::times);
                self.count(record, &id, times).map(|()| content)
            }
            Err(refusal) => Err(refusal.to_string()),
        };
        let content = match content {
            Ok(content) => content,
            Err(mut reason) => {
                self.refused(&reason);
                reason = reason.chars().take(WHY).collect();
                self.answer(Answer::Refused(RefusedRecord { id: Some(id), reason })).await?;
                return Ok(None);
            }
        };
        Ok(Some(self.wait(request, content.as_ref())))
    }

    /// Its own books have to be possible.
    fn count(
        &mut self,
        record: &Record,
        id: &RecordId,
        times: Option<(u64, u64)>,
    ) -> Result<(), String> {
        let run = id.run.clone().unwrap_or_default();
        let run = Run { host: self.host.to_string(), boot: run.boot_id, run: run.run_id };
        if !self.runs.contains_key(&run) && self.runs.len() >= RUNS {
            self.runs.pop_first();
        }
        let books = self.runs.entry(run).or_default();
        // Whoever had no answer tells it again on another stream.
        if books.has(record) {
            return Err("it was told on this stream before".to_owned());
        }
        books.contradicts(record)?;
        books.count(record, times, clock::now());
        Ok(())
    }

    fn wait(&self, request: PublishRequest, content: Option<&Content>) -> Waiting {
        let bytes = request.encoded_len().min(MAX_RECORD);
        let (events, ingest) = (content.map_or(0, Content::len), &self.ingest);
        ingest.counters.events_told().add(events);
        ingest.volumes.add(&ingest.view, &self.host, events as u64, bytes as u64);
        if let Some(content) = content {
            ingest.followers.tell(content);
        }
        let record = HostRecord {
            host: self.host.to_string(),
            received_ms: clock::now(),
            record: Some(request),
        };
        let room = Arc::clone(&ingest.room).acquire_many_owned(bytes as u32);
        Box::pin(async move { Some((room.await.ok()?, record)) })
    }

    fn refused(&self, why: &str) {
        self.ingest.counters.records_refused().add(1);
        let (host, node) = (self.host.clone(), self.ingest.node.clone());
        tracing::warn!(id = ids::RECORD_REFUSED.code, %host, why, "what a host tells is refused");
        tokio::spawn(async move { node.tell(Event::RecordRefused { host }).await });
    }

    /// Tells how much may be told, if that is another now.
    async fn limit(&mut self) -> Result<(), Over> {
        let limits = Limits {
            max_content_bytes: MAX_CONTENT,
            window_bytes: WINDOW,
            bytes_per_second: self.ingest.share(&self.host),
            pause: self.ingest.is_failing().then(|| PAUSE.try_into().unwrap_or_default()),
        };
        // A pause ends by itself.
        if self.limits != limits || limits.pause.is_some() {
            self.limits = limits;
            self.answer(Answer::Limits(limits)).await?;
        }
        Ok(())
    }

    async fn answer(&self, message: Answer) -> Result<(), Over> {
        let answer = PublishResponse { message: Some(message) };
        self.say.send(Ok(answer)).await.map_err(|_| Over)
    }
}

/// Until it is stored; whoever waits for it gives up first.
async fn store(ingest: Arc<Ingest>, record: HostRecord, _room: OwnedSemaphorePermit) -> RecordId {
    let id = record.record.as_ref().and_then(|it| it.record.as_ref());
    let id = id.and_then(|record| check::id(record).ok()).unwrap_or_default();
    while let Err(error) = ingest.lake.store(record.clone()).await {
        ingest.fails(&error);
        sleep(PAUSE).await;
    }
    ingest.works();
    ingest.counters.records_stored().add(1);
    id
}
