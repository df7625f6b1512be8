//! `bench fleet`: hosts by the thousand at real replicas.

use std::process::Command;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{etcd, fleet, shell};

/// Arguments of `bench fleet`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many hosts
    #[arg(long, default_value_t = 10_000)]
    hosts: usize,
    /// At how many replicas: each can have 19,500 on most machines
    #[arg(long, default_value_t = 1)]
    replicas: usize,
}

/// Builds, measures, prints a table.
pub(super) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    measure(workspace, "fleet_bench", [args.hosts, args.replicas])
}

/// Builds the fleet's programs, and runs one that measures.
pub(super) fn measure(workspace: &Workspace, program: &str, numbers: [usize; 2]) -> Result<()> {
    fleet::build(workspace)?;
    let mut bench = Command::new(fleet::program(workspace, program));
    bench
        .env("WANGLOU_ETCD", etcd::find_or_unpack(workspace)?)
        .env("WANGLOU_CONTROL_PLANE", fleet::program(workspace, "wanglou-control-plane"))
        .env("WANGLOU_FLEET_BIN", fleet::folder(workspace))
        .args(numbers.map(|number| number.to_string()));
    shell::run(&mut bench)
}
