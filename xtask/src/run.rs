//! `run`: from a fresh clone to this host's processes on the terminal.

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

/// Becomes the sensor, so that signals and the exit code are its own.
pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let sensor = build::run(workspace)?;
    let error =
        Command::new(&sensor).args(["watch", "--output", "pretty"]).args(&args.watch).exec();
    Err(anyhow!(error).context(format!("cannot start {}", sensor.display())))
}
