//! The replica: one task that hears everything, asks what is to be done, and has it done.
//!
//! ```text
//! streams   of hosts ──▶ sessions ──▶ what etcd is to say     registry   leases and batches ──▶ etcd
//! watched   etcd's changes ──▶ the view of the fleet          given   orders: from operators, peers and etcd to hosts
//! commands   once, now, and what came of it                  answers   whether etcd does
//! ```
//!
//! It waits for nothing: what takes time is done by others, who tell it when they are done.

mod answers;
mod commands;
mod event;
mod given;
mod registry;
#[cfg(test)]
mod simulation;
mod streams;
mod watched;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use commands::RESULTS;
#[cfg(test)]
pub(crate) use event::Answer;
pub(crate) use event::{Event, Give, GiveError, Given, Node, ToHost};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use wanglou_api::identity::Name;
use wanglou_api::order::v1::SignedOrder;
use wanglou_api::signing::{Signer, Verifier};

use crate::clock;
use crate::counters::Counters;
use crate::fleet::Millis;
use crate::fleet::hosts;
use crate::fleet::orders::Orders;
use crate::fleet::sessions::{Sessions, StreamId};
use crate::journal::Journal;
use crate::log::ids;
use crate::store::Store;
use crate::view::View;
use answers::Answers;
use commands::Commands;
use registry::Registry;
use streams::Stream;

/// From one look at what is due to the next: so long a host may wait for others to be written with.
const TICK: Duration = Duration::from_millis(100);
/// No look around takes longer than so many ms, or the process was stopped meanwhile.
const LONGEST_LOOK: Millis = 500;
/// What waits to be heard. Who tells more is kept waiting: a stream that is not read holds its sensor back.
const WAITING: usize = 4096;

/// What a node has to know.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Of which fleet.
    pub(crate) fleet: Name,
    /// Which replica.
    pub(crate) replica: Name,
    /// Host keys on one lease, at most.
    pub(crate) hosts_per_lease: usize,
    /// For how long a lease lasts that is not renewed.
    pub(crate) lease_ttl: Duration,
    /// From one heartbeat of a host to the next.
    pub(crate) heartbeat: Duration,
    /// After so long a host is asked to connect anew; each one sooner or later, but not before half of it.
    pub(crate) connection_age: Duration,
    /// Signs stops; without it there are none from here.
    pub(crate) signer: Option<Signer>,
    /// Whose orders are believed.
    pub(crate) keys: Vec<Verifier>,
    /// Orders on this disk.
    pub(crate) journal: Journal,
}

/// What others need of a node.
pub(crate) struct Handles {
    pub(crate) node: Node,
    pub(crate) view: Arc<View>,
    /// All orders that there are, whenever there is another.
    pub(crate) orders: watch::Receiver<Arc<[SignedOrder]>>,
}

struct State {
    settings: Settings,
    store: Store,
    node: Node,
    view: Arc<View>,
    counters: Arc<Counters>,
    sessions: Sessions,
    streams: BTreeMap<StreamId, Stream>,
    registry: Registry,
    answers: Answers,
    orders: Orders,
    /// All of them, for peers.
    told_orders: watch::Sender<Arc<[SignedOrder]>>,
    /// An order is on its way to etcd.
    is_writing_order: bool,
    /// What was given under which request id, the oldest first.
    requests: Vec<(String, Given)>,
    commands: Commands,
    /// Where replicas are, as hosts are told.
    endpoints: Vec<String>,
    /// Hosts that are not as they were when watchers were told last.
    changed: BTreeSet<Name>,
    /// What is being listed, until it is whole: hosts, and replicas.
    listed: Option<(hosts::Changes, HashSet<Name>)>,
    /// This replica is about to go.
    is_leaving: bool,
    /// etcd has told of all hosts once: what they are called is known.
    knows_hosts: bool,
    /// Of what etcd has told.
    watched: i64,
    /// Streams whose hosts take nothing any more.
    cut: Vec<(Name, StreamId)>,
}

/// Begins; without its task there is no replica.
pub(crate) fn start(
    settings: Settings,
    store: Store,
    counters: &Arc<Counters>,
) -> (Handles, JoinHandle<()>) {
    let (handles, state, heard) = prepare(settings, store.clone(), counters);
    tokio::spawn(watched::follow(store, handles.node.clone()));
    (handles, tokio::spawn(run(state, heard)))
}

/// All that there is before anything happens.
fn prepare(
    settings: Settings,
    store: Store,
    counters: &Arc<Counters>,
) -> (Handles, State, mpsc::Receiver<Event>) {
    let (tell, heard) = mpsc::channel(WAITING);
    let node = Node::new(tell);
    let view = View::new();
    let (told_orders, orders) = watch::channel(Arc::default());
    let mut state = State {
        registry: Registry::new(&settings),
        settings,
        store,
        node: node.clone(),
        view: Arc::clone(&view),
        counters: Arc::clone(counters),
        sessions: Sessions::default(),
        streams: BTreeMap::new(),
        answers: Answers::default(),
        orders: Orders::default(),
        told_orders,
        is_writing_order: false,
        requests: Vec::new(),
        commands: Commands::default(),
        endpoints: Vec::new(),
        changed: BTreeSet::new(),
        listed: None,
        is_leaving: false,
        knows_hosts: false,
        watched: 0,
        cut: Vec::new(),
    };
    state.remember_orders();
    (Handles { node, view, orders }, state, heard)
}

async fn run(mut state: State, mut heard: mpsc::Receiver<Event>) {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut awake = Awake::new();
    loop {
        tokio::select! {
            biased;
            _ = tick.tick() => state.look(awake.now()),
            event = heard.recv() => match event {
                Some(event) => state.hear(event, awake.now()),
                None => return,
            },
        }
        state.cut_off(awake.now());
    }
}

/// Time in which somebody was there to hear: of a replica that was stopped for a minute no host's grace runs out before it
/// has been heard.
struct Awake {
    looked: Millis,
    slept: Millis,
}

impl Awake {
    fn new() -> Self {
        Self { looked: clock::millis(), slept: 0 }
    }

    fn now(&mut self) -> Millis {
        let now = clock::millis();
        self.slept += now.saturating_sub(self.looked).saturating_sub(LONGEST_LOOK);
        self.looked = now;
        now - self.slept
    }
}

impl State {
    fn hear(&mut self, event: Event, now: Millis) {
        match event {
            Event::Hello { host, stream, serial, hello, say, over } => {
                self.hello(&host, stream, serial, *hello, (say, over), now);
            }
            Event::TurnedAway { host, delay } => {
                self.sessions.waits(&host, now + delay.as_millis() as Millis);
            }
            Event::Said { host, stream, message } => self.said(&host, stream, message, now),
            Event::RecordRefused { host } => self.change(&host, |it| it.refused_records += 1),
            Event::Broken { host, stream } => self.broken(&host, stream, now),
            Event::Watched(told) => self.watched(told, now),
            Event::Blind(error) => {
                tracing::warn!(id = ids::ETCD_SILENT.code, %error, "etcd cannot be watched: what is known of other hosts stays as it is");
                self.view.write().hosts.see(false, now);
            }
            Event::Answers(has, asked) => self.answers.answered(has, asked),
            Event::Granted(lease) => self.granted(lease),
            Event::Renewed(gone) => self.renewed(gone),
            Event::Committed(batch, outcomes) => self.committed(batch, outcomes),
            Event::Give { give, answer } => self.give(give, answer),
            Event::Kept { signed, order, error, answer } => {
                self.kept(&signed, &order, error.as_ref(), answer, now);
            }
            Event::Heard(orders) => self.heard_of(orders),
            Event::OrderWritten(key, written) => self.order_written(&key, written),
            Event::Progress { epoch, answer } => {
                // Who asked may have gone.
                let _ = answer.send(self.progress(epoch));
            }
            Event::Orders { answer } => drop(answer.send(self.all_orders())),
            Event::Command { selector, command, to } => self.command(&selector, &command, to, now),
            Event::Drain(within) => self.drain(within),
        }
    }

    /// Hosts that take nothing are as good as gone, and come back.
    fn cut_off(&mut self, now: Millis) {
        for (host, stream) in std::mem::take(&mut self.cut) {
            self.broken(&host, stream, now);
        }
    }

    /// Has etcd answer, when it is time or a suspect's time is over.
    fn ask_etcd(&mut self, now: Millis) {
        if self.answers.ask(self.sessions.is_due(now), now) {
            let (store, node) = (self.store.clone(), self.node.clone());
            tokio::spawn(async move {
                let has = store.answers().await;
                node.tell(Event::Answers(has, now)).await;
            });
        }
    }

    fn look(&mut self, now: Millis) {
        self.counters.looks();
        // Who waits for a handshake may be any of those that are suspect.
        if !self.counters.is_crowded() {
            let todo = self.sessions.advance(now, self.answers.until());
            self.carry_out(todo);
        }
        self.ask_etcd(now);
        let lost = self.view.write().hosts.advance(now);
        self.changed.extend(lost);
        self.register();
        self.write_orders();
        self.commands.advance(now);
        let changed = std::mem::take(&mut self.changed);
        self.view.changed(changed.into_iter().collect());
    }
}
