use std::fmt;
use std::str::FromStr;

use tracing::Metadata;

/// How severe a message is: the levels of `syslog(3)`, and one below. Nothing of ours is worse than an
/// error; the three above it are for those who want to hear nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// The system is unusable.
    Emergency,
    /// Something has to be done at once.
    Alert,
    /// A critical condition.
    Critical,
    /// Something does not work; a sensor tells of it as an event too.
    Error,
    /// Something works less well than it could.
    Warning,
    /// What an operator wants to know of a program that is well.
    Notice,
    /// What there is to know beyond.
    Info,
    /// For those who look for a fault.
    Debug,
    /// For those who have not found it yet.
    Trace,
}

impl Level {
    /// All, the most severe first.
    pub const ALL: [Self; 9] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// Its name, as it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Emergency => "emerg",
            Self::Alert => "alert",
            Self::Critical => "crit",
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// The number that syslog has for it, 0 to 7.
    pub fn priority(self) -> u8 {
        (self as u8).min(Self::Debug as u8)
    }

    /// That of an event of `tracing`: what has an id and is no warning is a notice.
    pub(super) fn of(metadata: &Metadata<'_>) -> Self {
        match *metadata.level() {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warning,
            tracing::Level::INFO if metadata.fields().field("id").is_some() => Self::Notice,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::TRACE => Self::Trace,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = match text {
            "err" => "error",
            "warn" => "warning",
            "off" => "emerg",
            name => name,
        };
        let found = Self::ALL.into_iter().find(|level| level.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("`{text}` is no level: it has to be one of {names}")
        })
    }
}
