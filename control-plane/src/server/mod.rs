//! The edge: connections, who is at their other end, and what they may ask for.
//!
//! ```text
//! accept   TLS, and who somebody is     connection   what is at the other end, and that it speaks HTTP/2
//! bucket   so many a second     tally   so many of each     admission   each host so often
//! sensors, publish, operators, events, peers   one service each
//! ```

mod accept;
mod admission;
mod bucket;
mod caller;
mod connection;
mod events;
mod operators;
mod peers;
mod publish;
mod sensors;
mod tally;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use accept::Limits;
use anyhow::{Context as _, Result};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tonic::transport::Server;
use wanglou_api::fleet::v1::event_service_server::EventServiceServer;
use wanglou_api::fleet::v1::fleet_service_server::FleetServiceServer;
use wanglou_api::peer::v1::peer_service_server::PeerServiceServer;
use wanglou_api::sensor::v1::sensor_service_server::SensorServiceServer;
use wanglou_api::sensor::v1::telemetry_service_server::TelemetryServiceServer;

use crate::counters::Counters;
use crate::ingest::MAX_RECORD;
use crate::node::Handles;
use crate::peers::Peers;
use crate::store::Store;
use events::Events;
use operators::Operators;
use peers::PeerHandlers;
pub(crate) use publish::Ingests;
use publish::Publish;
use sensors::Sensors;

/// Bytes that a peer may send before we have read them, a stream and a connection: a telemetry stream that is not read
/// from leaves room for the control stream beside it.
const WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 2 * WINDOW;
/// Streams of one connection.
const STREAMS: u32 = 8;
/// From one ping to the next, and time for its answer.
const PING: Duration = Duration::from_secs(10);
/// Bytes of a message.
const MESSAGE: usize = 512 << 10;
/// The same, of another replica: it may bring many orders.
const PEER_MESSAGE: usize = 16 << 20;

/// Where everybody comes in.
pub(crate) struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Arc<ServerConfig>,
    pub(crate) limits: Limits,
}

/// Serves everybody for as long as it is polled.
pub(crate) async fn serve(
    Door { listener, tls, limits }: Door,
    handles: Handles,
    store: Store,
    others: Arc<Peers>,
    ingests: Ingests,
    counters: Arc<Counters>,
) -> Result<()> {
    let Handles { node, view, orders } = handles;
    let sensors = SensorServiceServer::new(Sensors::new(
        node.clone(),
        limits.connections,
        Arc::clone(&counters),
    ));
    let peers = PeerServiceServer::new(PeerHandlers {
        node: node.clone(),
        view: Arc::clone(&view),
        orders,
        ingests: ingests.clone(),
    });
    let publish = TelemetryServiceServer::new(Publish(ingests.clone()));
    let events = EventServiceServer::new(Events { ingests, peers: Arc::clone(&others) });
    let operators = FleetServiceServer::new(Operators { node, view, store, peers: others });
    let (health, serving) = tonic_health::server::health_reporter();
    health.set_serving::<SensorServiceServer<Sensors>>().await;
    health.set_serving::<FleetServiceServer<Operators>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(wanglou_api::DESCRIPTORS)
        .build_v1()
        .context("cannot describe the services")?;
    Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(Some(PING))
        .http2_keepalive_timeout(Some(PING))
        .add_service(sensors.max_decoding_message_size(MESSAGE))
        .add_service(publish.max_decoding_message_size(MAX_RECORD))
        .add_service(events.max_decoding_message_size(MESSAGE))
        .add_service(operators.max_decoding_message_size(MESSAGE))
        .add_service(peers.max_decoding_message_size(PEER_MESSAGE))
        .add_service(serving)
        .add_service(reflection)
        .serve_with_incoming(accept::accept(listener, tls, limits, counters))
        .await
        .context("cannot serve")
}
