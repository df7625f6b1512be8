//! A stream between a host and a replica: what is said comes late but in order, until it is broken, or nothing comes
//! through any more and both ends find out by themselves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};
use wanglou_api::identity::Name;
use wanglou_api::sensor::v1::Hello;
use wanglou_api::sensor::v1::control_request::Message;

use super::lock;
use super::replica::Awake;
use crate::fleet::sessions::StreamId;
use crate::node::{Answer, Event, Node, ToHost};

/// From one ping to the next, by when it has to be answered.
const PING: Duration = Duration::from_secs(10);
/// From one look at whether a stream still works to the next.
pub(super) const LOOK: Duration = Duration::from_millis(500);
/// Of a message, at most.
const DELAY: Duration = Duration::from_millis(20);
/// Messages to a host that wait, as the server has it.
const WAITING: usize = 16;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Open,
    /// Nothing comes through.
    Stalled,
    /// Both ends have been told.
    Broken,
}

/// Both ends' view of it.
#[derive(Clone, Debug)]
pub(super) struct Wire(Arc<Mutex<Link>>);

/// What a host has of a stream.
pub(super) struct Stream {
    pub(super) wire: Wire,
    pub(super) say: mpsc::Sender<Message>,
    pub(super) heard: mpsc::Receiver<Answer>,
}

/// What a replica has of it.
pub(super) struct End {
    pub(super) host: Name,
    pub(super) stream: StreamId,
    hello: Hello,
    wire: Wire,
    said: mpsc::Receiver<Message>,
    say: ToHost,
    random: Rng,
}

impl Wire {
    pub(super) fn is(&self) -> Link {
        *lock(&self.0)
    }

    pub(super) fn set(&self, link: Link) {
        let mut is = lock(&self.0);
        // What is broken stays so.
        if *is != Link::Broken {
            *is = link;
        }
    }
}

/// After how long without an answer an end gives up.
pub(super) fn patience(random: &mut Rng) -> Duration {
    PING + PING.mul_f64(random.f64())
}

pub(super) async fn late(random: &mut Rng) {
    sleep(DELAY.mul_f64(random.f64())).await;
}

/// Both ends of a new one.
pub(super) fn open(host: &Name, stream: StreamId, hello: Hello, random: Rng) -> (Stream, End) {
    let wire = Wire(Arc::new(Mutex::new(Link::Open)));
    let (to_replica, said) = mpsc::channel(WAITING);
    let (say, heard) = mpsc::channel(WAITING);
    let ours = Stream { wire: wire.clone(), say: to_replica, heard };
    (ours, End { host: host.clone(), stream, hello, wire, said, say, random })
}

impl End {
    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// As the server does it.
    pub(super) async fn serve(self, node: Node, awake: Awake) {
        let Self { host, stream, hello, wire, mut said, say, mut random } = self;
        let (over, mut is_over) = oneshot::channel();
        late(&mut random).await;
        awake.wait().await;
        let (serial, hello) = ("1".into(), Box::new(hello));
        node.tell(Event::Hello { host: host.clone(), stream, serial, hello, say, over }).await;
        let mut silent: Option<(Instant, Duration)> = None;
        loop {
            tokio::select! {
                biased;
                _ = &mut is_over => break,
                message = said.recv(), if wire.is() == Link::Open => {
                    late(&mut random).await;
                    awake.wait().await;
                    let Some(message) = message else { break };
                    node.tell(Event::Said { host: host.clone(), stream, message }).await;
                }
                () = sleep(LOOK) => {}
            }
            awake.wait().await;
            match wire.is() {
                Link::Open => silent = None,
                Link::Broken => break,
                Link::Stalled => {
                    let (since, patience) =
                        silent.get_or_insert_with(|| (Instant::now(), patience(&mut random)));
                    if since.elapsed() >= *patience {
                        break;
                    }
                }
            }
        }
        awake.wait().await;
        if wire.is() == Link::Open {
            wire.set(Link::Broken);
        }
        node.tell(Event::Broken { host, stream }).await;
    }
}
