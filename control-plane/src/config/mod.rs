//! What an operator sets.

mod settings;

use std::path::PathBuf;
use std::time::Duration;

use wanglou_daemon::config::{Setting, of_log, of_telemetry};
use wanglou_daemon::log;
use wanglou_daemon::telemetry::Telemetry;

use crate::ingest::Rates;

/// All settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// Who comes, and how many.
    pub(crate) control: Control,
    /// Where the truth is.
    pub(crate) etcd: Etcd,
    /// What hosts are held to.
    pub(crate) fleet: Fleet,
    /// Where events are kept.
    pub(crate) lake: Lake,
    /// What hosts may tell in a second, together.
    pub(crate) rates: Rates,
    /// Where orders are kept.
    pub(crate) state_directory: PathBuf,
    /// `host:port` of other replicas, whatever etcd says of them.
    pub(crate) peers: Vec<String>,
    /// What the replica says of itself, and where.
    pub(crate) log: log::Settings,
    /// To whom it answers.
    pub(crate) telemetry: Telemetry,
}

/// Of sensors, operators and replicas, who all come the same way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Control {
    /// `address:port`.
    pub(crate) listen: String,
    /// `host:port`, where it is found; none: where it listens.
    pub(crate) addresses: Vec<String>,
    /// Who we are, and who says who others are: PEM.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) authorities: PathBuf,
    /// At once.
    pub(crate) connections: usize,
    pub(crate) handshakes_per_second: u32,
}

/// The way to etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Etcd {
    /// `http://host:port` or `https://host:port`.
    pub(crate) endpoints: Vec<String>,
    /// With TLS: who we are there, and who says who etcd is. Empty without.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) authorities: PathBuf,
}

/// What hosts are held to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fleet {
    pub(crate) hosts_per_lease: usize,
    pub(crate) lease: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) connection_age: Duration,
    /// Private, PEM; empty: no stop is signed here.
    pub(crate) stop_key: PathBuf,
    /// Public, PEM.
    pub(crate) operator_keys: Vec<PathBuf>,
}

/// Where events are kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lake {
    /// A folder; empty: this replica takes no events.
    pub(crate) location: String,
    /// For so long an event waits for others at most before it is stored.
    pub(crate) flush: Duration,
    pub(crate) compact_every: Duration,
    /// Days.
    pub(crate) retention: u32,
}

impl Default for Config {
    fn default() -> Self {
        let own = |name: &str| PathBuf::from(format!("/etc/wanglou/{name}"));
        Self {
            control: Control {
                listen: "0.0.0.0:7443".to_owned(),
                addresses: Vec::new(),
                certificate: own("replica.pem"),
                key: own("replica.key"),
                authorities: own("authorities.pem"),
                connections: 18_000,
                handshakes_per_second: 500,
            },
            etcd: Etcd {
                endpoints: vec!["http://127.0.0.1:2379".to_owned()],
                certificate: PathBuf::new(),
                key: PathBuf::new(),
                authorities: PathBuf::new(),
            },
            fleet: Fleet {
                hosts_per_lease: 500,
                lease: Duration::from_secs(30),
                heartbeat: Duration::from_secs(30),
                connection_age: Duration::from_secs(24 * 3600),
                stop_key: PathBuf::new(),
                operator_keys: Vec::new(),
            },
            lake: Lake {
                location: "/var/lib/wanglou/lake".to_owned(),
                flush: Duration::from_secs(1),
                compact_every: Duration::from_secs(30),
                retention: 30,
            },
            rates: Rates::default(),
            state_directory: PathBuf::from("/var/lib/wanglou"),
            peers: Vec::new(),
            log: log::Settings::default(),
            telemetry: Telemetry::default(),
        }
    }
}

impl wanglou_daemon::config::Config for Config {
    const PROGRAM: &'static str = "wanglou-control-plane";
    const FILE: &'static str = "/etc/wanglou/control-plane.toml";
    const SETTINGS: &'static [&'static [Setting<Self>]] =
        &[settings::SETTINGS, of_log(), of_telemetry()];
    const LATER: &'static str = "at the next start";

    fn log(&self) -> &log::Settings {
        &self.log
    }

    fn log_mut(&mut self) -> &mut log::Settings {
        &mut self.log
    }

    fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    fn telemetry_mut(&mut self) -> &mut Telemetry {
        &mut self.telemetry
    }

    fn is_at_once(path: &str, _new: &Self, _began_with: &Self) -> bool {
        path.starts_with("log.")
    }
}
