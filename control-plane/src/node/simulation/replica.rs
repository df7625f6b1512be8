//! A replica: the real node, which may be stopped for a while, and may end and begin again with nothing but its name.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use wanglou_api::identity::Name;
use wanglou_api::sensor::v1::Hello;

use super::etcd::{Model, Way, Weather};
use super::link::{Link, Stream, Wire, open};
use super::lock;
use crate::clock;
use crate::counters::Counters;
use crate::fleet::Millis;
use crate::journal::Journal;
use crate::node::{Event, Node, Settings, prepare, run, watched};
use crate::store::Store;
use crate::store::presence::{self, Stage};
use crate::view::View;

pub(super) const LEASE: Duration = Duration::from_secs(10);
/// Until all is told again that was not heard, ms.
const AGAIN: Millis = 7_000;
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Whether a replica runs, for those of its parts that do not when it is stopped.
#[derive(Clone, Debug)]
pub(super) struct Awake(watch::Receiver<bool>);

impl Awake {
    pub(super) async fn wait(&self) {
        // It is as long as there is a world.
        let _ = self.0.clone().wait_for(|awake| *awake).await;
    }

    /// Does it whenever it is awake.
    async fn with(mut self, what: impl Future<Output = ()>) {
        tokio::pin!(what);
        loop {
            self.wait().await;
            tokio::select! {
                biased;
                _ = self.0.wait_for(|awake| !*awake) => {}
                () = &mut what => return,
            }
        }
    }
}

pub(super) struct Replica {
    pub(super) name: Name,
    weather: Arc<Mutex<Weather>>,
    /// Since when its way to etcd has been fair.
    fair_since: AtomicU64,
    /// It has lost its power, and all machines that are with it.
    is_dark: AtomicBool,
    hosts_per_lease: usize,
    model: Arc<Mutex<Model>>,
    journal: Journal,
    awake: watch::Sender<bool>,
    begun: Mutex<Option<Begun>>,
    random: Mutex<Rng>,
}

/// From a start to its end.
struct Begun {
    node: Node,
    view: Arc<View>,
    tasks: Vec<AbortHandle>,
    wires: Vec<Wire>,
    /// Its own key goes with it.
    _stage: watch::Sender<Stage>,
}

impl Replica {
    pub(super) fn new(
        name: Name,
        model: &Arc<Mutex<Model>>,
        journal: &Journal,
        hosts_per_lease: usize,
        random: Rng,
    ) -> Self {
        let (awake, _) = watch::channel(true);
        Self {
            name,
            weather: Arc::new(Mutex::new(Weather::FAIR)),
            fair_since: AtomicU64::new(0),
            is_dark: AtomicBool::new(false),
            hosts_per_lease,
            model: Arc::clone(model),
            journal: journal.clone(),
            awake,
            begun: Mutex::new(None),
            random: Mutex::new(random),
        }
    }

    pub(super) fn begin(&self) {
        if self.is_up() {
            return;
        }
        self.is_dark.store(false, Ordering::Relaxed);
        let fleet: Name = "blue".parse().expect("a name");
        let random = lock(&self.random).fork();
        let way = Way::new(Arc::clone(&self.model), Arc::clone(&self.weather), random);
        let store = Store::of(Arc::new(way), &fleet, self.name.clone());
        let settings = Settings {
            fleet,
            replica: self.name.clone(),
            hosts_per_lease: self.hosts_per_lease,
            lease_ttl: LEASE,
            heartbeat: HEARTBEAT,
            connection_age: Duration::from_secs(86_400),
            signer: None,
            keys: Vec::new(),
            journal: self.journal.clone(),
        };
        let (handles, state, heard) =
            prepare(settings, store.clone(), &Arc::new(Counters::default()));
        let (stage, until) = watch::channel(Stage::Serving);
        let presence = presence::keep(store.clone(), vec![self.name.to_string()], LEASE, until);
        let following = watched::follow(store, handles.node.clone());
        let tasks = vec![
            tokio::spawn(self.awake().with(run(state, heard))).abort_handle(),
            tokio::spawn(self.awake().with(following)).abort_handle(),
            tokio::spawn(self.awake().with(presence)).abort_handle(),
        ];
        let (node, view) = (handles.node, handles.view);
        *lock(&self.begun) = Some(Begun { node, view, tasks, wires: Vec::new(), _stage: stage });
    }

    /// Ends without a word; hosts are told by its kernel, or not even that.
    pub(super) fn crash(&self, link: Link) {
        let Some(begun) = lock(&self.begun).take() else { return };
        for task in begun.tasks {
            task.abort();
        }
        for wire in begun.wires {
            wire.set(link);
        }
        self.awake.send_replace(true);
    }

    /// Its machines are to lose their power with it.
    pub(super) fn go_dark(&self) {
        self.is_dark.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_dark(&self) -> bool {
        self.is_dark.load(Ordering::Relaxed)
    }

    pub(super) fn sleep(&self, is_asleep: bool) {
        self.awake.send_replace(!is_asleep);
    }

    fn awake(&self) -> Awake {
        Awake(self.awake.subscribe())
    }

    pub(super) fn is_awake(&self) -> bool {
        *self.awake.borrow()
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        *lock(&self.weather) = weather;
        self.fair_since.store(clock::millis(), Ordering::Relaxed);
    }

    /// etcd hears nothing of it, or not all, or has yet to be told again what it has not heard.
    pub(super) fn is_mute(&self) -> bool {
        let fair_since = self.fair_since.load(Ordering::Relaxed);
        let is_told = fair_since == 0 || clock::millis() >= fair_since + AGAIN;
        *lock(&self.weather) != Weather::FAIR || !is_told
    }

    pub(super) fn is_up(&self) -> bool {
        lock(&self.begun).is_some()
    }

    pub(super) fn view(&self) -> Option<Arc<View>> {
        lock(&self.begun).as_ref().map(|begun| Arc::clone(&begun.view))
    }

    /// A host comes.
    pub(super) fn open(&self, host: &Name, hello: Hello, streams: &AtomicU64) -> Option<Stream> {
        let mut begun = lock(&self.begun);
        let begun = begun.as_mut()?;
        let random = lock(&self.random).fork();
        let (ours, end) = open(host, streams.fetch_add(1, Ordering::Relaxed), hello, random);
        begun.wires.retain(|wire| wire.is() != Link::Broken);
        begun.wires.push(end.wire().clone());
        begun.tasks.retain(|task| !task.is_finished());
        begun.tasks.push(tokio::spawn(end.serve(begun.node.clone(), self.awake())).abort_handle());
        Some(ours)
    }

    /// Tells its node something, as its server does.
    pub(super) fn tell(&self, event: Event) {
        let Some(node) = lock(&self.begun).as_ref().map(|begun| begun.node.clone()) else { return };
        let awake = self.awake();
        tokio::spawn(async move {
            awake.wait().await;
            node.tell(event).await;
        });
    }
}
