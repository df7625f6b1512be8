//! The lake, which others do not wait for: a replica without one does everything else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use wanglou_lake::{Error, Lake, Settings, location};

use crate::config::Config;
use crate::counters::Counters;
use crate::ingest::{self, Ingest, Keeper};
use crate::log::ids;
use crate::node::Handles;
use crate::server::Ingests;
use crate::store::{Store, task};

/// Before it is tried again.
const PAUSE: Duration = Duration::from_secs(10);
/// What the replica does that compacts.
const COMPACTS: &str = "compact";

/// Opens it, sooner or later, and keeps it.
pub(super) fn begin(
    config: &Config,
    store: &Store,
    handles: &Handles,
    replica: &str,
    keeper: &Arc<Keeper>,
    counters: &Arc<Counters>,
) -> Ingests {
    let (opened, ingests) = watch::channel(None);
    if config.lake.location.is_empty() {
        return ingests;
    }
    let settings = Settings {
        flush: config.lake.flush,
        retention_days: config.lake.retention,
        ..Settings::new(replica)
    };
    let location = config.lake.location.clone();
    let (rates, compact_every) = (config.rates, config.lake.compact_every);
    let (node, view) = (handles.node.clone(), Arc::clone(&handles.view));
    let store = store.clone();
    let (keeper, counters) = (Arc::clone(keeper), Arc::clone(counters));
    tokio::spawn(async move {
        let lake = Arc::new(until_open(&location, &settings).await);
        let ingest = Ingest::new(Arc::clone(&lake), rates, node, view, counters);
        opened.send_replace(Some(Arc::new(ingest)));
        let (tell, ours) = watch::channel(false);
        tokio::spawn(task::hold(store, COMPACTS, tell));
        ingest::keep(lake, keeper, ours, compact_every).await;
    });
    ingests
}

async fn until_open(location: &str, settings: &Settings) -> Lake {
    loop {
        match open(location, settings).await {
            Ok(lake) => return lake,
            Err(error) => {
                tracing::error!(id = ids::LAKE_CLOSED.code, %error, "the lake cannot be opened: it is tried again");
            }
        }
        sleep(PAUSE).await;
    }
}

async fn open(location: &str, settings: &Settings) -> Result<Lake, Error> {
    // What is not text is none of those that are looked for.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Lake::open(location::open(location, environment)?, settings.clone()).await
}
