//! What every program of Wanglou that runs as a service needs, once: the sensor and the control plane are set,
//! log, answer for themselves and speak to their service manager in the same way.
//!
//! ```text
//! config      layers of settings, checked; what changes       cli      --config, --set, config check|show
//! log         levels, ids, files in turn, journal, repeats    panics   each with its place
//! telemetry   /healthz /readyz /metrics /status, the heap     usage    what a process costs
//! service     signals, a changed file, sd_notify              spread   a host's turn in its fleet
//! allocator   jemalloc                                        image    pages of code that are given back
//! ```
//!
//! Nothing here knows a program, or what its runtime is: whatever is asynchronous works on one thread as on many.
//! A process has one log, and one allocator; of all else it may have several. The log writes in the thread of
//! who speaks: a pipe is not waited for, a disk is.
//!
//! A program has
//!
//! - an allocator, in `main.rs`: [`allocator!`];
//! - a table of what it says to operators, [`ids!`], in `src/log/ids.rs`, with tests that hold it to the sources
//!   and to the documentation ([`log::ids::check`]);
//! - a structure for its settings that is a [`Config`](config::Config);
//! - something that is a [`Subject`](telemetry::Subject), with a table of
//!   [`Metric`](telemetry::metrics::Metric)s;
//! - a loop that listens to [`Told`](service::Told), and [`reread`](service::reread)s the settings.
//!
//! ```no_run
//! use clap::Parser;
//! use wanglou_daemon::cli::{self, ConfigCommand, Layered};
//! use wanglou_daemon::config::{self, Config, Setting};
//! use wanglou_daemon::log::{self, Process, Role};
//! use wanglou_daemon::service::{Told, Word, reread};
//! use wanglou_daemon::telemetry::{self, Subject, Telemetry, Verdict, metrics};
//!
//! wanglou_daemon::allocator!("background_thread:true");
//!
//! mod ids {
//!     wanglou_daemon::ids! {
//!         FAILED "WL1009" Error "the mill stands still, and why", "as the message says";
//!         SETTINGS_CHANGED "WL1013" Notice "what is set otherwise", "nothing";
//!         // … and all others of `wanglou_daemon::log::ids::SHARED`
//!     }
//! }
//!
//! #[derive(Clone, Debug, Default, PartialEq)]
//! struct Mill {
//!     stones: u32,
//!     log: log::Settings,
//!     telemetry: Telemetry,
//! }
//!
//! impl Config for Mill {
//!     const PROGRAM: &'static str = "wanglou-mill";
//!     const FILE: &'static str = "/etc/wanglou/mill.toml";
//!     const SETTINGS: &'static [&'static [Setting<Self>]] = &[
//!         &[Setting {
//!             path: "mill.stones",
//!             set: |to, raw| raw.number(1..=8).map(|value| to.stones = value),
//!             show: |of| of.stones.to_string(),
//!         }],
//!         config::of_log(),
//!         config::of_telemetry(),
//!     ];
//!     const LATER: &'static str = "at the next start";
//!
//!     fn log(&self) -> &log::Settings {
//!         &self.log
//!     }
//!     fn log_mut(&mut self) -> &mut log::Settings {
//!         &mut self.log
//!     }
//!     fn telemetry(&self) -> &Telemetry {
//!         &self.telemetry
//!     }
//!     fn telemetry_mut(&mut self) -> &mut Telemetry {
//!         &mut self.telemetry
//!     }
//!     fn is_at_once(path: &str, _new: &Self, _began_with: &Self) -> bool {
//!         path.starts_with("log.")
//!     }
//! }
//!
//! struct Miller(Telemetry);
//!
//! impl Subject for Miller {
//!     const OWN: &'static str = "mill";
//!
//!     fn settings(&self) -> Telemetry {
//!         self.0.clone()
//!     }
//!     fn alive(&self) -> Verdict {
//!         (true, "it turns\n".to_owned())
//!     }
//!     fn ready(&self) -> Verdict {
//!         (true, "it turns\n".to_owned())
//!     }
//!     fn metrics(&self) -> Result<String, std::fmt::Error> {
//!         static METRICS: &[metrics::Metric<fn() -> Vec<metrics::Row>>] = &[];
//!         metrics::text("wanglou_mill", METRICS, |rows| rows())
//!     }
//!     fn status(&self) -> serde_json::Value {
//!         serde_json::json!({"version": env!("CARGO_PKG_VERSION")})
//!     }
//! }
//!
//! #[derive(Parser)]
//! enum Command {
//!     Serve(Layered<Mill>),
//!     #[command(subcommand)]
//!     Config(ConfigCommand<Mill>),
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let command = match Command::try_parse() {
//!         Ok(command) => command,
//!         Err(error) => return cli::usage::<Mill>(&error),
//!     };
//!     let settings = match command {
//!         Command::Config(command) => return command.run(),
//!         Command::Serve(settings) => settings,
//!     };
//!     log::init(Process { program: Mill::PROGRAM, name: "mill", role: Role::Service });
//!     let effective = match settings.load() {
//!         Ok(effective) => effective,
//!         Err(problems) => return cli::complain::<Mill>(&problems),
//!     };
//!     log::configure(&effective.config.log);
//!     let done = tokio::runtime::Builder::new_current_thread()
//!         .enable_all()
//!         .build()
//!         .map_err(Into::into)
//!         .and_then(|runtime| runtime.block_on(grind(&settings, effective)));
//!     if let Err(error) = &done {
//!         tracing::error!(id = ids::FAILED.code, "{error}");
//!     }
//!     log::finish();
//!     if done.is_ok() { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
//! }
//!
//! async fn grind(
//!     settings: &Layered<Mill>,
//!     mut effective: config::Effective<Mill>,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let began_with = effective.config.clone();
//!     let mut told = Told::new(settings.layers().file_or_usual::<Mill>())?;
//!     let _server = telemetry::serve(Miller(effective.config.telemetry.clone())).await?;
//!     told.notify.ready("grinding");
//!     loop {
//!         match told.next().await {
//!             Word::End => break,
//!             Word::Tick => log::tick(),
//!             Word::Reload | Word::Changed => {
//!                 let Some(new) = reread::<Mill>(&settings.layers(), |_| Ok(())) else { continue };
//!                 for change in config::changes(&effective.config, &new.config, &began_with) {
//!                     tracing::info!(id = ids::SETTINGS_CHANGED.code, "settings: {change}");
//!                 }
//!                 log::configure(&new.config.log);
//!                 effective = new;
//!             }
//!         }
//!     }
//!     told.notify.stopping();
//!     Ok(())
//! }
//! ```

pub mod allocator;
pub mod cli;
pub mod clock;
pub mod config;
pub mod image;
pub mod log;
pub mod panics;
pub mod service;
pub mod spread;
pub mod telemetry;
pub mod usage;
