//! `wanglou-sensor`: reads the command line and says in one line what went wrong.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tokio::runtime::Runtime;
use wanglou_daemon::cli::{self, Layered};
use wanglou_sensor::books::Books;
use wanglou_sensor::cli::{Cli, Command, Output, Watch};
use wanglou_sensor::config::Config;
use wanglou_sensor::log::{self, ids};
use wanglou_sensor::output::{Format, Outputs, Pretty};
use wanglou_sensor::service::Budget;
use wanglou_sensor::worker::Options;
use wanglou_sensor::{doctor, kernel, module, service, watch};

// One arena, as hardly two threads ever allocate at once; freed pages go back at once, or a storm leaves 1 MB
// behind; no thread of its own.
wanglou_daemon::allocator!("narenas:1,dirty_decay_ms:0,muzzy_decay_ms:0,background_thread:false");

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::usage::<Config>(&error),
    };
    let is_service = matches!(cli.command, Command::Run(_) | Command::Worker);
    log::init(process(&cli.command));
    let done = match cli.command {
        Command::Watch(options) => run_watch(&options),
        Command::Run(layered) => run_service(&layered),
        Command::Worker => event_loop().and_then(|it| it.block_on(service::run_worker())),
        Command::Config(command) => Ok(command.run()),
        Command::Doctor => doctor::run().context("cannot examine this host"),
        Command::Loader { ring_bytes, args_bytes, process_events_limit, network, connections } => {
            let sizes = kernel::Sizes { ring_bytes, args_bytes };
            match kernel::Network::try_from(&connections) {
                Ok(asked) => {
                    let network = network.then_some(asked);
                    Ok(kernel::run_loader(&kernel::Request {
                        sizes,
                        process_events_limit,
                        network,
                    }))
                }
                Err(error) => Err(error.into()),
            }
        }
    };
    let code = done.unwrap_or_else(|error| {
        // A reader that goes away has seen enough.
        let cause = error.root_cause().downcast_ref::<std::io::Error>();
        if cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        if is_service {
            tracing::error!(id = ids::FAILED.code, "{error:#}");
        } else {
            eprintln!("wanglou-sensor: {error:#}");
        }
        ExitCode::FAILURE
    });
    log::finish();
    code
}

/// Who we are to the log.
fn process(command: &Command) -> log::Process {
    match command {
        Command::Run(_) => log::SUPERVISOR,
        Command::Worker => log::WORKER,
        Command::Loader { .. } => log::LOADER,
        _ => log::TOOL,
    }
}

fn event_loop() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().context("cannot start the event loop")
}

fn run_service(layered: &Layered<Config>) -> Result<ExitCode> {
    match layered.load() {
        Ok(effective) => {
            log::configure(&effective.config.log);
            event_loop()?.block_on(service::run(effective, &|| layered.layers()))
        }
        Err(problems) => Ok(cli::complain::<Config>(&problems)),
    }
}

fn run_watch(options: &Watch) -> Result<ExitCode> {
    let request = match options.request() {
        Ok(request) => request,
        Err(error) => {
            eprintln!("wanglou-sensor: {error}");
            return Ok(ExitCode::from(2));
        }
    };
    let format = match options.output.unwrap_or_else(Output::suitable) {
        Output::Json => Format::Json,
        Output::Pretty => Format::Pretty(Pretty::for_stdout(options.tree)),
    };
    let books = Books::new().context("cannot keep books")?;
    let events: Vec<_> = options.events.iter().copied().map(Into::into).collect();
    books.want(&events);
    let options = Options {
        backend: options.backend,
        format,
        outputs: Outputs::stdout(),
        request,
        modules: module::Settings::default(),
        budget: Budget::default(),
        books,
        last: None,
        runtimes: options.runtimes.clone().into(),
        uplink: None,
    };
    event_loop()?.block_on(watch::watch(options))
}
