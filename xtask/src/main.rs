//! `cargo xtask`: everything a developer does with this tree, one file a subcommand.

mod build;
mod build_ebpf;
mod debian;
mod run;
mod shell;
mod toolchain;
mod workspace;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The developer's side of wanglou.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Compile the probes, with whatever BPF toolchain there is or can be installed
    BuildEbpf,
    /// Compile the probes and a static release build of the sensor
    Build,
    /// Build, then watch this host
    Run(run::Args),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let workspace = Workspace::find()?;
    match cli.task {
        Task::BuildEbpf => build_ebpf::run(&workspace).map(drop),
        Task::Build => build::run(&workspace).map(drop),
        Task::Run(args) => run::run(&workspace, &args),
    }
}
