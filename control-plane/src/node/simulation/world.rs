//! All that there is: etcd, replicas, hosts, and what goes wrong.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;
use wanglou_api::identity::Name;

use super::check::{Check, Finding};
use super::etcd::{Lie, Model};
use super::machine::Machine;
use super::replica::Replica;
use super::trace::Trace;
use super::{faults, lock, truth};
use crate::clock;
use crate::fleet::Millis;
use crate::journal::Journal;

/// For so long things go wrong, and for so long nothing does: longer than anything takes.
const WILD: Duration = Duration::from_secs(120);
const QUIET: Duration = Duration::from_secs(130);
const HOSTS: usize = 6;
/// From one look at all views to the next.
const LOOK: Duration = Duration::from_millis(200);
/// After the last fault, for etcd to be asked again, watches to be there again, and hosts to come back.
const SETTLE: Millis = 12_000;

pub(super) struct World {
    pub(super) trace: Arc<Trace>,
    pub(super) model: Arc<Mutex<Model>>,
    pub(super) replicas: Vec<Arc<Replica>>,
    pub(super) hosts: Mutex<Vec<truth::Host>>,
    pub(super) streams: AtomicU64,
    pub(super) infra: Infra,
    is_quiet: AtomicBool,
}

/// Whether anything of ours is at fault.
#[derive(Debug, Default)]
pub(super) struct Infra {
    faults: AtomicU64,
    last: AtomicU64,
}

impl Infra {
    pub(super) fn begins(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ends(&self) {
        self.faults.fetch_sub(1, Ordering::Relaxed);
        self.last.store(clock::millis(), Ordering::Relaxed);
    }

    /// Nothing is, nor was a moment ago.
    pub(super) fn is_calm(&self) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        self.faults.load(Ordering::Relaxed) == 0 && clock::millis() >= last + SETTLE
    }
}

impl World {
    /// As the seed wants it.
    pub(super) fn new(random: &mut Rng, journal: &Journal, lie: Option<Lie>) -> Arc<Self> {
        let trace = Arc::new(Trace::default());
        let model = Arc::new(Mutex::new(Model::new(lie, &trace)));
        let hosts_per_lease = [1, 2, 3, 500][random.usize(..4)];
        let replicas = ["one", "two", "three", "four"].into_iter().take(random.usize(2..5));
        let replicas = replicas.map(|name| {
            let name = name.parse().expect("a name");
            Arc::new(Replica::new(name, &model, journal, hosts_per_lease, random.fork()))
        });
        let replicas = replicas.collect();
        let host = |n: usize| truth::Host {
            name: format!("host-{n}").parse().expect("a name"),
            // One has a twin.
            machines: (0..if n == 0 { 2 } else { 1 }).map(|_| Default::default()).collect(),
        };
        Arc::new(Self {
            trace,
            model,
            replicas,
            hosts: Mutex::new((0..HOSTS).map(host).collect()),
            streams: AtomicU64::new(1),
            infra: Infra::default(),
            is_quiet: AtomicBool::new(false),
        })
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.is_quiet.load(Ordering::Relaxed)
    }

    /// It is too late for anybody to begin again: all have to agree on the end.
    pub(super) fn is_late(&self) -> bool {
        clock::millis() >= (WILD + QUIET / 2).as_millis() as Millis
    }

    /// From the beginning to the end, or to the first untruth.
    pub(super) async fn run(self: &Arc<Self>, random: &mut Rng) -> Result<(), Finding> {
        for replica in &self.replicas {
            replica.begin();
        }
        for _ in 0..2 {
            tokio::spawn(faults::happen(Arc::clone(self), random.fork()));
        }
        let names: Vec<(Name, usize)> =
            lock(&self.hosts).iter().map(|it| (it.name.clone(), it.machines.len())).collect();
        for (host, (name, machines)) in names.into_iter().enumerate() {
            for number in 0..machines {
                let (world, name, random) = (Arc::clone(self), name.clone(), random.fork());
                tokio::spawn(Machine { world, host, number, name, random }.live());
            }
        }
        let mut check = Check::new(self);
        while clock::millis() < (WILD + QUIET).as_millis() as Millis {
            sleep(LOOK).await;
            let now = clock::millis();
            if now >= WILD.as_millis() as Millis && !self.is_quiet.swap(true, Ordering::Relaxed) {
                self.trace.note(None, "from here on nothing goes wrong any more".to_owned());
            }
            lock(&self.model).expire(now);
            check.look(self, now)?;
        }
        check.end(self, clock::millis())
    }
}
