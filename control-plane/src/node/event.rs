//! What a node hears, and the way to it.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;
use wanglou_api::fleet::v1::{OrderProgress, RunCommandResponse};
use wanglou_api::identity::Name;
use wanglou_api::order::v1::{Order, Selector, SignedOrder};
use wanglou_api::sensor::v1::control_request::Message as Said;
use wanglou_api::sensor::v1::{Command, ControlResponse, Hello};
use wanglou_api::signing::OrderError;

use crate::fleet::Millis;
use crate::fleet::leases::LeaseId;
use crate::fleet::orders::{Key, Known};
use crate::fleet::placement::{Change, Outcome};
use crate::fleet::sessions::StreamId;
use crate::store::StoreError;
use crate::store::watch::Told;

/// The way to a node.
#[derive(Clone, Debug)]
pub(crate) struct Node(mpsc::Sender<Event>);

/// What a host is told. In a box: a channel has room for 32 of what it carries from the beginning.
pub(crate) type Answer = Result<Box<ControlResponse>, Status>;

/// The way to a host.
pub(crate) type ToHost = mpsc::Sender<Answer>;

/// What a node hears.
#[derive(Debug)]
pub(crate) enum Event {
    /// A host has opened a stream.
    Hello {
        host: Name,
        stream: StreamId,
        serial: Arc<str>,
        hello: Box<Hello>,
        say: ToHost,
        over: oneshot::Sender<()>,
    },
    /// It has come, and is to come again after so long.
    TurnedAway { host: Name, delay: Duration },
    /// It says something.
    Said { host: Name, stream: StreamId, message: Said },
    /// What its telemetry stream told is refused.
    RecordRefused { host: Name },
    /// Its stream is over.
    Broken { host: Name, stream: StreamId },
    /// Of etcd.
    Watched(Told),
    /// It fails, and is tried again.
    Blind(StoreError),
    /// Whether etcd has answered at once, when it was asked at this time.
    Answers(bool, Millis),
    /// A lease was granted, or not.
    Granted(Result<LeaseId, StoreError>),
    /// Leases were renewed; these are no more.
    Renewed(Result<Vec<LeaseId>, StoreError>),
    /// A batch was committed, or nobody knows.
    Committed(Vec<Change>, Result<Vec<Outcome>, StoreError>),
    /// An operator gives an order, or wants to.
    Give { give: Give, answer: oneshot::Sender<Result<Given, GiveError>> },
    /// One is on the disk, or cannot be.
    Kept {
        signed: SignedOrder,
        order: Order,
        error: Option<std::io::Error>,
        answer: Option<oneshot::Sender<Result<Given, GiveError>>>,
    },
    /// Of another replica.
    Heard(Vec<SignedOrder>),
    /// One is in etcd, or not.
    OrderWritten(Key, Result<(), StoreError>),
    /// How far is it, at the hosts that are here?
    Progress { epoch: u64, answer: oneshot::Sender<Option<(Known, OrderProgress)>> },
    /// Which are there?
    Orders { answer: oneshot::Sender<Vec<Known>> },
    /// An operator wants something done, once; what came of it goes there.
    Command { selector: Selector, command: Command, to: mpsc::Sender<RunCommandResponse> },
    /// Hosts are to go elsewhere within so long.
    Drain(Duration),
}

/// What an operator wants.
#[derive(Debug)]
pub(crate) enum Give {
    /// A stop, which this replica signs.
    Stop { selector: Selector, author: String, reason: String, request_id: String },
    /// What a start has to say.
    Prepare { selector: Selector, author: String, reason: String },
    /// What an operator has signed.
    Signed { signed: SignedOrder, author: String, request_id: String },
}

/// What there is of it.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    /// It goes out.
    Order(Box<Known>),
    /// To be signed.
    Prepared(Vec<u8>),
}

/// Why there is not.
#[derive(Clone, Debug, Error)]
pub(crate) enum GiveError {
    /// This replica has no key for stops.
    #[error(
        "this replica has no key to sign a stop with: set fleet.stop_key, or ask another replica"
    )]
    NoKey,
    /// It is not believed.
    #[error("the order is not accepted: {0}")]
    Refused(#[from] OrderError),
    /// Another one came first.
    #[error("another order was given meanwhile: prepare and sign once more")]
    Outdated,
    /// It was signed for somebody else.
    #[error("the order says that {0:?} wants it, and that is not who sends it")]
    Author(String),
}

impl Node {
    pub(crate) fn new(to: mpsc::Sender<Event>) -> Self {
        Self(to)
    }

    /// Tells it something, when it has time for it.
    pub(crate) async fn tell(&self, event: Event) {
        // A node ends with its process.
        let _ = self.0.send(event).await;
    }

    /// Asks it something.
    pub(crate) async fn ask<T>(
        &self,
        event: impl FnOnce(oneshot::Sender<T>) -> Event,
    ) -> Result<T, Status> {
        let (answer, asked) = oneshot::channel();
        self.tell(event(answer)).await;
        asked.await.map_err(|_| Status::unavailable("this replica is ending: ask another one"))
    }
}
