//! The command line.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use wanglou_daemon::cli::{ConfigCommand, Layered};

use crate::action::Category;
use crate::config::Config;
use crate::container::Sockets;
use crate::filter::{Filter, Rule, RuleError};
use crate::kernel::{
    ARGS_STEPS, Limits, MAX_LIMIT, MAX_RING_BYTES, MIN_RING_BYTES, Network, Request, Sizes,
};
use crate::source::Backend;

/// Tells what every process of this host does.
#[derive(Debug, Parser)]
#[command(name = "wanglou-sensor", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print this host's events; needs no control plane and no files
    Watch(Watch),
    /// Say what this kernel and these rights allow, and what to do about the rest
    Doctor,
    /// Run as a service: as `watch`, by settings, and again whenever it is ended by something
    Run(Layered<Config>),
    /// Check a configuration, or show the one in force
    #[command(subcommand)]
    Config(ConfigCommand<Config>),
    /// Do the work of `run`: the sensor starts itself so
    #[command(hide = true, name = crate::service::WORKER)]
    Worker,
    /// Attach the probes and hand them over: the sensor starts itself so
    #[command(hide = true, name = crate::kernel::LOADER)]
    Loader {
        /// Size of the ring in bytes.
        #[arg(value_parser = ring_bytes)]
        ring_bytes: u32,
        /// Bytes of arguments that an exec keeps.
        #[arg(value_parser = args_bytes)]
        args_bytes: u32,
        /// Events of the processes of one cgroup, a second; 0 for any number.
        #[arg(long)]
        process_events_limit: u32,
        /// See connections too.
        #[arg(long)]
        network: bool,
        /// Which of them.
        #[command(flatten)]
        connections: Connections,
    },
}

/// Flags of `watch`.
#[derive(Debug, clap::Args)]
pub struct Watch {
    /// How events are written: `json` is one object a line [default: pretty on a terminal]
    #[arg(long, value_enum)]
    pub output: Option<Output>,
    /// How to see: `auto` takes eBPF where the kernel can, else `cn_proc`
    #[arg(long, value_enum, default_value = "auto")]
    pub backend: Backend,
    /// Which events to report, with commas between
    #[arg(long, value_enum, value_delimiter = ',', default_value = "process,network")]
    pub events: Vec<Events>,
    /// Which connections.
    #[command(flatten)]
    pub connections: Connections,
    /// Sizes in the kernel.
    #[command(flatten)]
    pub sizes: SizeFlags,
    /// Who is asked about containers.
    #[command(flatten)]
    pub runtimes: Runtimes,
    /// Indent each process below the one that created it (pretty only)
    #[arg(long)]
    pub tree: bool,
}

/// Where container runtimes listen.
#[derive(Clone, Debug, clap::Args)]
pub struct Runtimes {
    /// Socket of a container runtime of Kubernetes, to be asked instead of those in the usual places
    #[arg(long, value_name = "PATH")]
    cri_socket: Vec<PathBuf>,
    /// Socket of Docker
    #[arg(long, value_name = "PATH", default_value_os_t = Sockets::default().docker)]
    docker_socket: PathBuf,
}

impl From<Runtimes> for Sockets {
    fn from(flags: Runtimes) -> Self {
        let usual = || Self::default().cri;
        let cri = if flags.cri_socket.is_empty() { usual() } else { flags.cri_socket };
        Self { cri, docker: flags.docker_socket }
    }
}

/// Which connections are reported.
#[derive(Clone, Debug, clap::Args)]
pub struct Connections {
    /// Report connections over loopback addresses too
    #[arg(long)]
    include_loopback: bool,
    /// A rule for which connections to report: `drop` or `keep`, and conditions of
    /// direction=egress|ingress|listen, address=RANGE, port=RANGE, uid=N, cgroup=PATH and
    /// executable=PATH, with commas between alternatives. Of several rules the first that holds
    /// decides; what none speaks of is kept
    #[arg(long, value_name = "RULE")]
    filter: Vec<Rule>,
    /// Connections that one process may have reported a second, on the average of ten; those beyond
    /// are counted. 0: all
    #[arg(long, value_name = "N", default_value_t = Limits::default().process, value_parser = limit)]
    process_limit: u32,
    /// The same of one cgroup
    #[arg(long, value_name = "N", default_value_t = Limits::default().cgroup, value_parser = limit)]
    cgroup_limit: u32,
}

impl TryFrom<&Connections> for Network {
    type Error = RuleError;

    fn try_from(flags: &Connections) -> Result<Self, RuleError> {
        Ok(Self {
            loopback: flags.include_loopback,
            filter: Filter::new(flags.filter.clone())?,
            limits: Limits { process: flags.process_limit, cgroup: flags.cgroup_limit },
        })
    }
}

/// How large what the probes use is.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct SizeFlags {
    /// Size of the ring between kernel and sensor in bytes, a power of two
    #[arg(long, value_parser = ring_bytes, default_value_t = Sizes::default().ring_bytes)]
    ring_bytes: u32,
    /// Bytes of arguments that an exec keeps by eBPF: 32768, 65536 or 131072; of longer ones, the
    /// first and the last
    #[arg(long, value_parser = args_bytes, default_value_t = Sizes::default().args_bytes)]
    args_bytes: u32,
}

impl From<SizeFlags> for Sizes {
    fn from(flags: SizeFlags) -> Self {
        Self { ring_bytes: flags.ring_bytes, args_bytes: flags.args_bytes }
    }
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One object a line.
    Json,
    /// Columns for people.
    Pretty,
}

impl Output {
    /// What suits standard output: columns for people, objects for programs.
    pub fn suitable() -> Self {
        if std::io::stdout().is_terminal() { Self::Pretty } else { Self::Json }
    }
}

/// What can be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Events {
    /// Processes: fork, exec, end, changed ids.
    Process,
    /// Connections: attempted, accepted, ended; sockets that listen.
    Network,
}

impl From<Events> for Category {
    fn from(events: Events) -> Self {
        match events {
            Events::Process => Self::Process,
            Events::Network => Self::Network,
        }
    }
}

impl Watch {
    /// What the probes are to do.
    pub fn request(&self) -> Result<Request, RuleError> {
        let network = Network::try_from(&self.connections)?;
        let wanted = self.events.contains(&Events::Network);
        let network = wanted.then_some(network);
        Ok(Request { sizes: self.sizes.into(), process_events_limit: 0, network })
    }
}

fn limit(text: &str) -> Result<u32, String> {
    let limit = text.parse().ok().filter(|limit| *limit <= MAX_LIMIT);
    limit.ok_or_else(|| format!("it has to be from 0 to {MAX_LIMIT}"))
}

fn ring_bytes(text: &str) -> Result<u32, String> {
    let range = MIN_RING_BYTES..=MAX_RING_BYTES;
    let bytes = text.parse().ok().filter(|bytes| range.contains(bytes));
    bytes.filter(|bytes: &u32| bytes.is_power_of_two()).ok_or_else(|| {
        format!("it has to be a power of two from {MIN_RING_BYTES} to {MAX_RING_BYTES}")
    })
}

fn args_bytes(text: &str) -> Result<u32, String> {
    let bytes = text.parse().ok().filter(|bytes| ARGS_STEPS.contains(bytes));
    bytes.ok_or_else(|| {
        let [small, middle, large] = ARGS_STEPS;
        format!("it has to be {small}, {middle} or {large}")
    })
}
