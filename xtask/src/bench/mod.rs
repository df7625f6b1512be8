//! `bench`: what the sensor costs, beside no sensor and beside bpftrace, all in one run.
//!
//! This machine's speed changes from minute to minute, so that only what was measured in one run,
//! in turns, can be compared: each round has every tracer once, each round begins with another, and
//! the medians over the rounds are shown.

mod bpftrace;
mod breaker;
mod fleet;
mod idle;
mod network;
mod pairs;
mod probes;
mod process;
mod proxy;
mod sampled;
mod syscall;
mod table;
mod telemetry;
mod tracer;

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{debian, test};
use probes::Statistics;
use tracer::{Figures, Tracer};

/// Arguments of `bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// How often each tracer has its turn
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many processes a storm makes
    #[arg(long, default_value_t = 20_000)]
    total: u64,
    /// How many processes make them
    #[arg(long, default_value_t = 2)]
    workers: u64,
    /// Put the table into docs/performance.md
    #[arg(long)]
    write: bool,
}

#[derive(clap::Subcommand)]
enum What {
    /// Whether a system call costs more while the sensor watches
    Syscall(syscall::Args),
    /// How fast the host is while the sensor works, and once it rests
    Breaker(breaker::Args),
    /// What the service costs while hardly anything happens
    Idle(idle::Args),
    /// What a fleet costs its replicas, and how soon all of it is stopped
    Fleet(fleet::Args),
    /// What events cost on their way through a replica into Parquet
    Telemetry(telemetry::Args),
    /// What connections, requests and bulk data cost while the sensor watches
    Network(network::Args),
}

/// Builds, measures, prints a table.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    match &args.what {
        Some(What::Fleet(args)) => return fleet::run(workspace, args),
        Some(What::Telemetry(args)) => return telemetry::run(workspace, args),
        _ => {}
    }
    if !rustix::process::geteuid().is_root() {
        bail!("the bench attaches probes: run it as root");
    }
    test::build_all(workspace)?;
    match &args.what {
        Some(What::Syscall(args)) => return syscall::run(args),
        Some(What::Breaker(args)) => return breaker::run(args),
        Some(What::Idle(args)) => return idle::run(args),
        Some(What::Network(args)) => return network::run(args),
        Some(What::Fleet(_) | What::Telemetry(_)) | None => {}
    }
    debian::ensure(&["bpftrace", "bpftool"], "comparing with bpftrace")?;

    let mut measured: Vec<(Tracer, Vec<Figures>)> =
        Tracer::ALL.into_iter().map(|tracer| (tracer, Vec::new())).collect();
    for round in 0..args.rounds {
        measured.rotate_left(1);
        for (tracer, figures) in &mut measured {
            eprintln!("xtask: round {} of {}: {}", round + 1, args.rounds, tracer.name());
            figures.push(tracer::measure(*tracer, args.total, args.workers)?);
        }
    }
    measured.sort_by_key(|(tracer, _)| *tracer);

    // Apart, as the kernel's own clock makes each run of a probe some 50 ns dearer.
    eprintln!("xtask: once more, with the kernel's statistics of probes on");
    let statistics = Statistics::enable()?;
    let mut in_kernel = Vec::new();
    for tracer in Tracer::ALL {
        in_kernel.push(tracer::measure(tracer, args.total, args.workers)?.probes);
    }
    drop(statistics);

    let text = table::markdown(args, &measured, &in_kernel);
    print!("{text}");
    if args.write {
        table::write(&workspace.root.join("docs/performance.md"), &text)?;
    }
    Ok(())
}
