//! Calls to a replica: from an endpoint to a channel whose other end is known.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use thiserror::Error;
use tokio::io::AsyncBufReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};

use crate::tls::{self, Credentials, Sight};

/// Of a replica, where an endpoint names none.
pub const DEFAULT_PORT: u16 = 7443;

/// For name, connection and handshake together.
const CONNECT: Duration = Duration::from_secs(5);
/// Between questions whether the other end is there, and for its answer.
const PING: Duration = Duration::from_secs(10);
/// Of a stream and of a connection, in bytes: what a peer may send before it is read.
const WINDOW: u32 = 64 << 10;

/// Calls replicas of one's own fleet.
#[derive(Clone, Debug)]
pub struct Dialer {
    config: Arc<ClientConfig>,
}

/// Why there is nobody to talk to.
#[derive(Debug, Error)]
pub enum DialError {
    /// It is no `name:port`, `address:port` or one of them alone.
    #[error("{0:?} is no endpoint: name:port or address:port")]
    Endpoint(String),
    /// There is no such name, nobody listens, or the way is closed.
    #[error("{0}: {1}")]
    Connect(String, #[source] io::Error),
    /// It has not answered for five seconds.
    #[error("{0}: no answer within {n} s", n = CONNECT.as_secs())]
    Timeout(String),
    /// It is no replica of the fleet.
    #[error("{0}: {1}")]
    Peer(String, String),
    /// It has looked at our certificate and hung up, with this alert.
    #[error("{0}: it does not accept our certificate ({1})")]
    Refused(String, String),
    /// The channel could not be set up over a connection that stands.
    #[error("{0}: {1}")]
    Channel(String, #[source] tonic::transport::Error),
}

impl Dialer {
    /// For somebody with these credentials, who trusts the own clock.
    pub fn new(credentials: &Credentials) -> Result<Self, rustls::Error> {
        let fleet = &credentials.identity().fleet;
        let config = tls::client(credentials, fleet, Sight::OwnClock)?;
        Ok(Self { config: Arc::new(config) })
    }

    /// A channel to `endpoint`: `name:port` or `address:port`, where the port may be missing. It is up when this
    /// returns, and when it breaks it is dialled again by the next call over it.
    pub async fn dial(&self, endpoint: &str) -> Result<Channel, DialError> {
        let target = Target::of(endpoint)?;
        // What fails in the beginning fails here, where it is told as it is.
        let first = self.connect(&target).await?;
        let mut first = Some(first);
        let dialer = self.clone();
        let wanted = target.clone();
        let connector = tower::service_fn(move |_| {
            let (dialer, target, first) = (dialer.clone(), wanted.clone(), first.take());
            async move {
                match first {
                    Some(stream) => Ok(stream),
                    None => dialer.connect(&target).await,
                }
                .map(TokioIo::new)
            }
        });
        // The name is on paper only: who answers, the certificate says.
        let channel = Endpoint::from_static("http://replica")
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .keep_alive_while_idle(true)
            .connect_with_connector(connector)
            .await;
        channel.map_err(|error| DialError::Channel(target.text, error))
    }

    async fn connect(&self, target: &Target) -> Result<TlsStream<TcpStream>, DialError> {
        let connected = timeout(CONNECT, self.handshake(target)).await;
        connected.map_err(|_| DialError::Timeout(target.text.clone()))?
    }

    async fn handshake(&self, target: &Target) -> Result<TlsStream<TcpStream>, DialError> {
        let broken = |error| DialError::Connect(target.text.clone(), error);
        let stream = TcpStream::connect((&*target.host, target.port)).await.map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        // Only there because TLS wants one: it is neither sent nor looked at.
        let name = ServerName::try_from("replica").map_err(|_| broken(invalid()))?;
        let connecting = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream);
        let mut stream = connecting.await.map_err(|error| match rustls_error(&error) {
            Some(why) => DialError::Peer(target.text.clone(), tls::why(why)),
            None => broken(error),
        })?;
        // In TLS 1.3 a client has finished before the server has seen its certificate. A server of HTTP/2 speaks at
        // once (RFC 9113, 3.4): with its first byte we are let in.
        match stream.fill_buf().await {
            Ok([]) => Err(broken(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(stream),
            Err(error) => Err(match rustls_error(&error) {
                Some(rustls::Error::AlertReceived(alert)) => {
                    DialError::Refused(target.text.clone(), format!("{alert:?}"))
                }
                _ => broken(error),
            }),
        }
    }
}

fn invalid() -> io::Error {
    io::ErrorKind::InvalidInput.into()
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Target {
    text: String,
    host: String,
    port: u16,
}

impl Target {
    fn of(endpoint: &str) -> Result<Self, DialError> {
        let bad = || DialError::Endpoint(endpoint.chars().take(256).collect());
        let colons = endpoint.matches(':').count();
        let (host, port) = match endpoint.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(bad)?;
                let port = if port.is_empty() { None } else { port.strip_prefix(':').or(Some("")) };
                (host, port)
            }
            // An address of IPv6 alone.
            None if colons > 1 => (endpoint, None),
            None => endpoint.split_once(':').map_or((endpoint, None), |(h, p)| (h, Some(p))),
        };
        let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| bad()))?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte);
        if host.is_empty() || port == 0 || !host.bytes().all(fits) {
            return Err(bad());
        }
        let text =
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Ok(Self { text, host: host.to_owned(), port })
    }
}

/// Whether it is an endpoint, before anybody is called.
pub fn check_endpoint(endpoint: &str) -> Result<(), DialError> {
    Target::of(endpoint).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(endpoint: &str) -> Option<String> {
        Target::of(endpoint).ok().map(|target| target.text)
    }

    #[test]
    fn endpoints_are_names_or_addresses_with_or_without_a_port() {
        for (endpoint, expected) in [
            ("one.example", "one.example:7443"),
            ("one.example:80", "one.example:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
            ("[2001:db8::1]", "[2001:db8::1]:7443"),
            ("2001:db8::1", "[2001:db8::1]:7443"),
        ] {
            assert_eq!(text(endpoint).as_deref(), Some(expected), "{endpoint}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for endpoint in
            ["", ":80", "a:", "a:0", "a:65536", "a b", "https://a", "[::1", "[::1]80", "a/b"]
        {
            assert_eq!(text(endpoint), None, "{endpoint}");
        }
    }
}
