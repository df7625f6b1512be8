//! `cargo xtask`: everything a developer does with this tree, one file a subcommand.

mod bench;
mod build;
mod build_ebpf;
mod containers;
mod cross;
mod debian;
mod deploy;
mod dist;
mod etcd;
mod fleet;
mod fuzz;
mod kernels;
mod lint;
mod previous;
mod room;
mod run;
mod shell;
mod tally;
mod test;
mod toolchain;
mod tools;
mod workspace;

use std::process::ExitCode;

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
    /// Run every test there is, on this machine and on other kernels
    Test(test::Args),
    /// Boot other kernels in qemu and check the sensor in them
    TestKernels(kernels::Args),
    /// Measure what the sensor costs, beside nothing and beside bpftrace
    Bench(bench::Args),
    /// Make what others get: images, Debian packages, and lists of what is in them
    Dist(dist::Args),
    /// Formatting, clippy, and the rules for dependencies
    Lint(lint::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    match task {
        Task::BuildEbpf => build_ebpf::run(&workspace).map(drop),
        Task::Build => build::run(&workspace).map(drop),
        Task::Run(args) => run::run(&workspace, &args),
        // Their last line is the count, whether or not something failed.
        Task::Test(args) => return test::run(&workspace, &args),
        Task::TestKernels(args) => return kernels::run(&workspace, &args),
        Task::Dist(args) => return dist::run(&workspace, &args),
        Task::Bench(args) => bench::run(&workspace, &args),
        Task::Lint(args) => lint::run(&workspace, &args),
    }?;
    Ok(ExitCode::SUCCESS)
}
