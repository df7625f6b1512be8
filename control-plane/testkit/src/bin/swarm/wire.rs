//! gRPC over HTTP/2 over TLS, with less of it than a client has: no task, no buffer that is not needed, and frames that
//! no honest client would send. What is not polled neither reads nor writes.

use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result, bail};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::{PingPong, RecvStream, SendStream};
use http::{HeaderMap, Request};
use prost::Message as _;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wanglou_api::sensor::v1::control_request::Message;
use wanglou_api::sensor::v1::{ControlRequest, ControlResponse};

use crate::host::Host;
use crate::world::World;

const URI: &str = "https://replica/wanglou.sensor.v1.SensorService/Control";
/// Bytes of a message of a replica.
const MAX: usize = 1 << 20;

/// What the stream is on.
pub(crate) type Connection = h2::client::Connection<TlsStream<TcpStream>, Bytes>;

/// A stream that is open.
pub(crate) struct Wire {
    /// To be polled for anything to happen.
    pub(crate) connection: Connection,
    pub(crate) heard: Heard,
    pub(crate) say: Say,
    pub(crate) ping: PingPong,
}

impl Wire {
    /// Calls, and begins with a message.
    pub(crate) async fn open(
        world: &World,
        host: &Host,
        endpoint: &str,
        hello: Message,
    ) -> Result<Self> {
        world.counts.calls.fetch_add(1, Ordering::Relaxed);
        let stream = TcpStream::connect(endpoint).await.context("connect")?;
        stream.set_nodelay(true)?;
        let config = world.tls(host.certificate(world)?);
        let name = ServerName::try_from("replica")?;
        let stream = TlsConnector::from(config).connect(name, stream).await.context("handshake")?;
        let mut builder = h2::client::Builder::new();
        builder.enable_push(false).max_send_buffer_size(16 << 10).max_concurrent_reset_streams(0);
        let (mut requests, mut connection) = builder.handshake(stream).await.context("HTTP/2")?;
        let request = Request::post(URI)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let (response, stream) = requests.send_request(request, false).context("request")?;
        let mut say = Say(stream);
        say.message(hello)?;
        let ping = connection.ping_pong().context("no pings")?;
        let response = tokio::select! {
            response = response => response.context("response")?,
            ended = &mut connection => bail!("the connection ended: {ended:?}"),
        };
        // A refusal at once has its trailers in front.
        if let Some(why) = status(response.headers()) {
            bail!("{why}");
        }
        let heard = Heard { stream: response.into_body(), rest: BytesMut::new() };
        Ok(Self { connection, heard, say, ping })
    }
}

/// What the replica says.
pub(crate) struct Heard {
    stream: RecvStream,
    rest: BytesMut,
}

impl Heard {
    /// The next message. May be given up and called again.
    pub(crate) async fn next(&mut self) -> Result<ControlResponse> {
        loop {
            if let Some(message) = self.parse()? {
                return Ok(message);
            }
            let Some(data) = self.stream.data().await else {
                let trailers = self.stream.trailers().await?.unwrap_or_default();
                bail!("{}", status(&trailers).unwrap_or_else(|| "the stream ended".to_owned()));
            };
            let data = data?;
            self.stream.flow_control().release_capacity(data.len())?;
            self.rest.extend_from_slice(&data);
        }
    }

    /// One whole message, if there is one.
    fn parse(&mut self) -> Result<Option<ControlResponse>> {
        let Some((head, body)) = self.rest.split_first_chunk::<5>() else { return Ok(None) };
        let [0, length @ ..] = head else { bail!("a compressed message") };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX {
            bail!("a message of {length} bytes");
        }
        if body.len() < length {
            return Ok(None);
        }
        self.rest.advance(5);
        let message = ControlResponse::decode(self.rest.split_to(length).freeze())?;
        // Nothing is kept between messages.
        if self.rest.is_empty() {
            self.rest = BytesMut::new();
        }
        Ok(Some(message))
    }
}

/// What a stream ended with, unless that is nothing or all is well.
fn status(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).map(|it| String::from_utf8_lossy(it.as_bytes()));
    let status = text("grpc-status")?;
    Some(format!("status {status}: {}", text("grpc-message").unwrap_or_default()))
}

/// What the host says.
pub(crate) struct Say(SendStream<Bytes>);

impl Say {
    pub(crate) fn message(&mut self, message: Message) -> Result<()> {
        let message = ControlRequest { message: Some(message) };
        let mut bytes = BytesMut::with_capacity(5 + message.encoded_len());
        bytes.put_u8(0);
        bytes.put_u32(u32::try_from(message.encoded_len())?);
        message.encode(&mut bytes)?;
        self.bytes(bytes.freeze())
    }

    /// Whatever these are.
    pub(crate) fn bytes(&mut self, bytes: Bytes) -> Result<()> {
        Ok(self.0.send_data(bytes, false)?)
    }

    /// No more will come.
    pub(crate) fn end(&mut self) -> Result<()> {
        Ok(self.0.send_data(Bytes::new(), true)?)
    }
}
