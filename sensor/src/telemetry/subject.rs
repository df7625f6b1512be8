use std::fmt;
use std::fs::File;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use wanglou_daemon::telemetry::{NoHeap, Subject, Telemetry, Verdict};

use super::state::State;
use super::{health, metrics, status};
use crate::image;

/// Time for a worker to write its profile.
const PROFILE: Duration = Duration::from_secs(5);

const WORKER: &str = "worker";

impl Subject for State {
    const OWN: &'static str = "supervisor";
    const OTHERS: &'static [&'static str] = &[WORKER];

    fn settings(&self) -> Telemetry {
        self.lock().effective.config.telemetry.clone()
    }

    fn alive(&self) -> Verdict {
        health::alive(&self.lock())
    }

    fn ready(&self) -> Verdict {
        health::ready(&self.lock())
    }

    fn metrics(&self) -> Result<String, fmt::Error> {
        metrics::text(&self.lock())
    }

    fn status(&self) -> Value {
        status::json(&self.lock())
    }

    fn counts_allocated(&self, process: &str) -> Result<(), &'static str> {
        let counts = process == WORKER && self.lock().effective.config.heap_accumulated;
        let why =
            "allocated=true is for the worker only, and where telemetry.heap_accumulated is on";
        if counts { Ok(()) } else { Err(why) }
    }

    async fn heap_of(&self, _worker: &str) -> Result<File, NoHeap> {
        let answer = self.ask().map_err(NoHeap::Unavailable)?;
        match timeout(PROFILE, answer).await {
            Ok(Ok(text)) => Ok(text.map(File::from)?),
            Ok(Err(_)) => Err(NoHeap::Unavailable("the worker is gone".to_owned())),
            Err(_) => Err(NoHeap::Late("the worker does not answer".to_owned())),
        }
    }

    fn answered(&self) {
        image::give_back();
    }
}
