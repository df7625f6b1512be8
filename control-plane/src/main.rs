//! `wanglou-control-plane`: reads the command line and says in one line what went wrong.

mod clock;
mod config;
mod counters;
mod fleet;
mod ingest;
mod init_etcd;
mod journal;
mod log;
mod node;
mod peers;
mod run;
mod server;
mod store;
mod telemetry;
mod view;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use tokio::runtime::Runtime;
use wanglou_daemon::cli::{self, ConfigCommand, Layered};
use wanglou_daemon::config::Config as _;
use wanglou_daemon::log::{Process, Role};

use crate::config::Config;
use crate::log::ids;

wanglou_daemon::allocator!("background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0");

/// Runs a fleet of sensors: who is alive, what they are to do, and that they stop.
#[derive(Parser)]
#[command(name = "wanglou-control-plane", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve sensors, operators and other replicas
    Serve(Layered<Config>),
    /// Give etcd the users and roles that a fleet's replicas need
    InitEtcd(init_etcd::Args),
    /// Check or show settings
    #[command(subcommand)]
    Config(ConfigCommand<Config>),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::usage::<Config>(&error),
    };
    let done = match cli.command {
        Command::Config(command) => return command.run(),
        Command::InitEtcd(args) => {
            wanglou_daemon::log::init(Process {
                program: Config::PROGRAM,
                name: "init-etcd",
                role: Role::Other,
            });
            event_loop().and_then(|it| it.block_on(init_etcd::run(&args)))
        }
        Command::Serve(layered) => return serve(&layered),
    };
    if let Err(error) = &done {
        eprintln!("wanglou-control-plane: {error:#}");
    }
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn serve(layered: &Layered<Config>) -> ExitCode {
    wanglou_daemon::log::init(Process {
        program: Config::PROGRAM,
        name: "replica",
        role: Role::Service,
    });
    let effective = match layered.load() {
        Ok(effective) => effective,
        Err(problems) => return cli::complain::<Config>(&problems),
    };
    wanglou_daemon::log::configure(&effective.config.log);
    let done = event_loop().and_then(|it| it.block_on(run::serve(layered, effective)));
    if let Err(error) = &done {
        tracing::error!(id = ids::FAILED.code, "{error:#}");
    }
    wanglou_daemon::log::finish();
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn event_loop() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().context("cannot start the event loop")
}
