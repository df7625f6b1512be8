//! One host, as a replica meets it, that does what a test tells it to and nothing by itself.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;
use wanglou_api::dial::Dialer;
use wanglou_api::fleet::v1::event_service_client::EventServiceClient;
use wanglou_api::fleet::v1::fleet_service_client::FleetServiceClient;
use wanglou_api::order::v1::{Order, SignedOrder};
use wanglou_api::sensor::v1::control_request::Message as Say;
use wanglou_api::sensor::v1::control_response::Message as Heard;
use wanglou_api::sensor::v1::goodbye::Reason;
use wanglou_api::sensor::v1::heartbeat::State;
use wanglou_api::sensor::v1::order_receipt::Stage;
use wanglou_api::sensor::v1::sensor_service_client::SensorServiceClient;
use wanglou_api::sensor::v1::{
    ControlRequest, ControlResponse, Goodbye, Heartbeat, Hello, OrderReceipt, Welcome,
};
use wanglou_api::tls::Credentials;

use crate::Pki;

/// Time for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream of a host. Dropping it cuts the connection.
#[derive(Debug)]
pub struct Host {
    say: mpsc::Sender<ControlRequest>,
    heard: Streaming<ControlResponse>,
    /// The first that was heard.
    pub welcome: Welcome,
}

impl Host {
    /// Connects to a replica and says hello, as this start of the sensor.
    ///
    /// # Errors
    ///
    /// If the replica is not reached, or does not say welcome.
    pub async fn connect(pki: &Pki, endpoint: &str, id: &str, instance: &str) -> Result<Self> {
        let hello = Hello { instance_id: instance.to_owned(), ..hello(id) };
        Self::connect_with(pki, endpoint, id, hello).await
    }

    /// The same, with a hello of one's own.
    ///
    /// # Errors
    ///
    /// If the replica is not reached, or does not say welcome.
    pub async fn connect_with(pki: &Pki, endpoint: &str, id: &str, hello: Hello) -> Result<Self> {
        let channel = dial(pki, endpoint, "host", id).await?;
        let (say, said) = mpsc::channel(16);
        say.send(of(Say::Hello(hello))).await.context("no hello")?;
        let mut client = SensorServiceClient::new(channel);
        let heard = client.control(ReceiverStream::new(said)).await?.into_inner();
        let mut host = Self { say, heard, welcome: Welcome::default() };
        match host.hear().await? {
            Heard::Welcome(welcome) => host.welcome = welcome,
            other => bail!("no welcome but {other:?}"),
        }
        Ok(host)
    }

    /// The next that the replica says.
    ///
    /// # Errors
    ///
    /// If nothing comes, or the stream ends.
    pub async fn hear(&mut self) -> Result<Heard> {
        let heard = timeout(PATIENCE, self.heard.message()).await.context("nothing is heard")?;
        heard?.and_then(|it| it.message).context("the stream has ended")
    }

    /// The next order; probes are answered meanwhile, and other things passed over.
    ///
    /// # Errors
    ///
    /// If none comes.
    pub async fn order(&mut self) -> Result<(SignedOrder, Order)> {
        loop {
            match self.hear().await? {
                Heard::Order(signed) => {
                    let order = Order::decode(&*signed.order)?;
                    return Ok((signed, order));
                }
                Heard::Probe(_) => self.heartbeat(State::Working).await?,
                _ => {}
            }
        }
    }

    /// Whether nothing is said for so long but what may always be.
    ///
    /// # Errors
    ///
    /// With what is heard.
    pub async fn hears_nothing(&mut self, patience: Duration) -> Result<()> {
        let until = tokio::time::Instant::now() + patience;
        while let Ok(heard) = tokio::time::timeout_at(until, self.heard.message()).await {
            match heard?.and_then(|it| it.message) {
                Some(Heard::Endpoints(_) | Heard::Welcome(_)) => {}
                other => bail!("{other:?}"),
            }
        }
        Ok(())
    }

    /// Says something.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub async fn say(&self, message: Say) -> Result<()> {
        self.say.send(of(message)).await.context("the stream has ended")
    }

    /// Says how it is.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub async fn heartbeat(&self, state: State) -> Result<()> {
        self.say(Say::Heartbeat(Heartbeat { state: state.into(), ..Heartbeat::default() })).await
    }

    /// Says how far an order is.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub async fn receipt(&self, epoch: u64, stage: Stage) -> Result<()> {
        let receipt = OrderReceipt { epoch, stage: stage.into(), ..OrderReceipt::default() };
        self.say(Say::OrderReceipt(receipt)).await
    }

    /// Says goodbye.
    ///
    /// # Errors
    ///
    /// If the stream has ended.
    pub async fn goodbye(self, reason: Reason) -> Result<()> {
        self.say(Say::Goodbye(Goodbye { reason: reason.into() })).await?;
        // It is to arrive before the connection goes.
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }
}

/// What a host says at first.
pub fn hello(id: &str) -> Hello {
    Hello {
        boot_id: "8f0b3a3e-0000-4000-8000-000000000001".to_owned(),
        instance_id: "0000000000000001".to_owned(),
        version: "0.1.0".to_owned(),
        hostname: id.to_owned(),
        kernel_release: "6.1.0".to_owned(),
        architecture: "x86_64".to_owned(),
        ..Hello::default()
    }
}

/// An operator of the fleet, at a replica.
///
/// # Errors
///
/// If the replica is not reached.
pub async fn operator(pki: &Pki, endpoint: &str) -> Result<FleetServiceClient<Channel>> {
    Ok(FleetServiceClient::new(dial(pki, endpoint, "operator", "ops").await?))
}

/// The same operator, who reads events.
///
/// # Errors
///
/// If the replica is not reached.
pub async fn event_reader(pki: &Pki, endpoint: &str) -> Result<EventServiceClient<Channel>> {
    Ok(EventServiceClient::new(dial(pki, endpoint, "operator", "ops").await?))
}

/// A connection of somebody of the fleet.
pub(crate) async fn dial(pki: &Pki, endpoint: &str, role: &str, id: &str) -> Result<Channel> {
    let folder = tempfile::tempdir()?;
    let uri = format!("spiffe://{}/{role}/{id}", pki.name());
    let files = pki.issue(&uri)?.write(folder.path(), "own")?;
    let credentials = Credentials::read(&files.certificate, &files.key, &files.authorities)?;
    Ok(Dialer::new(&credentials)?.dial(endpoint).await?)
}

fn of(message: Say) -> ControlRequest {
    ControlRequest { message: Some(message) }
}
