//! Telemetry, from the streams of hosts into the lake: what is answered is stored.
//!
//! ```text
//! check   what a host tells, before anybody believes it       session   one stream: looked at, stored, answered
//! share   how much each may tell                              volume    how much was told, by whom
//! follow  events that come, for those who watch               keeper    compacts, reconciles, says what is missing
//! ```

mod check;
mod follow;
mod keeper;
mod session;
mod share;
mod volume;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use follow::{Followers, Told};
pub(crate) use keeper::{Keeper, balances, keep};
pub(crate) use session::Session;
pub(crate) use share::Rates;
use tokio::sync::Semaphore;
use volume::Volumes;
pub(crate) use volume::{Group, Volume};
use wanglou_api::identity::Name;
use wanglou_lake::query::{self, Engine};
use wanglou_lake::{Error, Lake};

use crate::counters::Counters;
use crate::log::ids;
use crate::node::Node;
use crate::view::View;

/// Bytes of a record on the wire, at most.
pub(crate) const MAX_RECORD: usize = 512 << 10;
/// Bytes of records that are being stored, of all hosts together.
const ROOM: usize = 64 << 20;

/// What all streams share.
pub(crate) struct Ingest {
    pub(crate) lake: Arc<Lake>,
    pub(crate) engine: Engine,
    pub(crate) counters: Arc<Counters>,
    pub(crate) view: Arc<View>,
    pub(crate) volumes: Volumes,
    pub(crate) followers: Followers,
    node: Node,
    rates: Rates,
    room: Arc<Semaphore>,
    failing: AtomicBool,
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ingest")
    }
}

impl Ingest {
    pub(crate) fn new(
        lake: Arc<Lake>,
        rates: Rates,
        node: Node,
        view: Arc<View>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            engine: Engine::new(Arc::clone(&lake), query::Limits::default()),
            lake,
            counters,
            view,
            volumes: Volumes::default(),
            followers: Followers::new(),
            node,
            rates,
            room: Arc::new(Semaphore::new(ROOM)),
            failing: AtomicBool::new(false),
        }
    }

    /// Bytes that a host may tell in a second; 0 for any number.
    fn share(&self, host: &Name) -> u64 {
        if self.rates == Rates::default() {
            return 0;
        }
        let crowd = self.volumes.crowd(&self.view);
        let view = self.view.read();
        let datacentre = view.host(host).and_then(|host| host.label("datacentre"));
        self.rates.share(&crowd, datacentre)
    }

    fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    fn fails(&self, error: &Error) {
        if !self.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(id = ids::LAKE_REFUSES.code, %error, "events are not stored: hosts keep them meanwhile");
        }
    }

    fn works(&self) {
        if self.failing.swap(false, Ordering::Relaxed) {
            tracing::info!(id = ids::LAKE_TAKES.code, "events are stored again");
        }
    }
}
