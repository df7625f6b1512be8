//! `wanglou.sensor.v1.SensorService`: streams of hosts, as the node hears of them.

use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};
use wanglou_api::identity::{Name, Role};
use wanglou_api::sensor::v1::sensor_service_server::SensorService;
use wanglou_api::sensor::v1::{ControlRequest, ControlResponse, Hello, control_request};

use super::admission::{Admission, Later};
use super::bucket::Bucket;
use super::caller::caller;
use super::connection::Peer;
use crate::clock;
use crate::counters::Counters;
use crate::fleet::sessions::StreamId;
use crate::node::{Event, Node, ToHost};

/// Messages to a host that wait to be written; a host that takes none for longer is cut off.
const WAITING: usize = 16;
/// Bytes of what a host says once it has said hello.
const MOST: usize = 8 << 10;
/// Modules, and causes of losses, in one heartbeat: a few bytes each there, and a hundred here.
const LISTED: usize = 64;
/// Messages of a stream in a second. Whoever says more is read no faster, and takes no time from others.
const PACE: u32 = 50;
/// Bytes of what tells two machines apart.
const INSTANCE: usize = 64;
/// Time for a host to say hello once its stream is open.
const HELLO: Duration = Duration::from_secs(10);

/// Serves sensors.
#[derive(Debug)]
pub(crate) struct Sensors {
    node: Node,
    streams: AtomicU64,
    admission: Admission,
    /// A place for each stream.
    places: Arc<Semaphore>,
    counters: Arc<Counters>,
}

impl Sensors {
    /// Numbers streams from the time on, so that no other replica, and none before this one, has had the same.
    pub(crate) fn new(node: Node, most: usize, counters: Arc<Counters>) -> Self {
        let streams = AtomicU64::new(clock::now().cast_unsigned() << 20);
        let places = Arc::new(Semaphore::new(most));
        Self { node, streams, admission: Admission::default(), places, counters }
    }
}

impl Sensors {
    /// Whoever comes lives, even if it is not let in.
    async fn turn_away(&self, host: &Name, later: Later) -> Status {
        let (host, delay) = (host.clone(), later.delay);
        self.node.tell(Event::TurnedAway { host, delay }).await;
        later.into()
    }
}

#[tonic::async_trait]
impl SensorService for Sensors {
    type ControlStream = Pin<Box<dyn Stream<Item = Result<ControlResponse, Status>> + Send>>;

    async fn control(
        &self,
        request: Request<Streaming<ControlRequest>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        let peer = caller(&request, Role::Host)?;
        if let Err(later) = self.admission.admit(&peer.identity.id) {
            self.counters.too_often().add(1);
            return Err(self.turn_away(&peer.identity.id, later).await);
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        let Ok(place) = place else {
            self.counters.full().add(1);
            let later = Later::new("this replica has all the hosts that it can have".to_owned());
            return Err(self.turn_away(&peer.identity.id, later).await);
        };
        self.counters.opened().add(1);
        let (say, said) = mpsc::channel(WAITING);
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        let heard = request.into_inner();
        let counters = Arc::clone(&self.counters);
        tokio::spawn(listen(self.node.clone(), peer, stream, heard, say, counters, place));
        Ok(Response::new(Box::pin(ReceiverStream::new(said).map(|answer| answer.map(|it| *it)))))
    }
}

async fn listen(
    node: Node,
    peer: Peer,
    stream: StreamId,
    mut heard: Streaming<ControlRequest>,
    say: ToHost,
    counters: Arc<Counters>,
    _place: OwnedSemaphorePermit,
) {
    let host = peer.identity.id.clone();
    let hello = match first(&mut heard).await {
        Ok(hello) => Box::new(hello),
        Err(why) => {
            counters.no_hello().add(1);
            // Whoever has gone needs no reason.
            let _ = say.send(Err(Status::invalid_argument(why))).await;
            return;
        }
    };
    // Nobody else writes to the stream: once the node lets go of its end, the stream is over.
    let (over, mut is_over) = oneshot::channel();
    let serial = peer.serial;
    node.tell(Event::Hello { host: host.clone(), stream, serial, hello, say, over }).await;
    let pace = Bucket::new(PACE);
    let mut is_fast = false;
    loop {
        let message = tokio::select! {
            message = heard.message() => message,
            _ = &mut is_over => break,
        };
        match message {
            Ok(Some(request)) if is_too_large(&request) => {
                counters.malformed().add(1);
                break;
            }
            Ok(Some(ControlRequest { message: Some(message) })) => {
                node.tell(Event::Said { host: host.clone(), stream, message }).await;
            }
            // Of a later version of the protocol.
            Ok(Some(ControlRequest { message: None })) => {}
            Ok(None) => break,
            Err(status) => {
                // What has another cause is a connection that broke.
                counters.malformed().add(usize::from(status.source().is_none()));
                break;
            }
        }
        if pace.take().await && !std::mem::replace(&mut is_fast, true) {
            counters.held_back().add(1);
        }
    }
    node.tell(Event::Broken { host, stream }).await;
}

/// What has to come first, or why it is not that.
async fn first(heard: &mut Streaming<ControlRequest>) -> Result<Hello, String> {
    let first = timeout(HELLO, heard.message()).await.map_err(|_| "no hello came".to_owned())?;
    let first = first.map_err(|status| status.message().to_owned())?;
    let Some(control_request::Message::Hello(hello)) = first.and_then(|it| it.message) else {
        return Err("the first message has to be hello".to_owned());
    };
    if (1..=INSTANCE).contains(&hello.instance_id.len()) {
        Ok(hello)
    } else {
        Err(format!("instance_id has to have 1 to {INSTANCE} bytes"))
    }
}

/// Whether it is more than a sensor says: it would be kept for as long as the host is here.
fn is_too_large(request: &ControlRequest) -> bool {
    let lists = match &request.message {
        Some(control_request::Message::Heartbeat(heartbeat)) => {
            let causes = heartbeat.ledger.as_ref().map_or(0, |ledger| ledger.dropped.len());
            causes.max(heartbeat.modules.len())
        }
        _ => 0,
    };
    lists > LISTED || request.encoded_len() > MOST
}
