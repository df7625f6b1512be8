//! `wanglou`: what an operator sees of a fleet, and says to it.
#![forbid(unsafe_code)]

mod cli;
mod command;
mod connection;
mod count;
mod details;
mod events;
mod failure;
mod host;
mod hosts;
mod interrupt;
mod json;
mod label;
mod orders;
mod reconcile;
mod replicas;
mod selection;
mod settings;
mod table;
mod terminal;
mod text;
mod units;
mod when;

use std::io::{self, ErrorKind};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser as _};
use wanglou_api::fleet::v1::run_command_request::Action;
use wanglou_api::sensor::v1::{SetLogLevel, SetModule, Snapshot};

use cli::{Cli, Command, Switch};
use connection::Fleet;
use failure::{Usage, one_line};
use settings::Settings;

/// How it ended, where nothing went wrong on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// As it was meant.
    Well,
    /// Not all have done what they should; that has been told.
    Badly,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match run(cli) {
        Ok(Done::Well) => ExitCode::SUCCESS,
        Ok(Done::Badly) => ExitCode::FAILURE,
        Err(error) => complain(&error),
    }
}

fn run(cli: Cli) -> Result<Done> {
    if let Command::Completion { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "wanglou", &mut io::stdout());
        return Ok(Done::Well);
    }
    let settings = Settings::load(&cli.connection)?;
    let signing_key = settings.signing_key.clone();
    let mut fleet = Fleet::new(settings)?;
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let event_loop = builder.enable_all().build().context("cannot start the event loop")?;
    let output = cli.output;
    event_loop.block_on(async {
        let fleet = &mut fleet;
        match cli.command {
            Command::Hosts(options) => hosts::run(fleet, &options, output).await,
            Command::Host { id } => host::run(fleet, &id, output).await,
            Command::Count { by, filter } => count::run(fleet, &by, &filter, output).await,
            Command::Stop(options) => orders::stop(fleet, &options, output).await,
            Command::Start(options) => {
                orders::start(fleet, signing_key.as_deref(), &options, output).await
            }
            Command::Orders { epoch: Some(epoch), .. } => orders::show(fleet, epoch, output).await,
            Command::Orders { epoch: None, limit } => orders::list(fleet, limit, output).await,
            Command::Events(options) => events::run(fleet, &options, output).await,
            Command::Reconcile(options) => reconcile::run(fleet, &options, output).await,
            Command::Replicas => replicas::run(fleet, output).await,
            Command::Label { host, changes } => label::run(fleet, &host, &changes, output).await,
            Command::Module { switch, name, run } => {
                let set = SetModule { module: name, on: switch == Switch::On };
                command::run(fleet, Action::SetModule(set), &run, output).await
            }
            Command::LogLevel { level, run } => {
                let set = SetLogLevel { level };
                command::run(fleet, Action::SetLogLevel(set), &run, output).await
            }
            Command::Snapshot(run) => {
                command::run(fleet, Action::Snapshot(Snapshot {}), &run, output).await
            }
            Command::Completion { .. } => Ok(Done::Well),
        }
    })
}

/// One line, and the exit code that goes with it.
fn complain(error: &anyhow::Error) -> ExitCode {
    // A reader that goes away has seen enough.
    let cause = error.root_cause().downcast_ref::<io::Error>();
    if cause.is_some_and(|cause| cause.kind() == ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    terminal::note(&one_line(&format!("{error:#}")));
    if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// Help and version as they are; what is wrong in one line.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that goes away is no failure.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    // Usage and tips are what --help is for.
    let said = text.split("\n\nUsage:").next().unwrap_or_default();
    let said = said.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
    terminal::note(&format!("{} (--help tells more)", one_line(said)));
    ExitCode::from(2)
}

/// So that a request that is made twice is done once: 16 hexadecimal digits.
fn request_id() -> Result<String> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).ok().context("the system has no random numbers")?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}
