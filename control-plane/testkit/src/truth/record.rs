//! What hosts were, as they wrote it down.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// `CLOCK_MONOTONIC`, ns: for whoever writes down what was, and what was said.
pub fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

/// Something that happened to a host, or that it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, by `CLOCK_MONOTONIC`, ns: the same clock in all processes of a machine.
    pub at: u64,
    /// Which host.
    pub host: String,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happens to a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum Event {
    /// A replica has welcomed it.
    Welcomed {
        /// Which one.
        replica: String,
    },
    /// Its connection broke, or was given up in favour of another; it lives and calls again.
    Broken,
    /// It is there no more, from now on: its socket is closed without a word.
    Cut,
    /// It is there no more, and its socket still is.
    Silent,
    /// It said goodbye.
    Goodbye,
    /// It lives again after one of these three, and has not been welcomed yet, unless its stream was kept all the time.
    Back {
        /// Its stream is as it was.
        connected: bool,
    },
    /// An order came.
    Order {
        /// Its epoch.
        epoch: u64,
        /// It was obeyed: `stop` or `start`; or `refused`.
        outcome: String,
    },
}

/// All that happened, host by host in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    hosts: BTreeMap<String, Vec<(u64, Event)>>,
}

impl Truth {
    /// From files of JSON lines.
    ///
    /// # Errors
    ///
    /// If one cannot be read, or has other lines.
    pub fn read(files: &[impl AsRef<Path>]) -> Result<Self> {
        let mut all = Vec::new();
        for path in files {
            let path = path.as_ref();
            let file =
                File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            for line in BufReader::new(file).lines() {
                all.push(serde_json::from_str(&line?).with_context(|| path.display().to_string())?);
            }
        }
        Ok(Self::of(all))
    }

    /// From records in any order.
    pub fn of(mut records: Vec<Record>) -> Self {
        records.sort_by_key(|it| it.at);
        let mut hosts: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for Record { at, host, event } in records {
            hosts.entry(host).or_default().push((at, event));
        }
        Self { hosts }
    }

    /// Every host with what happened to it.
    pub fn hosts(&self) -> impl Iterator<Item = (&str, &[(u64, Event)])> {
        self.hosts.iter().map(|(host, events)| (&**host, &**events))
    }

    /// When an order first came to each host that got it, ns, earliest first.
    pub fn arrivals(&self, epoch: u64) -> Vec<u64> {
        let is_it = |event: &Event| matches!(event, Event::Order { epoch: it, .. } if *it == epoch);
        let first = |events: &Vec<(u64, Event)>| {
            events.iter().find(|(_, event)| is_it(event)).map(|(at, _)| *at)
        };
        let mut all: Vec<_> = self.hosts.values().filter_map(first).collect();
        all.sort_unstable();
        all
    }
}
