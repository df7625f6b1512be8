//! Somebody with a certificate of the fleet who says what no sensor would.
//!
//! ```text
//! Raw ── greet ────▶ half of TLS
//!     ├─ connect ──▶ TLS, and nothing said yet
//!     └─ open ─────▶ Line: HTTP/2 ── call ──▶ Call: whatever bytes on a control stream
//! ```

use std::future::poll_fn;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use prost::Message as _;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wanglou_api::sensor::v1::ControlRequest;
use wanglou_api::sensor::v1::control_request::Message;
use wanglou_api::tls::{self, Credentials, Sight};

use crate::Pki;

const URI: &str = "https://replica/wanglou.sensor.v1.SensorService/Control";

/// A host's certificate, and the replica that it is shown to.
#[derive(Clone, Debug)]
pub struct Raw {
    config: Arc<ClientConfig>,
    endpoint: String,
}

impl Raw {
    /// For a host of this id.
    ///
    /// # Errors
    ///
    /// If there is no certificate for it.
    pub fn new(pki: &Pki, endpoint: &str, id: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let uri = format!("spiffe://{}/host/{id}", pki.name());
        let files = pki.issue(&uri)?.write(folder.path(), "own")?;
        let own = Credentials::read(&files.certificate, &files.key, &files.authorities)?;
        let config = Arc::new(tls::client(&own, &pki.name().parse()?, Sight::OwnClock)?);
        Ok(Self { config, endpoint: endpoint.to_owned() })
    }

    /// Connects, and says who it is.
    ///
    /// # Errors
    ///
    /// If the replica does not want it.
    pub async fn connect(&self) -> Result<TlsStream<TcpStream>> {
        let stream = from_elsewhere(&self.endpoint).await?;
        let name = ServerName::try_from("replica")?;
        let connecting = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream);
        connecting.await.context("handshake")
    }

    /// Connects, and says a whole `ClientHello` and nothing after that.
    ///
    /// # Errors
    ///
    /// If nobody listens.
    pub async fn greet(&self) -> Result<TcpStream> {
        let name = ServerName::try_from("replica")?;
        let mut hello = Vec::new();
        ClientConnection::new(Arc::clone(&self.config), name)?.write_tls(&mut hello)?;
        let mut stream = from_elsewhere(&self.endpoint).await?;
        // One that is refused at once may have closed already.
        let _ = stream.write_all(&hello).await;
        Ok(stream)
    }

    /// Connects and speaks HTTP/2, with so many bytes of each stream that the replica may send before they are read.
    ///
    /// # Errors
    ///
    /// If the replica does not want it.
    pub async fn open(&self, window: u32) -> Result<Line> {
        let stream = self.connect().await?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window);
        let (requests, connection) = builder.handshake(stream).await.context("HTTP/2")?;
        Ok(Line { requests, task: tokio::spawn(async { drop(connection.await) }) })
    }
}

/// A connection from another address of loopback than that of everybody else.
///
/// # Errors
///
/// If nobody listens.
pub async fn from_elsewhere(endpoint: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 2], 0).into())?;
    socket.connect(endpoint.parse()?).await.with_context(|| format!("cannot connect to {endpoint}"))
}

/// A connection. Dropping it cuts it.
#[derive(Debug)]
pub struct Line {
    requests: SendRequest<Bytes>,
    task: JoinHandle<()>,
}

impl Line {
    /// Opens a control stream, on which nothing is said yet.
    ///
    /// # Errors
    ///
    /// If the connection has ended.
    pub async fn call(&mut self) -> Result<Call> {
        let mut requests = self.requests.clone().ready().await?;
        let request = Request::post(URI)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())?;
        let (response, say) = requests.send_request(request, false)?;
        Ok(Call { say, response: Some(response), heard: None })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A control stream. Dropping it takes it back, and not the connection.
#[derive(Debug)]
pub struct Call {
    say: SendStream<Bytes>,
    response: Option<ResponseFuture>,
    /// What comes and that nobody reads.
    heard: Option<RecvStream>,
}

impl Call {
    /// Says something as a sensor would.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub fn message(&mut self, message: Message) -> Result<()> {
        let message = ControlRequest { message: Some(message) };
        let mut bytes = BytesMut::with_capacity(5 + message.encoded_len());
        bytes.put_u8(0);
        bytes.put_u32(u32::try_from(message.encoded_len())?);
        message.encode(&mut bytes)?;
        self.bytes(bytes.freeze())
    }

    /// Says whatever these are.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub fn bytes(&mut self, bytes: Bytes) -> Result<()> {
        Ok(self.say.send_data(bytes, false)?)
    }

    /// The same, once it is read as far as that it can be sent.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub async fn say_when_there_is_room(&mut self, bytes: &Bytes) -> Result<()> {
        self.say.reserve_capacity(bytes.len());
        while self.say.capacity() < bytes.len() {
            poll_fn(|cx| self.say.poll_capacity(cx)).await.context("it has ended")??;
        }
        self.bytes(bytes.clone())
    }

    /// Waits until the replica has answered, and reads nothing of what it says.
    ///
    /// # Errors
    ///
    /// If it does not let the host in; with the number of its status.
    pub async fn answered(&mut self) -> Result<()> {
        let Some(response) = self.response.take() else { return Ok(()) };
        let response = response.await?;
        if let Some(status) = status(response.headers()) {
            anyhow::bail!("status {status}");
        }
        self.heard = Some(response.into_body());
        Ok(())
    }

    /// The number of the status with which the replica ends it: 0 for none, as when the stream is reset.
    ///
    /// # Errors
    ///
    /// If the connection breaks.
    pub async fn ended(mut self) -> Result<u16> {
        let mut heard = match (self.heard.take(), self.response.take()) {
            (Some(heard), _) => heard,
            (None, Some(response)) => {
                let response = response.await?;
                if let Some(status) = status(response.headers()) {
                    return Ok(status);
                }
                response.into_body()
            }
            (None, None) => return Ok(0),
        };
        while let Some(data) = heard.data().await {
            let length = data?.len();
            heard.flow_control().release_capacity(length)?;
        }
        Ok(heard.trailers().await?.as_ref().and_then(status).unwrap_or(0))
    }
}

fn status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
