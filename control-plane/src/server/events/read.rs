//! Events that are stored, and then those that come.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use wanglou_api::event::v1::Event;
use wanglou_api::fleet::v1::{ReadEventsRequest, ReadEventsResponse};
use wanglou_lake::query::{Events, Matcher, Query};

use super::{Stream, nanos, status};
use crate::clock;
use crate::ingest::{Ingest, Told};

/// Answers that wait to be written, and events in one.
const WAITING: usize = 4;
const PAGE: usize = 500;
/// Without a time an hour is meant, and without a number so many.
const HOUR_MS: i64 = 3_600_000;
const USUAL: u32 = 10_000;

type Answers = mpsc::Sender<Result<ReadEventsResponse, Status>>;

/// The caller has gone.
struct Gone;

pub(super) async fn read(
    ingest: Arc<Ingest>,
    request: ReadEventsRequest,
) -> Result<Stream<ReadEventsResponse>, Status> {
    let follow = request.follow;
    let query = query(request)?;
    let matcher = query.matcher().map_err(|error| status(error.into()))?;
    // From before what is stored is read: what comes meanwhile is told of after it.
    let coming = follow.then(|| ingest.followers.follow());
    let stored = ingest.engine.read(&query).await.map_err(status)?;
    let (to, answers) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        // It ends when the caller does.
        let Ok(last) = tell_stored(&to, stored).await else { return };
        if let Some(coming) = coming {
            let _ = tell(&to, coming, &matcher, last).await;
        }
    });
    Ok(Box::pin(ReceiverStream::new(answers)))
}

async fn tell_stored(to: &Answers, mut stored: Events) -> Result<Last, Gone> {
    let mut last = Last::default();
    let truncated = stored.truncated;
    say(to, ReadEventsResponse { truncated, ..ReadEventsResponse::default() }).await?;
    loop {
        let events: Vec<_> = stored.by_ref().take(PAGE).collect();
        if events.is_empty() {
            break;
        }
        for event in &events {
            last.is_new(event);
        }
        say(to, ReadEventsResponse { events, ..ReadEventsResponse::default() }).await?;
    }
    say(to, ReadEventsResponse { complete: true, ..ReadEventsResponse::default() }).await?;
    Ok(last)
}

fn query(request: ReadEventsRequest) -> Result<Query, Status> {
    let now = clock::now();
    let time = |time: Option<&prost_types::Timestamp>, usual| time.map_or(Ok(usual), nanos);
    let max_events = if request.max_events == 0 { USUAL } else { request.max_events };
    Ok(Query {
        since: time(request.since_time.as_ref(), (now - HOUR_MS) * 1_000_000)?,
        until: time(request.until_time.as_ref(), i64::MAX)?,
        hosts: request.hosts,
        actions: request.actions,
        process: request.process,
        filter: request.filter,
        max_events: max_events as usize,
    })
}

/// Tells what comes, until the caller is gone.
async fn tell(
    to: &Answers,
    mut coming: Receiver<Arc<Told>>,
    matcher: &Matcher,
    mut last: Last,
) -> Result<(), Gone> {
    let mut missed_events = 0;
    loop {
        let told = tokio::select! {
            told = coming.recv() => told,
            () = to.closed() => return Err(Gone),
        };
        let told = match told {
            Ok(told) => told,
            Err(RecvError::Lagged(batches)) => {
                // How many events are in a batch nobody knows any more: at least one.
                missed_events += batches;
                continue;
            }
            Err(RecvError::Closed) => return Ok(()),
        };
        // Of a condition that cannot be evaluated here nothing holds.
        let is_meant = matcher.select(&told.events).unwrap_or_default();
        let meant = told.events.iter().zip(is_meant).filter(|(_, is_meant)| *is_meant);
        let new = meant.map(|(event, _)| event).filter(|event| last.is_new(event));
        let events: Vec<_> = new.cloned().collect();
        if !events.is_empty() || missed_events > 0 {
            say(to, ReadEventsResponse { events, missed_events, ..ReadEventsResponse::default() })
                .await?;
            missed_events = 0;
        }
    }
}

async fn say(to: &Answers, answer: ReadEventsResponse) -> Result<(), Gone> {
    to.send(Ok(answer)).await.map_err(|_| Gone)
}

/// The last number that was told of each run: what comes may be stored already, and may come twice.
#[derive(Default)]
struct Last(HashMap<(String, String), u64>);

impl Last {
    /// Whether it is, which it is once.
    fn is_new(&mut self, event: &Event) -> bool {
        let host = event.host.as_ref().and_then(|host| host.id.clone()).unwrap_or_default();
        let run = event.wanglou.as_ref().and_then(|it| it.run.as_ref()?.id.clone());
        let number = event.event.as_ref().and_then(|meta| meta.sequence).unwrap_or(u64::MAX);
        let last = self.0.entry((host, run.unwrap_or_default())).or_default();
        let is_new = number > *last || number == u64::MAX;
        *last = number.max(*last);
        is_new
    }
}
