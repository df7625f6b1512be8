//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::selection::{Filter, Targets, host_id};
use crate::when::When;

/// Shows a fleet of sensors, stops it and starts it.
#[derive(Debug, Parser)]
#[command(name = "wanglou", version, about)]
pub(crate) struct Cli {
    /// How to write: `json` is one object a line
    #[arg(long, value_enum, global = true, default_value = "table")]
    pub(crate) output: Output,
    /// Whom to ask, as whom.
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Whom to ask, as whom. Each of them may be an environment variable or in a file too.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connection {
    /// A replica; may be given several times: the next if one does not answer [`WANGLOU_ENDPOINT`]
    #[arg(long, global = true, value_name = "HOST:PORT", value_delimiter = ',')]
    pub(crate) endpoint: Vec<String>,
    /// One's own certificate, PEM [`WANGLOU_CERTIFICATE`]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Its private key, PEM [`WANGLOU_KEY`]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The authorities of the fleet, PEM [`WANGLOU_AUTHORITIES`]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) authorities: Option<PathBuf>,
    /// The Ed25519 key that signs starts, PEM [`WANGLOU_SIGNING_KEY`]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) signing_key: Option<PathBuf>,
}

/// How to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List hosts: states, labels, versions, what the sensor costs
    Hosts(Hosts),
    /// Show one host with all that is known of it
    Host {
        /// As in its certificate
        id: String,
    },
    /// Count hosts by what they have in common
    Count {
        /// `state`, `version` or `labels.NAME`
        #[arg(long, value_name = "WHAT", default_value = "state", value_parser = crate::count::group)]
        by: String,
        /// Which.
        #[command(flatten)]
        filter: Filter,
    },
    /// End workers and probes: now, and until they are started again
    Stop(Give),
    /// Let sensors work again, by one's own signature
    Start(Give),
    /// List orders, or show one
    Orders {
        /// Its number
        epoch: Option<u64>,
        /// The last N only
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    /// Read events back, or draw a process with its kin
    Events(Box<Events>),
    /// Check that of every run's events none is missing
    Reconcile(Reconcile),
    /// List the replicas of the control plane
    Replicas,
    /// Change the labels of a host
    Label {
        /// As in its certificate
        host: String,
        /// `NAME=VALUE` sets a label, `NAME-` takes it away
        #[arg(required = true, value_name = "CHANGE")]
        changes: Vec<String>,
    },
    /// Switch a module on or off, until the sensor's service begins anew
    Module {
        /// Which way
        #[arg(value_enum)]
        switch: Switch,
        /// As `wanglou host` lists them
        name: String,
        /// Whom.
        #[command(flatten)]
        run: Run,
    },
    /// Have sensors log more or less, until their service begins anew
    LogLevel {
        /// As the setting `log.level`: `info`, `info,worker=debug`
        level: String,
        /// Whom.
        #[command(flatten)]
        run: Run,
    },
    /// Have sensors tell once more of every process and socket
    Snapshot(Run),
    /// Print what makes a shell complete these commands
    Completion {
        /// Which shell
        shell: Shell,
    },
}

/// Flags of `hosts`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Hosts {
    /// Go on, and show every change
    #[arg(long)]
    pub(crate) watch: bool,
    /// Which.
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// In which order; `cpu` and `memory` begin with whose sensor takes most
    #[arg(long, value_enum, default_value = "name")]
    pub(crate) sort: Sort,
    /// The first N only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
}

/// Flags of `stop` and `start`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Give {
    /// Whom.
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// Why, for those who look later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) reason: String,
    /// For how long to watch what becomes of it, at most; 0: not at all
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub(crate) wait: u32,
    /// Do not ask whether all hosts are really meant
    #[arg(long)]
    pub(crate) yes: bool,
}

/// Flags of `events`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Events {
    /// Go on with those that come, until Ctrl-C
    #[arg(long, conflicts_with = "until")]
    pub(crate) follow: bool,
    /// Of a host by its id; may be given several times, or with commas between
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = host_id)]
    pub(crate) host: Vec<String>,
    /// Of a process and its children: its `process.entity_id`, or a number
    #[arg(long, value_name = "ENTITY_ID|PID")]
    pub(crate) process: Option<String>,
    /// With this `event.action`; may be given several times, or with commas between
    #[arg(long, value_name = "ACTION", value_delimiter = ',')]
    pub(crate) action: Vec<String>,
    /// From then on: `10m` ago, or `2026-11-30T10:00:00Z`; without it an hour ago, of a tree a day
    #[arg(long, value_name = "WHEN")]
    pub(crate) since: Option<When>,
    /// Before then
    #[arg(long, value_name = "WHEN")]
    pub(crate) until: Option<When>,
    /// A condition in SQL over ECS names: `process.name = 'sshd' AND source.port > 1024`
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) condition: Option<String>,
    /// The last N only; without it 10,000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) last: Option<u32>,
    /// Draw this process with its ancestors and its descendants
    #[arg(long, value_name = "ENTITY_ID", conflicts_with_all =
        ["follow", "host", "process", "action", "until", "condition", "last"])]
    pub(crate) tree: Option<String>,
}

/// Flags of `reconcile`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Reconcile {
    /// Of a host by its id; may be given several times, or with commas between
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = host_id)]
    pub(crate) host: Vec<String>,
    /// Ask for runs that do not balance only
    #[arg(long)]
    pub(crate) unbalanced: bool,
}

/// Flags of what is done once.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Run {
    /// Whom.
    #[command(flatten)]
    pub(crate) targets: Targets,
    /// For how long to wait for answers, at most
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) wait: u32,
}

/// In which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sort {
    /// By name.
    Name,
    /// The sensor's share of a core, the greatest first.
    Cpu,
    /// The sensor's memory, the greatest first.
    Memory,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// Begin.
    On,
    /// End.
    Off,
}
