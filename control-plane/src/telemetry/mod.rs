//! What a replica answers for itself, over HTTP.

mod metrics;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wanglou_daemon::telemetry::{Subject, Telemetry, Verdict};

use crate::counters::Counters;
use crate::ingest::Keeper;
use crate::server::Ingests;
use crate::view::View;

/// A node that has not looked around for so long does not work.
const STUCK: Duration = Duration::from_secs(30);

/// A replica, to whoever asks how it is.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) settings: Telemetry,
    pub(crate) id: String,
    pub(crate) began: Instant,
    pub(crate) view: Arc<View>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) ingests: Ingests,
}

impl Subject for Replica {
    const OWN: &'static str = "replica";

    fn settings(&self) -> Telemetry {
        self.settings.clone()
    }

    fn alive(&self) -> Verdict {
        let idle = self.counters.since_look();
        match idle < STUCK {
            true => (true, "it works\n".to_owned()),
            false => (false, format!("the node has done nothing for {} s\n", idle.as_secs())),
        }
    }

    fn ready(&self) -> Verdict {
        // Streams, stop and start need no etcd.
        let etcd = if self.is_etcd_silent() { "etcd does not answer" } else { "etcd answers" };
        (true, format!("it serves; {etcd}\n"))
    }

    fn metrics(&self) -> Result<String, fmt::Error> {
        metrics::text(self)
    }

    fn status(&self) -> Value {
        let view = self.view.read();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "replica": self.id,
            "uptime_seconds": self.began.elapsed().as_secs(),
            "etcd_answers": view.hosts.blind_since().is_none(),
            "lake_is_open": self.ingests.borrow().is_some(),
            "hosts_here": view.own.len(),
            "replicas": view.replicas.keys().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }
}

impl Replica {
    fn is_etcd_silent(&self) -> bool {
        self.view.read().hosts.blind_since().is_some()
    }
}
