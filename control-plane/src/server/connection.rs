//! A connection whose other end is known, and that has to speak HTTP/2 before long.
//!
//! The server of HTTP/2 waits for its client's first words for ever: whoever says none, or other ones, would keep its place.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use wanglou_api::identity::Identity;

use super::tally::Entry;
use crate::counters::Counters;

/// What a client says first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Time for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection whose other end is known.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    /// Until it has said what a client says first.
    opening: Option<Opening>,
    counters: Arc<Counters>,
    _place: OwnedSemaphorePermit,
    _share: Entry<Identity>,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// As the certificate says.
    pub(crate) identity: Arc<Identity>,
    /// Of the certificate, in hexadecimal.
    pub(crate) serial: Arc<str>,
}

#[derive(Debug)]
struct Opening {
    /// What is still to come.
    rest: &'static [u8],
    late: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn new(
        stream: TlsStream<TcpStream>,
        peer: Peer,
        place: OwnedSemaphorePermit,
        share: Entry<Identity>,
        counters: Arc<Counters>,
    ) -> Self {
        let opening = Opening { rest: PREFACE, late: Box::pin(sleep(PATIENCE)) };
        Self { stream, peer, opening: Some(opening), counters, _place: place, _share: share }
    }

    /// Says whether these bytes go on as they have to.
    fn hear(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(opening) = &mut self.opening else { return Ok(()) };
        let (now, later) = opening.rest.split_at(bytes.len().min(opening.rest.len()));
        opening.rest = later;
        if !bytes.starts_with(now) {
            self.counters.no_http2().add(1);
            return Err(io::ErrorKind::InvalidData.into());
        }
        if later.is_empty() {
            self.opening = None;
        }
        Ok(())
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(opening) = &mut self.opening else { return read };
        if read.is_pending() {
            ready!(opening.late.as_mut().poll(cx));
            self.counters.no_http2().add(1);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(read)?;
        Poll::Ready(self.hear(&buf.filled()[before..]))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
