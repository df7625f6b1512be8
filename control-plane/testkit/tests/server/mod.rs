//! The least that speaks the protocol: welcomes everybody, and counts what it hears.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wanglou_api::identity::Role;
use wanglou_api::order::v1::order::Kind;
use wanglou_api::order::v1::{Order, Selector};
use wanglou_api::sensor::v1::control_request::Message;
use wanglou_api::sensor::v1::control_response::Message as Said;
use wanglou_api::sensor::v1::order_receipt::Stage;
use wanglou_api::sensor::v1::sensor_service_server::{SensorService, SensorServiceServer};
use wanglou_api::sensor::v1::{ControlRequest, ControlResponse, Probe, Welcome};
use wanglou_api::signing::Signer;
use wanglou_api::tls::{self, Credentials};
use wanglou_fleet_testkit::Fleet;
use wanglou_fleet_testkit::pki::OrderKey;

/// What it has heard, of all hosts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    pub(crate) hellos: u64,
    pub(crate) heartbeats: u64,
    pub(crate) received: u64,
    pub(crate) detached: u64,
    pub(crate) refused: u64,
    pub(crate) goodbyes: u64,
}

#[derive(Clone)]
struct Service {
    heard: Arc<Mutex<Heard>>,
    say: broadcast::Sender<Said>,
}

pub(crate) struct Server {
    address: String,
    service: Service,
}

/// A key that nobody trusts.
pub(crate) fn stranger() -> Result<Signer> {
    OrderKey::new()?.signer()
}

impl Server {
    pub(crate) async fn start(fleet: &Fleet) -> Result<Self> {
        let uri = format!("spiffe://{}/replica/one", fleet.name);
        let files = fleet.pki.issue(&uri)?.write(fleet.folder(), "one")?;
        let credentials = Credentials::read(&files.certificate, &files.key, &files.authorities)?;
        let config = tls::server(&credentials, &fleet.name.parse()?, &[Role::Host])?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (give, ready) = mpsc::channel(64);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, give) = (acceptor.clone(), give.clone());
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let _ = give.send(acceptor.accept(stream).await).await;
                });
            }
        });
        let service = Service { heard: Arc::default(), say: broadcast::channel(64).0 };
        let router = tonic::transport::Server::builder()
            .add_service(SensorServiceServer::new(service.clone()));
        let ready = ReceiverStream::new(ready).filter(Result::is_ok);
        tokio::spawn(router.serve_with_incoming(ready));
        Ok(Self { address, service })
    }

    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    pub(crate) fn probe(&self) {
        let _ = self.service.say.send(Said::Probe(Probe {}));
    }

    pub(crate) fn stop(&self, signer: &Signer, fleet: &str, epoch: u64) {
        let order = Order {
            fleet: fleet.to_owned(),
            kind: Kind::Stop.into(),
            selector: Some(Selector::default()),
            epoch,
            ..Order::default()
        };
        let _ = self.service.say.send(Said::Order(signer.sign(order.encode_to_vec())));
    }

    pub(crate) fn heard(&self) -> Heard {
        *self.service.heard.lock().expect("no panic")
    }

    pub(crate) async fn until(
        &self,
        patience: Duration,
        enough: impl Fn(&Heard) -> bool,
    ) -> Result<()> {
        let started = Instant::now();
        while !enough(&self.heard()) {
            if started.elapsed() > patience {
                bail!("the server has only heard {:?}", self.heard());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Service {
    fn hear(&self, message: Option<&Message>) {
        let mut heard = self.heard.lock().expect("no panic");
        match message {
            Some(Message::Hello(_)) => heard.hellos += 1,
            Some(Message::Heartbeat(_)) => heard.heartbeats += 1,
            Some(Message::Goodbye(_)) => heard.goodbyes += 1,
            Some(Message::OrderReceipt(receipt)) => match receipt.stage() {
                Stage::Received => heard.received += 1,
                Stage::Detached => heard.detached += 1,
                Stage::Refused => heard.refused += 1,
                _ => {}
            },
            _ => {}
        }
    }
}

#[tonic::async_trait]
impl SensorService for Service {
    type ControlStream = Pin<Box<ReceiverStream<Result<ControlResponse, Status>>>>;

    async fn control(
        &self,
        request: Request<Streaming<ControlRequest>>,
    ) -> Result<Response<Self::ControlStream>, Status> {
        let mut hosts = request.into_inner();
        let (say, said) = mpsc::channel(16);
        let (service, mut orders) = (self.clone(), self.say.subscribe());
        tokio::spawn(async move {
            let welcome = Welcome { replica_id: "one".to_owned(), ..Welcome::default() };
            let mut next = Some(Said::Welcome(welcome));
            loop {
                if let Some(message) = next.take()
                    && say.send(Ok(ControlResponse { message: Some(message) })).await.is_err()
                {
                    return;
                }
                tokio::select! {
                    order = orders.recv() => next = order.ok(),
                    message = hosts.message() => match message {
                        Ok(Some(message)) => service.hear(message.message.as_ref()),
                        _ => return,
                    },
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(said))))
    }
}
