//! `bench breaker`: a host whose sensor rests is as fast as one that has none.

use anyhow::{Result, ensure};
use wanglou_testkit::{service::Service, storm};

use super::pairs::{self, Better};

/// Arguments of `bench breaker`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// How many times with and without
    #[arg(long, default_value_t = 10)]
    pairs: usize,
    /// How many processes each time
    #[arg(long, default_value_t = 20_000)]
    total: u64,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let rate = || {
        let storm = storm::run(args.total, 2)?;
        Ok(storm.spawned as f64 * 1e9 / storm.wall_ns as f64)
    };
    let unit = "processes a second";
    println!("Beside a sensor that works:\n");
    let work = || Service::start(&["budget.cpu_percent=10000", "process.cgroup_limit=0"]);
    let stop = |service: Service| {
        let (status, _) = service.stop()?;
        ensure!(status.success(), "the service ended with {status}");
        Ok(())
    };
    pairs::compare_beside(args.pairs, unit, Better::Higher, rate, work, stop)?;
    println!("Beside one whose breaker is open:\n");
    pairs::compare_beside(args.pairs, unit, Better::Higher, rate, tripped, stop).map(drop)
}

/// A service at rest, for longer than any storm.
fn tripped() -> Result<Service> {
    let mut service = Service::start(&[
        "budget.cpu_percent=0.5",
        "budget.samples=2",
        "budget.cooldown_seconds=3600",
        "process.cgroup_limit=0",
    ])?;
    let storm = storm::start(40_000, 2)?;
    service.wait_for("breaker open: ", 1)?;
    storm.finish()?;
    Ok(service)
}
