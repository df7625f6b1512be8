//! A replica of a control plane, as the sensor sees one: it speaks the real protocol over real TLS, does what a test
//! tells it to, and remembers all that it hears.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self as channel, RecvTimeoutError},
    },
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Result, bail};
use hyper::{body::Incoming, server::conn::http2};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, runtime::Runtime, sync::mpsc, task::AbortHandle};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{pki_types::UnixTime, time_provider::TimeProvider},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    codegen::{BoxFuture, Service, http},
};
use tonic_types::{ErrorDetails, StatusExt as _};
use wanglou_api::{
    identity::Role,
    sensor::v1::{
        ControlRequest, ControlResponse, Goodbye, Heartbeat, Hello, OrderReceipt, Welcome,
        control_request, control_response,
        order_receipt::{Refusal, Stage},
        sensor_service_server::{SensorService, SensorServiceServer},
        telemetry_service_server::TelemetryServiceServer,
    },
    tls::{self, Credentials},
};

use crate::{ingest::Ingest, pki::Pki};

/// Time for whatever a test waits for.
const PATIENCE: Duration = Duration::from_secs(40);

/// What was heard, on which stream.
pub type Heard = (usize, control_request::Message);

/// A replica that listens.
pub struct Replica {
    /// Where.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    events: channel::Receiver<Heard>,
    /// What becomes of telemetry.
    pub ingest: Ingest,
    /// All that was heard so far and that somebody has waited for, in order.
    pub log: Vec<(Instant, Heard)>,
    runtime: Option<Runtime>,
}

#[derive(Default)]
struct State {
    welcome: Welcome,
    /// How many are told to come again, and after how long.
    busy: (u32, Duration),
    refused: u32,
    streams: Vec<mpsc::Sender<Result<ControlResponse, Status>>>,
    connections: Vec<AbortHandle>,
}

struct Shared {
    state: Mutex<State>,
    events: channel::Sender<Heard>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Replica {
    /// One of the fleet `blue`, with a heartbeat a second.
    pub fn start(pki: &Pki, name: &str) -> Result<Self> {
        Self::start_at(pki, name, SystemTime::now())
    }

    /// One that lives at another time.
    pub fn start_at(pki: &Pki, name: &str, now: SystemTime) -> Result<Self> {
        let issued = pki.issue_at(&format!("spiffe://blue/replica/{name}"), now)?;
        let credentials = Credentials::read(&issued.certificate, &issued.key, &pki.authorities())?;
        let mut config = tls::server(&credentials, &"blue".parse()?, &[Role::Host])?;
        config.time_provider = Arc::new(Clock(UnixTime::since_unix_epoch(
            now.duration_since(SystemTime::UNIX_EPOCH)?,
        )));
        let second = prost_types::Duration { seconds: 1, nanos: 0 };
        let welcome = Welcome {
            replica_id: name.to_owned(),
            heartbeat_interval: Some(second),
            ..Welcome::default()
        };
        let (events, heard) = channel::channel();
        let state = Mutex::new(State { welcome, ..State::default() });
        let shared = Arc::new(Shared { state, events });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let (tls, ingest) = (TlsAcceptor::from(Arc::new(config)), Ingest::default());
        runtime.spawn(serve(listener, tls, Arc::clone(&shared), ingest.clone()));
        let runtime = Some(runtime);
        Ok(Self { address, shared, events: heard, ingest, log: Vec::new(), runtime })
    }

    /// Changes what the next one is welcomed with.
    pub fn welcome(&self, change: impl FnOnce(&mut Welcome)) {
        change(&mut self.shared.lock().welcome);
    }

    /// Has the next so many come again after a time.
    pub fn be_busy(&self, times: u32, delay: Duration) {
        self.shared.lock().busy = (times, delay);
    }

    /// How many have been told so.
    pub fn refused(&self) -> u32 {
        self.shared.lock().refused
    }

    /// Streams so far.
    pub fn streams(&self) -> usize {
        self.shared.lock().streams.len()
    }

    /// Says something on the last stream.
    pub fn say(&self, message: control_response::Message) -> Result<()> {
        let stream = self.shared.lock().streams.last().cloned();
        let Some(stream) = stream else { bail!("there is no stream") };
        stream.blocking_send(Ok(ControlResponse { message: Some(message) }))?;
        Ok(())
    }

    /// Breaks every connection.
    pub fn break_off(&self) {
        let connections = std::mem::take(&mut self.shared.lock().connections);
        connections.iter().for_each(AbortHandle::abort);
    }

    /// The next of what was heard that somebody is looking for.
    pub fn wait<T>(&mut self, what: &str, mut find: impl FnMut(&Heard) -> Option<T>) -> Result<T> {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(heard) => {
                    let found = find(&heard);
                    self.log.push((Instant::now(), heard));
                    if let Some(found) = found {
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    bail!("no {what}: heard {:?}", self.log)
                }
            }
        }
    }

    /// Waits for a hello.
    pub fn hello(&mut self) -> Result<Hello> {
        self.wait("hello", |(_, message)| match message {
            control_request::Message::Hello(hello) => Some(hello.clone()),
            _ => None,
        })
    }

    /// Waits for a heartbeat of a kind.
    pub fn heartbeat(&mut self, is: impl Fn(&Heartbeat) -> bool) -> Result<Heartbeat> {
        self.wait("such heartbeat", |(_, message)| match message {
            control_request::Message::Heartbeat(it) if is(it) => Some(it.clone()),
            _ => None,
        })
    }

    /// Waits for what becomes of an order.
    pub fn receipt(&mut self) -> Result<(u64, Stage, Refusal)> {
        let of = |it: &OrderReceipt| (it.epoch, it.stage(), it.refusal());
        self.wait("receipt", |(_, message)| match message {
            control_request::Message::OrderReceipt(it) => Some(of(it)),
            _ => None,
        })
    }

    /// Waits for what becomes of a command: its id and what went wrong.
    pub fn result(&mut self) -> Result<(String, String)> {
        self.wait("result", |(_, message)| match message {
            control_request::Message::CommandResult(it) => {
                Some((it.command_id.clone(), it.error.clone()))
            }
            _ => None,
        })
    }

    /// Waits for a goodbye.
    pub fn goodbye(&mut self) -> Result<Goodbye> {
        self.wait("goodbye", |(_, message)| match message {
            control_request::Message::Goodbye(it) => Some(*it),
            _ => None,
        })
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Debug)]
struct Clock(UnixTime);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, shared: Arc<Shared>, ingest: Ingest) {
    while let Ok((stream, _)) = listener.accept().await {
        let tls = tls.clone();
        let sensors = SensorServiceServer::new(Sensors(Arc::clone(&shared)));
        let telemetry = TelemetryServiceServer::new(ingest.clone());
        let service = Both { sensors, telemetry };
        let task = tokio::spawn(async move {
            // One that fails has told the other side why.
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = TowerToHyperService::new(service);
            let server = http2::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
        shared.lock().connections.push(task.abort_handle());
    }
}

/// By the path of what is asked.
#[derive(Clone)]
struct Both {
    sensors: SensorServiceServer<Sensors>,
    telemetry: TelemetryServiceServer<Ingest>,
}

impl Service<http::Request<Incoming>> for Both {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Incoming>) -> Self::Future {
        if request.uri().path().starts_with("/wanglou.sensor.v1.TelemetryService/") {
            self.telemetry.call(request)
        } else {
            self.sensors.call(request)
        }
    }
}

struct Sensors(Arc<Shared>);

#[tonic::async_trait]
impl SensorService for Sensors {
    type ControlStream = Pin<Box<ReceiverStream<Result<ControlResponse, Status>>>>;

    async fn control(
        &self,
        request: Request<Streaming<ControlRequest>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        let (say, said) = mpsc::channel(64);
        let (welcome, stream) = {
            let mut state = self.0.lock();
            if state.busy.0 > 0 {
                state.busy.0 -= 1;
                state.refused += 1;
                let details = ErrorDetails::with_retry_info(Some(state.busy.1));
                let status = Status::with_error_details(Code::ResourceExhausted, "busy", details);
                return Err(status);
            }
            state.streams.push(say.clone());
            (state.welcome.clone(), state.streams.len() - 1)
        };
        let message = Some(control_response::Message::Welcome(welcome));
        let _ = say.send(Ok(ControlResponse { message })).await;
        let (events, mut heard) = (self.0.events.clone(), request.into_inner());
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            while let Ok(Some(ControlRequest { message: Some(message) })) = heard.message().await {
                // A test that is over listens no more.
                let _ = events.send((stream, message));
            }
            // The other side has ended: so do we.
            shared.lock().streams[stream] = mpsc::channel(1).0;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(said))))
    }
}
