//! From an endpoint to a stream on which hello has been said and a replica has answered.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;
use wanglou_api::sensor::v1::sensor_service_client::SensorServiceClient;
use wanglou_api::sensor::v1::{
    ControlRequest, ControlResponse, Hello, Welcome, control_request, control_response,
};
use wanglou_api::tls;

use super::random::{random, shuffle};
use crate::telemetry::State;
use crate::uplink::{Keeping, sender};

/// Time for a name to be found, and for a connection.
const NAME: Duration = Duration::from_secs(5);
const CONNECTION: Duration = Duration::from_secs(5);
/// Time for all that follows, until a replica that has many to welcome has welcomed us.
const WELCOME: Duration = Duration::from_secs(20);
/// Messages to a replica that wait to be written.
const WAITING: usize = 16;
/// Flow-control windows of HTTP/2, and what waits in its buffer, bytes.
const WINDOW: u32 = 64 << 10;
const FRAME: u32 = 16 << 10;
/// An order of 256 KiB has room, bytes.
const MAX_MESSAGE: usize = 320 << 10;
/// Whether somebody is there is asked so often, and so long is waited for the answer.
const PING: Duration = Duration::from_secs(10);

/// Why there is no stream, or not any more.
#[derive(Debug, Error)]
pub(super) enum LinkError {
    /// Our own files.
    #[error("{0}")]
    Fault(String),
    /// Nobody is there, or nobody answers.
    #[error("{0}")]
    Unreached(String),
    /// One of both does not want to talk to the other.
    #[error("{0}")]
    Refused(String),
    /// Others come first: again after so long, if it says so.
    #[error("the replica is busy")]
    Busy(Option<Duration>),
}

impl From<Status> for LinkError {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::ResourceExhausted => {
                let told = status.get_details_retry_info().and_then(|it| it.retry_delay);
                Self::Busy(told)
            }
            Code::Unauthenticated | Code::PermissionDenied | Code::InvalidArgument => {
                Self::Refused(status.message().to_owned())
            }
            _ => Self::of(&status),
        }
    }
}

impl LinkError {
    /// What is at the bottom of it: what lies above only says that a connection has failed.
    fn of(error: &(dyn Error + 'static)) -> Self {
        let mut cause = error;
        loop {
            let io = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            let tls = io.and_then(|io| io.downcast_ref::<rustls::Error>());
            if let Some(tls) = tls.or_else(|| cause.downcast_ref()) {
                return Self::Refused(tls::why(tls));
            }
            match cause.source() {
                Some(source) => cause = source,
                None => return Self::Unreached(cause.to_string()),
            }
        }
    }
}

/// Where a name leads, by chance in any order. What the host's files say of names counts, and no module of its C library
/// does.
pub(super) async fn resolve(name: &str) -> Result<Vec<IpAddr>, LinkError> {
    let of = |what: &dyn fmt::Display| LinkError::Unreached(format!("its name: {what}"));
    let resolver =
        TokioResolver::builder_tokio().and_then(hickory_resolver::ResolverBuilder::build);
    let resolver = resolver.map_err(|error| of(&error))?;
    let found = timeout(NAME, resolver.lookup_ip(name)).await;
    let found = found.map_err(|_| of(&"no answer"))?.map_err(|error| of(&error))?;
    let mut addresses: Vec<_> = found.iter().collect();
    shuffle(&mut addresses, random);
    Ok(addresses)
}

/// What may have to be said about one thing that is heard.
const ANSWERS: usize = 4;

/// A stream. Gone with this.
pub(super) struct Stream {
    say: Option<mpsc::Sender<ControlRequest>>,
    heard: Streaming<ControlResponse>,
    channel: Channel,
    origin: Uri,
    _connection: Task,
}

/// What goes on for as long as somebody has this.
pub(super) struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Stream {
    /// Tells the replica what there is for the fleet, on the same connection, for as long as the task is there.
    pub(super) fn publish(&self, keeping: &Keeping, state: &State) -> Task {
        let (channel, origin) = (self.channel.clone(), self.origin.clone());
        let publish = sender::publish(channel, origin, keeping.clone(), state.clone());
        Task(tokio::spawn(publish))
    }

    /// Says something, unless the replica has not taken what was said before.
    pub(super) fn say(&self, message: control_request::Message) -> Result<(), LinkError> {
        let message = ControlRequest { message: Some(message) };
        let is_said = self.say.as_ref().is_some_and(|say| say.try_send(message).is_ok());
        let full = || LinkError::Unreached("it takes nothing any more".to_owned());
        if is_said { Ok(()) } else { Err(full()) }
    }

    /// The next that the replica says.
    pub(super) async fn hear(&mut self) -> Result<Option<control_response::Message>, LinkError> {
        match self.heard.message().await? {
            // `None` where it is of a later version of the protocol.
            Some(ControlResponse { message }) => Ok(message),
            None => Err(LinkError::Unreached("it has ended the stream".to_owned())),
        }
    }

    /// Whether an answer to what is heard next can be said.
    pub(super) fn has_room(&self) -> bool {
        self.say.as_ref().is_some_and(|say| say.capacity() > ANSWERS)
    }

    /// Has said the last, and waits until the other end has heard it.
    pub(super) async fn finish(&mut self) {
        self.say = None;
        while self.hear().await.is_ok() {}
    }
}

/// Says hello there.
pub(super) async fn dial(
    to: SocketAddr,
    tls: Arc<ClientConfig>,
    hello: Hello,
) -> Result<(Stream, Welcome), LinkError> {
    let silent = |_| LinkError::Unreached("no answer".to_owned());
    let tcp = timeout(CONNECTION, TcpStream::connect(to)).await.map_err(silent)?;
    let tcp = tcp.map_err(|error| LinkError::of(&error))?;
    // What is said is said at once; where that cannot be it is said a little later.
    let _ = tcp.set_nodelay(true);
    timeout(WELCOME, greet(to, tcp, tls, hello)).await.map_err(silent)?
}

async fn greet(
    to: SocketAddr,
    tcp: TcpStream,
    tls: Arc<ClientConfig>,
    hello: Hello,
) -> Result<(Stream, Welcome), LinkError> {
    let name = ServerName::IpAddress(to.ip().into());
    let tls = TlsConnector::from(tls).connect(name, tcp).await;
    let tls = tls.map_err(|error| LinkError::of(&error))?;
    let (channel, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW)
        // Room for what is heard on both streams.
        .initial_connection_window_size(2 * WINDOW)
        .max_frame_size(FRAME)
        .max_send_buf_size(WINDOW as usize)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(tls))
        .await
        .map_err(|error| LinkError::of(&error))?;
    let connection = Task(tokio::spawn(async move {
        // Whoever speaks over it hears why it has ended.
        let _ = connection.await;
    }));
    let (say, said) = mpsc::channel(WAITING);
    let uri = Uri::builder().scheme("https").authority(to.to_string()).path_and_query("/").build();
    let uri = uri.map_err(|error| LinkError::Fault(error.to_string()))?;
    let (channel, origin) = (Channel(channel), uri.clone());
    let mut client = SensorServiceClient::with_origin(channel.clone(), uri)
        .max_decoding_message_size(MAX_MESSAGE);
    let first = ControlRequest { message: Some(control_request::Message::Hello(hello)) };
    say.try_send(first).map_err(|error| LinkError::Fault(error.to_string()))?;
    let heard = client.control(ReceiverStream::new(said)).await?.into_inner();
    let say = Some(say);
    let mut stream = Stream { say, heard, channel, origin, _connection: connection };
    match stream.hear().await? {
        Some(control_response::Message::Welcome(welcome)) => Ok((stream, welcome)),
        _ => Err(LinkError::Refused("it does not begin with a welcome".to_owned())),
    }
}

/// A connection, as a client of tonic has it.
#[derive(Clone)]
struct Channel(SendRequest<Body>);

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
