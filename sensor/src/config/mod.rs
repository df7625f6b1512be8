//! What an operator sets of a sensor; how that is read is the same for every program
//! ([`wanglou_daemon::config`]).
//!
//! ```text
//! settings   every setting: its path, its range, where it goes, whether it counts at once
//! conflict   settings that do not fit each other
//! ```

mod conflict;
mod settings;

use std::path::PathBuf;

pub use wanglou_daemon::config::{Applied, Change, Layers, Place, Problem, changes, is_behind};

use crate::action::Category;
use crate::container::Sockets;
use crate::control;
use crate::kernel::{Network, Request, Sizes};
use crate::log;
use crate::module;
use crate::output::Outputs;
use crate::service::{Budget, Limits};
use crate::source::Backend;
use crate::telemetry::Telemetry;
use crate::uplink;

/// All settings, and where those come from that are not the defaults.
pub type Effective = wanglou_daemon::config::Effective<Config>;

/// All settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which way to see.
    pub backend: Backend,
    /// What to report.
    pub events: Vec<Category>,
    /// How large what the probes use is.
    pub sizes: Sizes,
    /// What the processes of one cgroup may do in a second, on the average of ten; 0 for any number.
    pub process_events_limit: u32,
    /// Which connections to report.
    pub network: Network,
    /// Who can be asked about containers.
    pub runtimes: Sockets,
    /// What modules may do.
    pub modules: module::Settings,
    /// What the sensor may cost.
    pub budget: Budget,
    /// Where events go.
    pub outputs: Outputs,
    /// What the kernel lets the worker have.
    pub limits: Limits,
    /// Over how long hosts with the same file spread the start of a new worker, seconds.
    pub spread_seconds: u64,
    /// What the sensor says of itself, and where.
    pub log: log::Settings,
    /// What it says of itself.
    pub telemetry: Telemetry,
    /// Whether profiles of the worker's heap count what was freed again too; it keeps a record of every stack for
    /// ever.
    pub heap_accumulated: bool,
    /// Whose orders it takes.
    pub control: control::Settings,
    /// What is kept of what the fleet is to have.
    pub uplink: uplink::Settings,
    /// What it has to remember across restarts lies there.
    pub state_directory: PathBuf,
}

/// Two thousand processes a second for longer than ten seconds are no cgroup's work; six thousand events cost
/// about half of the default budget.
const PROCESS_EVENTS_LIMIT: u32 = 6_000;

impl Default for Config {
    fn default() -> Self {
        Self {
            backend: Backend::Auto,
            events: vec![Category::Process, Category::Network],
            sizes: Sizes::default(),
            process_events_limit: PROCESS_EVENTS_LIMIT,
            network: Network::default(),
            runtimes: Sockets::default(),
            modules: module::Settings::of_a_service(),
            budget: Budget::default(),
            outputs: Outputs::default(),
            limits: Limits::default(),
            spread_seconds: 60,
            log: log::Settings::default(),
            telemetry: Telemetry::default(),
            heap_accumulated: false,
            control: control::Settings::default(),
            uplink: uplink::Settings::default(),
            state_directory: "/var/lib/wanglou".into(),
        }
    }
}

impl Config {
    /// What the probes are to do.
    pub fn request(&self) -> Request {
        let wanted = self.events.contains(&Category::Network);
        let network = wanted.then(|| self.network.clone());
        Request { sizes: self.sizes, process_events_limit: self.process_events_limit, network }
    }
}

#[cfg(test)]
mod tests;
