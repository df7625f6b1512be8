//! `bench telemetry`: events from hosts' streams through a replica into Parquet.

use anyhow::Result;

use super::fleet;
use crate::workspace::Workspace;

/// Arguments of `bench telemetry`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many events
    #[arg(long, default_value_t = 500_000)]
    events: usize,
    /// Of how many hosts
    #[arg(long, default_value_t = 20)]
    hosts: usize,
}

/// Builds, measures, prints a table.
pub(super) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    fleet::measure(workspace, "telemetry_bench", [args.events, args.hosts])
}
