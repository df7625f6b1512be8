//! What a fleet costs: hosts by the thousand at real replicas with a real etcd, all on one machine.
//!
//! ```text
//! join     until all are welcome, and all are in etcd       list, watch   until an operator has seen all of them
//! idle     heartbeats and pings                              stop, start   until all have it, and until all have done it
//! ```

mod measure;
mod table;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use wanglou_fleet_testkit::host::operator;
use wanglou_fleet_testkit::swarm::Behaviour;
use wanglou_fleet_testkit::{Replica, Scene, Swarm};

use crate::measure::{Clock, counted, listed, progress, watched};
use crate::table::Table;

/// Time for the slowest step.
const PATIENCE: Duration = Duration::from_secs(900);
/// For so long nothing is asked of anybody.
const IDLE: Duration = Duration::from_secs(60);

/// `fleet_bench HOSTS REPLICAS`.
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: usize| -> Result<usize> {
        arguments.next().map_or(Ok(usual), |text| text.parse().context("it has to be a number"))
    };
    let (hosts, count) = (number(10_000)?, number(1)?);
    ensure!(hosts > 0 && count > 0, "fleet_bench HOSTS REPLICAS, each at least 1");
    let scene = Scene::one().await?;
    let mut replicas = Vec::new();
    let settings = [("control.connections", json!(19_800))];
    for n in 1..=count {
        replicas.push(scene.replica(&format!("replica-{n}"), &settings).await?);
    }
    let endpoints: Vec<_> = replicas.iter().map(Replica::address).collect();
    let mut asks = operator(scene.pki(), &endpoints[0]).await?;
    let mut swarm = Swarm::start(&scene.fleet, hosts, &endpoints)?;
    let mut table = Table::new(hosts, count);
    let empty = measure::resident(&replicas)?;

    eprintln!("{hosts} hosts join {count} replicas");
    let clock = Clock::start(&replicas)?;
    swarm.behave(0..hosts, Behaviour::Well, 2_000)?;
    swarm.until(PATIENCE, |report| report.welcome == hosts as u64).await?;
    table.row("all are welcome", &clock, &replicas, hosts)?;
    let want = u32::try_from(hosts)?;
    while counted(&mut asks, "alive").await? < want {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    table.row("all are alive to an operator", &clock, &replicas, hosts)?;
    table.memory(empty, measure::resident(&replicas)?, hosts);

    eprintln!("an operator looks");
    let clock = Clock::start(&replicas)?;
    listed(&mut asks, hosts).await?;
    table.row("all are listed, 1,000 a page", &clock, &replicas, hosts)?;
    let clock = Clock::start(&replicas)?;
    watched(&mut asks, hosts).await?;
    table.row("a watch has told of all", &clock, &replicas, hosts)?;

    eprintln!("nobody asks for {} s", IDLE.as_secs());
    let clock = Clock::start(&replicas)?;
    tokio::time::sleep(IDLE).await;
    table.row(
        "a minute of heartbeats (each 30 s) and pings (each 10 s)",
        &clock,
        &replicas,
        hosts,
    )?;
    table.idle(&clock, &replicas)?;

    for what in ["stop", "start"] {
        eprintln!("{what}");
        let clock = Clock::start(&replicas)?;
        let epoch = match what {
            "stop" => measure::stop(&mut asks).await?,
            _ => measure::start(&mut asks, &scene.operator_signer()?).await?,
        };
        let received = progress(&mut asks, epoch, want).await?;
        table.row(&format!("{what}: all have done it"), &clock, &replicas, hosts)?;
        table.beyond_idle(what, &clock, &replicas, hosts)?;
        let arrivals = swarm.truth()?.arrivals(epoch);
        ensure!(arrivals.len() == hosts, "{} of {hosts} have heard it", arrivals.len());
        table.arrivals(what, clock.began(), &arrivals, received);
    }
    println!("{table}");
    Ok(())
}
