use std::path::PathBuf;

use super::{Destination, File, Selection};

/// Smallest and largest queue of an output, bytes.
pub const MIN_QUEUE_BYTES: usize = 64 << 10;
/// See [`MIN_QUEUE_BYTES`].
pub const MAX_QUEUE_BYTES: usize = 256 << 20;

/// Which outputs there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// Whether there is standard output.
    pub is_stdout_on: bool,
    /// What standard output takes.
    pub stdout: Intake,
    /// The file, if its path is not empty.
    pub file: FileSettings,
    /// Whether the fleet gets events, if there is one.
    pub is_uplink_on: bool,
    /// Whether there is one: `control.endpoints` has any.
    pub is_joined: bool,
    /// What it takes.
    pub uplink: Intake,
}

/// What an output takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intake {
    /// These and no others.
    pub events: Selection,
    /// Lines that wait for it, bytes, give or take the last one.
    pub queue_bytes: usize,
    /// So many a second, 0 for any number.
    pub events_per_second: u64,
}

/// A file of lines of JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSettings {
    /// Where it is; empty for none.
    pub path: PathBuf,
    /// What it takes.
    pub intake: Intake,
    /// It is turned over when it would grow larger, bytes.
    pub max_bytes: u64,
    /// … or was begun so long ago, seconds; 0 for any age.
    pub max_age_seconds: u64,
    /// So many older ones are kept.
    pub keep: usize,
    /// What becomes of those.
    pub compression: Compression,
}

/// How files that are full are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// As they are.
    None,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Outputs {
    /// Standard output and nothing else.
    pub fn stdout() -> Self {
        Self::default()
    }

    /// Whether there is such an output.
    pub fn has(&self, destination: Destination) -> bool {
        match destination {
            Destination::Stdout => self.is_stdout_on,
            Destination::File => !self.file.path.as_os_str().is_empty(),
            Destination::Uplink => self.is_uplink_on && self.is_joined,
        }
    }

    /// Whether they can be written to, as well as can be told before anything is written.
    pub fn check(&self) -> Result<(), String> {
        if self.has(Destination::File) { File::check(&self.file) } else { Ok(()) }
    }

    /// What it takes.
    pub fn intake(&self, destination: Destination) -> &Intake {
        match destination {
            Destination::Stdout => &self.stdout,
            Destination::File => &self.file.intake,
            Destination::Uplink => &self.uplink,
        }
    }
}

impl Default for Outputs {
    fn default() -> Self {
        Self {
            is_stdout_on: true,
            stdout: Intake::default(),
            file: FileSettings::default(),
            is_uplink_on: true,
            is_joined: false,
            uplink: Intake { queue_bytes: 256 << 10, ..Intake::default() },
        }
    }
}

impl Default for Intake {
    fn default() -> Self {
        Self { events: Selection::ALL, queue_bytes: 128 << 10, events_per_second: 0 }
    }
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            intake: Intake { queue_bytes: 256 << 10, ..Intake::default() },
            max_bytes: 100 << 20,
            max_age_seconds: 0,
            keep: 5,
            compression: Compression::Zstd,
        }
    }
}
