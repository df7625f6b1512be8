use std::path::PathBuf;

use super::Levels;

/// Less would turn over all the time.
pub const MIN_FILE_BYTES: u64 = 64 << 10;
/// More than that is nobody's log.
pub const MAX_FILE_BYTES: u64 = 1 << 30;

/// What is told, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From which level on.
    pub level: Levels,
    /// Where to.
    pub to: Destination,
    /// Where the files are.
    pub directory: PathBuf,
    /// How long each of the two files gets, bytes.
    pub file_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            level: Levels::default(),
            to: Destination::Stderr,
            directory: PathBuf::from("/var/log/wanglou"),
            file_bytes: 20_000_000,
        }
    }
}

/// Where messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Standard error.
    Stderr,
    /// The journal, with its fields.
    Journald,
    /// Two files, in turn.
    Files,
}

impl Destination {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Stderr, Self::Journald, Self::Files];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stderr => "stderr",
            Self::Journald => "journald",
            Self::Files => "files",
        }
    }
}
