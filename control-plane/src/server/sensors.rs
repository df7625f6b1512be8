//! `wanglou.sensor.v1.SensorService`: streams of hosts, as the node hears of them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wanglou_api::identity::Role;
use wanglou_api::sensor::v1::sensor_service_server::SensorService;
use wanglou_api::sensor::v1::{ControlRequest, ControlResponse, control_request};

use super::accept::Peer;
use super::admission::{Admission, later};
use super::caller::caller;
use crate::clock;
use crate::counters::Counters;
use crate::fleet::sessions::StreamId;
use crate::node::{Event, Node};

/// Messages to a host that wait to be written; a host that takes none for longer is cut off.
const WAITING: usize = 16;
/// Bytes of what a host says once it has said hello.
const MOST: usize = 16 << 10;
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

#[tonic::async_trait]
impl SensorService for Sensors {
    type ControlStream = Pin<Box<ReceiverStream<Result<ControlResponse, Status>>>>;

    async fn control(
        &self,
        request: Request<Streaming<ControlRequest>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        let peer = caller(&request, Role::Host)?;
        self.admission
            .admit(&peer.identity.id)
            .inspect_err(|_| self.counters.too_often().add(1))?;
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| {
            self.counters.full().add(1);
            later("this replica has all the hosts that it can have")
        })?;
        self.counters.opened().add(1);
        let (say, said) = mpsc::channel(WAITING);
        let stream = self.streams.fetch_add(1, Ordering::Relaxed);
        let heard = request.into_inner();
        tokio::spawn(listen(self.node.clone(), peer, stream, heard, say, place));
        Ok(Response::new(Box::pin(ReceiverStream::new(said))))
    }
}

async fn listen(
    node: Node,
    peer: Peer,
    stream: StreamId,
    mut heard: Streaming<ControlRequest>,
    say: mpsc::Sender<Result<ControlResponse, Status>>,
    _place: OwnedSemaphorePermit,
) {
    let host = peer.identity.id.clone();
    let hello = match timeout(HELLO, heard.message()).await {
        Ok(Ok(Some(ControlRequest { message: Some(control_request::Message::Hello(hello)) }))) => {
            hello
        }
        Ok(Ok(_)) => return refuse(&say, "the first message has to be hello").await,
        Ok(Err(_)) => return,
        Err(_) => return refuse(&say, "no hello came").await,
    };
    // Nobody else writes to the stream: once the node lets go of its end, the stream is over.
    node.tell(Event::Hello {
        host: host.clone(),
        stream,
        serial: peer.serial,
        hello: Box::new(hello),
        say,
    })
    .await;
    loop {
        match heard.message().await {
            // It would be kept for as long as the host is here.
            Ok(Some(request)) if request.encoded_len() > MOST => break,
            Ok(Some(ControlRequest { message: Some(message) })) => {
                node.tell(Event::Said { host: host.clone(), stream, message }).await;
            }
            // Of a later version of the protocol.
            Ok(Some(ControlRequest { message: None })) => {}
            Ok(None) | Err(_) => break,
        }
    }
    node.tell(Event::Broken { host, stream }).await;
}

async fn refuse(say: &mpsc::Sender<Result<ControlResponse, Status>>, why: &str) {
    // Whoever has gone needs no reason.
    let _ = say.send(Err(Status::invalid_argument(why))).await;
}
