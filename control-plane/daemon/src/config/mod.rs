//! What an operator sets: defaults, a TOML file, the environment, flags, in this order, the later over the
//! earlier.
//!
//! ```text
//! setting   a path, its range, where its value goes      raw      a value as it was written
//! file, environment, flags   the layers: paths and raw values      effective   what they come to
//! values    how values are read and written              shared   settings that every program has
//! change    what differs, and how that comes into force  problem  what is wrong, and where
//! ```
//!
//! Everything that is wrong is told at once, and nothing of it comes into force. A program has a structure of
//! its own for its settings, and a table of them: [`Config`].

mod change;
mod effective;
mod environment;
mod file;
mod flags;
mod problem;
mod raw;
mod setting;
mod shared;
#[cfg(test)]
pub(crate) mod tests;
pub mod values;

use std::fmt;
use std::path::{Path, PathBuf};

pub use change::{Applied, Change, changes, is_behind};
pub use effective::Effective;
pub use problem::Problem;
pub use raw::Raw;
pub use setting::{Config, Setting};
pub use shared::{of_log, of_telemetry};

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

    /// A file that was named, else the program's usual one if it is there; flags; this process's environment.
    pub fn here<C: Config>(file: Option<&Path>, flags: &[String]) -> Self {
        let usual = Some(Path::new(C::FILE)).filter(|path| path.exists());
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self {
            file: file.or(usual).map(Path::to_owned),
            flags: flags.to_vec(),
            environment: std::env::vars_os()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
        }
    }

    /// The file; if there is none, where one may be some time.
    pub fn file_or_usual<C: Config>(&self) -> PathBuf {
        self.file.clone().unwrap_or_else(|| C::FILE.into())
    }

    /// Reads them all.
    pub fn load<C: Config>(&self) -> Result<Effective<C>, Vec<Problem>> {
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
