//! Events that are stored, and then those that come.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;
use wanglou_api::event::v1::Event;
use wanglou_api::fleet::v1::{ReadEventsRequest, ReadEventsResponse};
use wanglou_api::identity::Name;
use wanglou_api::peer::v1::peer_service_client::PeerServiceClient;
use wanglou_api::peer::v1::{FollowLocalEventsRequest, FollowLocalEventsResponse};
use wanglou_lake::query::{Events, Matcher, Query};

use super::{Stream, nanos, status};
use crate::clock;
use crate::ingest::{Ingest, Told};
use crate::peers::Peers;

/// Answers that wait to be written, and events in one.
const WAITING: usize = 4;
const PAGE: usize = 500;
/// Without a time an hour is meant, and without a number so many.
const HOUR_MS: i64 = 3_600_000;
const USUAL: u32 = 10_000;

type Answers = mpsc::Sender<Result<ReadEventsResponse, Status>>;
/// Events that are meant, as they come, and the same of other replicas.
type Coming = mpsc::Receiver<FollowLocalEventsResponse>;
type Elsewhere = mpsc::Receiver<(Name, FollowLocalEventsResponse)>;

/// The caller has gone.
struct Gone;

pub(super) async fn read(
    ingest: Arc<Ingest>,
    peers: &Arc<Peers>,
    request: ReadEventsRequest,
) -> Result<Stream<ReadEventsResponse>, Status> {
    let query = query(request.clone())?;
    // From before what is stored is read: what comes meanwhile is told of after it.
    let coming = if request.follow { Some(coming(&ingest, peers, request)?) } else { None };
    let stored = ingest.engine.read(&query).await.map_err(status)?;
    let (to, answers) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        // It ends when the caller does.
        let Ok(last) = tell_stored(&to, stored).await else { return };
        if let Some(coming) = coming {
            let _ = tell(&to, coming, last).await;
        }
    });
    Ok(Box::pin(ReceiverStream::new(answers)))
}

/// What hosts tell this replica from now on, until nobody listens.
pub(crate) fn follow(ingest: &Ingest, request: ReadEventsRequest) -> Result<Coming, Status> {
    let matcher = query(request)?.matcher().map_err(|error| status(error.into()))?;
    let (to, coming) = mpsc::channel(WAITING);
    tokio::spawn(select(ingest.followers.follow(), matcher, to));
    Ok(coming)
}

/// The same, and what hosts tell all other replicas.
fn coming(
    ingest: &Ingest,
    peers: &Arc<Peers>,
    request: ReadEventsRequest,
) -> Result<(Coming, Elsewhere), Status> {
    let here = follow(ingest, request.clone())?;
    let request = FollowLocalEventsRequest { read: Some(request) };
    let elsewhere = peers.ask_each(move |mut peer: PeerServiceClient<Channel>| {
        let request = request.clone();
        async move { peer.follow_local_events(request).await }
    });
    Ok((here, elsewhere))
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

/// Takes out of what comes what is meant, until nobody listens.
async fn select(
    mut coming: Receiver<Arc<Told>>,
    matcher: Matcher,
    to: mpsc::Sender<FollowLocalEventsResponse>,
) {
    let mut missed_events = 0;
    loop {
        let told = tokio::select! {
            told = coming.recv() => told,
            () = to.closed() => return,
        };
        let told = match told {
            Ok(told) => told,
            Err(RecvError::Lagged(batches)) => {
                // How many events are in a batch nobody knows any more: at least one.
                missed_events += batches;
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        // Of a condition that cannot be evaluated here nothing holds.
        let is_meant = matcher.select(&told.events).unwrap_or_default();
        let meant = told.events.iter().zip(is_meant).filter(|(_, is_meant)| *is_meant);
        let events: Vec<_> = meant.map(|(event, _)| event.clone()).collect();
        if !events.is_empty() || missed_events > 0 {
            let missed_events = std::mem::take(&mut missed_events);
            if to.send(FollowLocalEventsResponse { events, missed_events }).await.is_err() {
                return;
            }
        }
    }
}

/// Tells what comes, here and elsewhere, until the caller is gone.
async fn tell(
    to: &Answers,
    (mut here, mut elsewhere): (Coming, Elsewhere),
    mut last: Last,
) -> Result<(), Gone> {
    loop {
        let told = tokio::select! {
            told = here.recv() => told,
            Some((_, told)) = elsewhere.recv() => Some(told),
            () = to.closed() => return Err(Gone),
        };
        let Some(FollowLocalEventsResponse { mut events, missed_events }) = told else {
            return Ok(());
        };
        events.retain(|event| last.is_new(event));
        if !events.is_empty() || missed_events > 0 {
            say(to, ReadEventsResponse { events, missed_events, ..ReadEventsResponse::default() })
                .await?;
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
