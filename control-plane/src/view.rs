//! The fleet as operators see it: what etcd says, and beside it what the replica that holds a host's stream knows.
//!
//! The node writes it and whoever serves operators reads it, piece by piece, so that neither waits long for the other.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::broadcast;
use wanglou_api::fleet::v1::Host;
use wanglou_api::fleet::v1::host::State;
use wanglou_api::identity::Name;
use wanglou_api::sensor::v1::Heartbeat;

use crate::clock;
use crate::fleet::hosts::{Entry, Hosts, Presence};
use crate::store::keys;

/// Batches of changes that a watcher may be behind.
const BEHIND: usize = 1024;

/// All of it.
#[derive(Debug)]
pub(crate) struct View {
    inner: RwLock<Inner>,
    changed: broadcast::Sender<Arc<[Name]>>,
}

/// What there is to see.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) hosts: Hosts,
    /// Of hosts whose streams are here, as far as their replica is the one to know.
    pub(crate) own: BTreeMap<Name, Host>,
    /// The same of other replicas' hosts, while somebody asks for them.
    pub(crate) others: HashMap<Name, HashMap<Name, Host>>,
    /// All replicas.
    pub(crate) replicas: BTreeMap<Name, keys::Replica>,
}

impl View {
    pub(crate) fn new() -> Arc<Self> {
        let (changed, _) = broadcast::channel(BEHIND);
        Arc::new(Self { inner: RwLock::default(), changed })
    }

    /// To be let go of soon.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be let go of soon.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// These hosts are not as they were.
    pub(crate) fn changed(&self, hosts: Vec<Name>) {
        if !hosts.is_empty() {
            // Nobody may be watching.
            let _ = self.changed.send(hosts.into());
        }
    }

    /// Names of hosts that are not as they were, from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<[Name]>> {
        self.changed.subscribe()
    }
}

/// A host, before anything of it is copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'v> {
    pub(crate) name: &'v Name,
    /// What etcd says.
    entry: Option<&'v Entry>,
    /// What the replica that holds its stream says.
    known: Option<&'v Host>,
}

impl Inner {
    /// One host.
    pub(crate) fn host<'v>(&'v self, name: &'v Name) -> Option<Seen<'v>> {
        let seen = self.seen(name, self.hosts.get(name));
        (seen.entry.is_some() || seen.known.is_some()).then_some(seen)
    }

    /// All those after a name, in the order of their names.
    pub(crate) fn after(&self, name: Option<&Name>) -> impl Iterator<Item = Seen<'_>> {
        let mut of_etcd = self.hosts.after(name).peekable();
        // Those that etcd has not heard of yet.
        let mut here = self.own_after(name).peekable();
        std::iter::from_fn(move || {
            let first = match (of_etcd.peek(), here.peek()) {
                (Some((one, _)), Some((other, _))) => one.cmp(other),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return None,
            };
            if first != Ordering::Less {
                let (name, _) = here.next()?;
                if first == Ordering::Greater {
                    return Some(self.seen(name, None));
                }
            }
            let (name, entry) = of_etcd.next()?;
            Some(self.seen(name, Some(entry)))
        })
    }

    /// Those whose streams are here, after a name.
    pub(crate) fn own_after(&self, name: Option<&Name>) -> impl Iterator<Item = (&Name, &Host)> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        self.own.range::<Name, _>((from, Bound::Unbounded))
    }

    fn seen<'v>(&'v self, name: &'v Name, entry: Option<&'v Entry>) -> Seen<'v> {
        let of_holder = || self.others.get(&entry?.live()?.replica)?.get(name);
        Seen { name, entry, known: self.own.get(name).or_else(of_holder) }
    }
}

impl<'v> Seen<'v> {
    /// How it is.
    pub(crate) fn state(&self) -> State {
        match (self.known, self.entry) {
            (Some(known), _) => known.state(),
            (None, Some(entry)) => state(entry.presence()),
            (None, None) => State::Unspecified,
        }
    }

    /// What it is called.
    pub(crate) fn label(&self, name: &str) -> Option<&'v str> {
        self.entry?.record().labels.get(name).map(String::as_str)
    }

    /// Of its sensor; empty if nobody knows.
    pub(crate) fn version(&self) -> &str {
        self.known.map_or("", |known| &known.version)
    }

    /// The last that it said of itself.
    pub(crate) fn heartbeat(&self) -> Option<&Heartbeat> {
        self.known?.heartbeat.as_ref()
    }

    /// All of it.
    pub(crate) fn copy(&self) -> Host {
        let mut host = match (self.known, self.entry) {
            (Some(known), _) => known.clone(),
            (None, Some(entry)) => of_etcd(self.name, entry),
            (None, None) => Host { name: format!("hosts/{}", self.name), ..Host::default() },
        };
        if let Some(entry) = self.entry {
            let record = entry.record();
            host.labels = record.labels.clone();
            host.first_seen_time = Some(clock::timestamp(record.first_seen));
            host.etag = record.revision.to_string();
        }
        host
    }
}

/// The word for a state, as operators read it.
pub(crate) fn state_name(state: State) -> &'static str {
    match state {
        State::Unspecified => "unspecified",
        State::Alive => "alive",
        State::Suspect => "suspect",
        State::Unknown => "unknown",
        State::Lost => "lost",
        State::Gone => "gone",
        State::Stopped => "stopped",
    }
}

/// What etcd alone says of a host.
fn of_etcd(name: &Name, entry: &Entry) -> Host {
    let time = match (entry.live(), entry.end()) {
        (Some(live), _) => live.since,
        (None, Some(end)) if entry.presence() != Presence::Unknown => end.time,
        _ => clock::at(entry.since()),
    };
    let live = entry.live();
    Host {
        name: format!("hosts/{name}"),
        state: state(entry.presence()).into(),
        state_time: Some(clock::timestamp(time)),
        replica: live.map(|live| format!("replicas/{}", live.replica)).unwrap_or_default(),
        instance_id: live.map(|live| live.instance.to_string()).unwrap_or_default(),
        ..Host::default()
    }
}

fn state(presence: Presence) -> State {
    match presence {
        Presence::Alive => State::Alive,
        Presence::Unknown => State::Unknown,
        Presence::Lost => State::Lost,
        Presence::Gone => State::Gone,
    }
}
