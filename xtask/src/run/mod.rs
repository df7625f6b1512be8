//! `run`: from a fresh clone to a fleet of one: etcd, a replica of the control plane, a sensor that has joined it, and
//! this host's processes on the terminal.

mod background;
mod fleet;

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::build;
use crate::workspace::Workspace;

/// Arguments of `run`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Further arguments of `wanglou-sensor watch`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    watch: Vec<String>,
}

/// Becomes the sensor, so that signals and the exit code are its own; the fleet ends with it.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let sensor = build::run(workspace)?;
    if let Err(error) = fleet::start(workspace, &sensor) {
        eprintln!("xtask: no fleet, only this host's events: {error:#}");
    }
    let error =
        Command::new(&sensor).args(["watch", "--output", "pretty"]).args(&args.watch).exec();
    Err(anyhow!(error).context(format!("cannot start {}", sensor.display())))
}
