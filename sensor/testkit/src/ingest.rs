//! The telemetry of a replica: it stores what sensors tell, or does with it what a test wants, and remembers all of it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wanglou_api::sensor::v1::{
    Limits, PublishRequest, PublishResponse, RecordId, RefusedRecord, publish_request::Record,
    publish_response::Message, telemetry_service_server::TelemetryService,
};

/// What becomes of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is stored.
    Store,
    /// Nothing is said.
    Hold,
    /// It is taken as if it were stored, but nothing is said.
    StoreSilently,
    /// It will not be stored.
    Refuse,
}

type Answering = Box<dyn FnMut(&Record) -> Answer + Send>;
type Say = mpsc::Sender<Result<PublishResponse, Status>>;

struct State {
    /// `None` where the service is not known.
    limits: Option<Limits>,
    answer: Answering,
    records: Vec<Record>,
    refused: Vec<Record>,
    streams: Vec<Say>,
}

/// All of it; clones share it.
#[derive(Clone)]
pub struct Ingest(Arc<Mutex<State>>);

impl Default for Ingest {
    fn default() -> Self {
        let limits = Limits {
            max_content_bytes: 1 << 20,
            window_bytes: 512 << 10,
            bytes_per_second: 0,
            pause: None,
        };
        Self(Arc::new(Mutex::new(State {
            limits: Some(limits),
            answer: Box::new(|_| Answer::Store),
            records: Vec::new(),
            refused: Vec::new(),
            streams: Vec::new(),
        })))
    }
}

impl Ingest {
    /// What is said from now on, and first on the next stream; `None`: nobody there knows of telemetry.
    pub fn limits(&self, limits: Option<Limits>) {
        let mut state = self.lock();
        state.limits = limits;
        let message = limits.map(Message::Limits);
        for stream in &state.streams {
            // One that is over hears nothing.
            let _ = stream.try_send(Ok(PublishResponse { message: message.clone() }));
        }
    }

    /// What becomes of each record from now on.
    pub fn answer(&self, answer: impl FnMut(&Record) -> Answer + Send + 'static) {
        self.lock().answer = Box::new(answer);
    }

    /// What is stored, in the order in which it came; some of it maybe more than once.
    pub fn records(&self) -> Vec<Record> {
        self.lock().records.clone()
    }

    /// How many records are stored.
    pub fn stored(&self) -> usize {
        self.lock().records.len()
    }

    /// What was refused.
    pub fn refused(&self) -> Vec<Record> {
        self.lock().refused.clone()
    }

    /// Streams so far.
    pub fn streams(&self) -> usize {
        self.lock().streams.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does with a record what is wanted; what there is to say.
    fn take(&self, record: Record) -> Option<Message> {
        let mut state = self.lock();
        let id = id(&record);
        match (state.answer)(&record) {
            Answer::Store => {
                state.records.push(record);
                Some(Message::Stored(id))
            }
            Answer::Hold => None,
            Answer::StoreSilently => {
                state.records.push(record);
                None
            }
            Answer::Refuse => {
                state.refused.push(record);
                let reason = "a test wants it".to_owned();
                Some(Message::Refused(RefusedRecord { id: Some(id), reason }))
            }
        }
    }
}

/// Which one it is.
pub fn id(record: &Record) -> RecordId {
    let (run, number) = match record {
        Record::Batch(batch) => (&batch.run, batch.number),
        Record::LostBatch(lost) => (&lost.run, lost.number),
        Record::ClosedRun(closed) => (&closed.run, 0),
    };
    RecordId { run: run.clone(), number }
}

#[tonic::async_trait]
impl TelemetryService for Ingest {
    type PublishStream = Pin<Box<ReceiverStream<Result<PublishResponse, Status>>>>;

    async fn publish(
        &self,
        request: Request<Streaming<PublishRequest>>,
    ) -> Result<Response<Self::PublishStream>, Status> {
        let (say, said) = mpsc::channel(64);
        {
            let mut state = self.lock();
            let Some(limits) = state.limits else {
                return Err(Status::unimplemented("nobody here knows of telemetry"));
            };
            let message = Some(Message::Limits(limits));
            let _ = say.try_send(Ok(PublishResponse { message }));
            state.streams.push(say.clone());
        }
        let (ingest, mut told) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            while let Ok(Some(PublishRequest { record: Some(record) })) = told.message().await {
                if let Some(message) = ingest.take(record) {
                    // A sensor that is gone is told again.
                    let _ = say.send(Ok(PublishResponse { message: Some(message) })).await;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(said))))
    }
}
