//! `wanglou-sensor`: reads the command line and says in one line what went wrong.

mod allocator;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;
use tokio::runtime::Runtime;
use wanglou_sensor::books::Books;
use wanglou_sensor::cli::{Cli, Command, Config, Layered, Output, Watch};
use wanglou_sensor::config::{Layers, Problem};
use wanglou_sensor::log::{self, ids};
use wanglou_sensor::output::{Format, Outputs, Pretty};
use wanglou_sensor::service::Budget;
use wanglou_sensor::worker::Options;
use wanglou_sensor::{doctor, kernel, module, service, watch};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let is_service = matches!(cli.command, Command::Run(_) | Command::Worker);
    log::init(process(&cli.command));
    let done = match cli.command {
        Command::Watch(options) => run_watch(&options),
        Command::Run(layered) => run_service(&layered),
        Command::Worker => event_loop().and_then(|it| it.block_on(service::run_worker())),
        Command::Config(command) => Ok(run_config(&command)),
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
        Command::Run(_) => log::Process::Supervisor,
        Command::Worker => log::Process::Worker,
        Command::Loader { .. } => log::Process::Loader,
        _ => log::Process::Tool,
    }
}

/// Help and version as they are; what is wrong in one line.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that goes away is no failure.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim);
    let what = lines.next().unwrap_or_default().trim_start_matches("error: ");
    let values = lines.find(|line| line.starts_with('[')).unwrap_or_default();
    eprintln!(
        "wanglou-sensor: {}",
        [what, values, "(--help tells more)"].join(" ").replace("  ", " ")
    );
    ExitCode::from(2)
}

fn event_loop() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().context("cannot start the event loop")
}

fn run_service(layered: &Layered) -> Result<ExitCode> {
    match layered.load() {
        Ok(effective) => {
            log::configure(&effective.config.log);
            event_loop()?.block_on(service::run(effective, &|| layered.layers()))
        }
        Err(problems) => Ok(complain(&problems)),
    }
}

fn run_config(command: &Config) -> ExitCode {
    let loaded = match command {
        Config::Check { file } => Layers::of_file(file).load(),
        Config::Show(layered) => layered.load(),
    };
    match (command, loaded) {
        (_, Err(problems)) => complain(&problems),
        (Config::Show(_), Ok(effective)) => {
            // A reader that goes away has seen enough.
            let _ = write!(std::io::stdout(), "{effective}");
            ExitCode::SUCCESS
        }
        (Config::Check { file }, Ok(effective)) => {
            let settings = effective.places.len();
            println!("{}: all is well: {settings} settings of its own", file.display());
            ExitCode::SUCCESS
        }
    }
}

/// Everything at once, a line each.
fn complain(problems: &[Problem]) -> ExitCode {
    for problem in problems {
        eprintln!("wanglou-sensor: {problem}");
    }
    ExitCode::FAILURE
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
    };
    event_loop()?.block_on(watch::watch(options))
}
