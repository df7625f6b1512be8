//! Connections, from the first byte to a peer that is known. What is dear, the handshake, is done so many times a second
//! and no more; who has not said hello costs a descriptor and a few kilobytes, for a few seconds, and of one address only
//! so many may do that at once; who has, and is not known yet, may have half of all places. Of one certificate there are only so many connections: whoever has stolen it takes no
//! place from others.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use wanglou_api::identity::{Identity, Role};
use wanglou_api::tls;

use super::bucket::Bucket;
use super::connection::{Connection, Peer};
use super::tally::{Entry, Tally};
use crate::counters::{CROWD, Counters};

/// Time for a peer to say hello, and for the rest of the handshake.
const HELLO: Duration = Duration::from_secs(5);
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Until another one is accepted when none can be: most often, too many files are open.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections of one address that have not said hello.
const SILENT: usize = 1_024;
/// Connections of one host: a machine has one, and another while that breaks; a few may have the same certificate.
const OF_HOST: usize = 32;
/// Connections of one operator or replica.
const OF_OTHER: usize = 1_024;
/// Peers that are known and wait to be served.
const READY: usize = 64;

/// How many of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections at once, whatever their state.
    pub(crate) connections: usize,
    /// Handshakes a second.
    pub(crate) handshakes_per_second: u32,
}

/// Accepts for as long as somebody takes what is given.
pub(crate) fn accept(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    limits: Limits,
    counters: Arc<Counters>,
) -> ReceiverStream<io::Result<Connection>> {
    let (ready, taken) = mpsc::channel(READY);
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(limits.connections));
        let bucket = Arc::new(Bucket::new(limits.handshakes_per_second));
        let (silent, unknown, known) = (Tally::default(), Tally::default(), Tally::default());
        loop {
            // Whoever comes while all places are taken waits in the kernel's queue.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (stream, address) = tokio::select! {
                () = ready.closed() => return,
                heard = listener.accept() => match heard {
                    Ok(heard) => heard,
                    Err(error) => {
                        tracing::debug!(%error, "nobody can be let in");
                        sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            // It takes places from all others.
            let entries = silent
                .enter(&address.ip(), SILENT)
                .zip(unknown.enter(&address.ip(), (limits.connections / 2).max(1)));
            let Some((silence, unknown)) = entries else {
                counters.crowded().add(1);
                continue;
            };
            let counters = Arc::clone(&counters);
            let (config, bucket, ready) = (Arc::clone(&config), Arc::clone(&bucket), ready.clone());
            let known = known.clone();
            tokio::spawn(async move {
                let (stream, peer) = match greet(stream, config, &bucket, silence, &counters).await
                {
                    Ok(greeted) => greeted,
                    Err(why) => {
                        counters.refused().add(1);
                        tracing::debug!(%address, why, "a connection is refused");
                        return;
                    }
                };
                drop(unknown);
                let most = if peer.identity.role == Role::Host { OF_HOST } else { OF_OTHER };
                let Some(share) = known.enter(&*peer.identity, most) else {
                    counters.too_many().add(1);
                    return;
                };
                counters.accepted().add(1);
                let connection = Connection::new(stream, peer, place, share, counters);
                // Nobody may serve any more.
                let _ = ready.send(Ok(connection)).await;
            });
        }
    });
    ReceiverStream::new(taken)
}

async fn greet(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    bucket: &Bucket,
    silence: Entry<IpAddr>,
    counters: &Counters,
) -> Result<(TlsStream<TcpStream>, Peer), String> {
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    let hello = timeout(HELLO, hello).await.map_err(|_| "it says nothing".to_owned())?;
    let hello = hello.map_err(|error| error.to_string())?;
    drop(silence);
    // It waits for its turn here, where it has cost next to nothing.
    let began = Instant::now();
    let turn = timeout(HANDSHAKE, bucket.take()).await;
    if began.elapsed() > CROWD {
        counters.crowds();
    }
    turn.map_err(|_| "too many handshakes".to_owned())?;
    let stream = timeout(HANDSHAKE, hello.into_stream(config)).await;
    let stream = stream.map_err(|_| "its handshake takes too long".to_owned())?;
    let stream = stream.map_err(|error| told(&error))?;
    let (_, session) = stream.get_ref();
    let certificate = session.peer_certificates().and_then(<[_]>::first);
    let certificate = certificate.ok_or("it has no certificate")?;
    let identity = Identity::of_certificate(certificate).map_err(|error| error.to_string())?;
    let (_, parsed) =
        x509_parser::parse_x509_certificate(certificate).map_err(|error| error.to_string())?;
    let serial = parsed.tbs_certificate.raw_serial_as_string();
    Ok((stream, Peer { identity: Arc::new(identity), serial: serial.into() }))
}

/// What our own look at the certificate says, where that is behind it.
fn told(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.map_or_else(|| error.to_string(), tls::why)
}
