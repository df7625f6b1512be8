//! What an operator sets: defaults, a TOML file, the environment, flags, in this order, the later over the
//! earlier.
//!
//! ```text
//! settings   every setting: its path, its range, where it goes     raw   a value as it was written
//! file, environment, flags   the layers: paths and raw values      problem   what is wrong, and where
//! change     what differs, and how that comes into force       conflict   settings that do not fit each other
//! ```
//!
//! Everything that is wrong is told at once, and nothing of it comes into force.

mod change;
mod conflict;
mod environment;
mod file;
mod flags;
mod problem;
mod raw;
mod settings;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use change::{Applied, Change, changes, is_behind};
pub use problem::Problem;
use sha2::{Digest as _, Sha256};

use crate::action::Category;
use crate::kernel::{Network, Request, Sizes};
use crate::log;
use crate::module;
use crate::output::Outputs;
use crate::service::{Budget, Limits};
use crate::source::Backend;
use crate::telemetry::Telemetry;
use raw::Raw;
use settings::SETTINGS;

/// Where the service looks for its file unless it is told another.
pub const DEFAULT_FILE: &str = "/etc/wanglou/sensor.toml";

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
            modules: module::Settings::of_a_service(),
            budget: Budget::default(),
            outputs: Outputs::default(),
            limits: Limits::default(),
            spread_seconds: 60,
            log: log::Settings::default(),
            telemetry: Telemetry::default(),
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

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a file, from 1.
    File(PathBuf, usize),
    /// A variable.
    Environment(String),
    /// `--set`.
    Flag,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag => f.write_str("--set"),
        }
    }
}

/// A value as a layer has it.
struct Given {
    path: String,
    raw: Raw,
    place: Place,
}

/// Settings, and where those come from that are not the defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effective {
    /// What is in force.
    pub config: Config,
    /// By path.
    pub places: BTreeMap<&'static str, Place>,
}

/// The layers to read.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// `path=value`, as flags have it.
    pub flags: Vec<String>,
    /// Names and values of variables.
    pub environment: Vec<(String, String)>,
}

impl Layers {
    /// A file and nothing else.
    pub fn of_file(file: &Path) -> Self {
        Self { file: Some(file.to_owned()), ..Self::default() }
    }

    /// A file that was named, else the usual one if it is there; flags; this process's environment.
    pub fn here(file: Option<&Path>, flags: &[String]) -> Self {
        let usual = Some(Path::new(DEFAULT_FILE)).filter(|path| path.exists());
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self {
            file: file.or(usual).map(Path::to_owned),
            flags: flags.to_vec(),
            environment: std::env::vars_os()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
        }
    }

    /// Reads them all.
    pub fn load(&self) -> Result<Effective, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut given = Vec::new();
        if let Some(path) = &self.file {
            file::read(path, &mut given, &mut problems);
        }
        environment::read(&self.environment, &mut given);
        flags::read(&self.flags, &mut given, &mut problems);
        Effective::of(given, problems)
    }
}

impl Effective {
    /// Of what [`Display`](fmt::Display) writes.
    pub fn of_text(text: &str) -> Result<Self, Vec<Problem>> {
        let (mut given, mut problems) = (Vec::new(), Vec::new());
        file::parse(Path::new("-"), text, &mut given, &mut problems);
        Self::of(given, problems)
    }

    fn of(given: Vec<Given>, mut problems: Vec<Problem>) -> Result<Self, Vec<Problem>> {
        let mut effective = Self::default();
        for given in given {
            match effective.set(&given) {
                Ok(path) => {
                    effective.places.insert(path, given.place);
                }
                Err(what) => problems.push(Problem::new(given.place, what)),
            }
        }
        conflict::find(&effective, &mut problems);
        if problems.is_empty() { Ok(effective) } else { Err(problems) }
    }

    /// Of the values of all settings, wherever they come from: 16 hexadecimal digits that are the same where
    /// the same is in force.
    pub fn hash(&self) -> String {
        let mut digest = Sha256::new();
        for setting in SETTINGS {
            digest.update(format!("{} = {}\n", setting.path, (setting.show)(&self.config)));
        }
        digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn set(&mut self, given: &Given) -> Result<&'static str, String> {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.path == given.path) else {
            return Err(problem::unknown(&given.path, SETTINGS.iter().map(|setting| setting.path)));
        };
        (setting.set)(&mut self.config, &given.raw)
            .map_err(|what| format!("{} = {}: {what}", given.path, given.raw))?;
        Ok(setting.path)
    }
}

/// As a file that would say the same, with where each value comes from.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = SETTINGS.iter().map(|setting| {
            let value = (setting.show)(&self.config);
            let place =
                self.places.get(setting.path).map_or("default".to_owned(), Place::to_string);
            (format!("{} = {value}", setting.path), place)
        });
        let lines: Vec<_> = lines.collect();
        // One long value shall not push the others' places off the screen.
        const WIDEST: usize = 46;
        let width = lines.iter().map(|(line, _)| line.len()).filter(|len| *len <= WIDEST).max();
        for (line, place) in &lines {
            writeln!(f, "{line:width$}  # {place}", width = width.unwrap_or(0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
