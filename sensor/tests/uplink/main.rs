//! What the fleet gets: everything, or why not.

mod crash;
mod memory;
mod storm;
mod trouble;
mod truth;

use std::path::Path;

use anyhow::Result;
use wanglou_testkit::{fleet::Fleet, replica::Replica, service::Service};

/// Settings of each sensor here: nothing is given up but what the test is about.
const OWN: [&str; 5] = [
    "sensor.backend=ebpf",
    "sensor.events=process",
    "process.cgroup_limit=0",
    "budget.cpu_percent=10000",
    "output.stdout.enabled=false",
];

/// A sensor that is joined to a replica.
fn start(fleet: &Fleet, replica: &Replica, others: &[&str]) -> Result<Service> {
    let settings = fleet.settings(&replica.address.to_string(), &[&OWN, others].concat());
    Service::start(&settings.iter().map(String::as_str).collect::<Vec<_>>())
}

/// How many files with an ending lie in the spool.
fn spooled(state: &Path, ending: &str) -> usize {
    let entries = std::fs::read_dir(state.join("spool")).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().extension().is_some_and(|it| it == ending)).count()
}
