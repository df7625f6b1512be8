//! Where an event lies: in a folder of its hour and its kind, named as Hive does.
//!
//! ```text
//! events/dt=2026-11-30/hour=07/kind=exec/
//! ```
//!
//! How many there are is not for a host to say. Its clock counts only within reason, and an action that nobody knows here
//! is `other`; the event itself says what it said.

use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

const HOUR_MS: i64 = 3_600_000;
const HOUR_NS: i64 = HOUR_MS * 1_000_000;

/// An event is told later than this, ms, by a host whose clock is wrong: a spool holds a day.
const LATEST_MS: i64 = 7 * 24 * HOUR_MS;

/// Of actions, as [`Kind`] has them.
const KINDS: [&str; 21] = [
    "existing_process",
    "existing_connection",
    "fork",
    "exec",
    "end",
    "uid_change",
    "gid_change",
    "connection_attempted",
    "connection_accepted",
    "disconnect_received",
    "listen",
    "flow",
    "lookup_result",
    "tls_client_hello",
    "tls_alert",
    "shell_command",
    "container_seen",
    "gap",
    "ledger",
    "alert",
    "other",
];

/// What an event is about: its `event.action`, or `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(&'static str);

/// An hour's events of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// Hours since 1970, UTC.
    pub hour: i64,
    /// Of all of them.
    pub kind: Kind,
}

impl Kind {
    /// That of an action.
    pub fn of(action: &str) -> Self {
        Self(KINDS.into_iter().find(|kind| *kind == action).unwrap_or("other"))
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl Partition {
    /// Where an event belongs that happened at `timestamp`, ns since 1970, and was received at `received`, ms since 1970.
    pub(crate) fn of(kind: Kind, timestamp: i64, received: i64) -> Self {
        let happened = timestamp / 1_000_000;
        let (first, last) = (received.saturating_sub(LATEST_MS), received.saturating_add(HOUR_MS));
        let is_within_reason = (first..=last).contains(&happened);
        let ms = if is_within_reason { happened } else { received };
        Self { hour: ms.div_euclid(HOUR_MS), kind }
    }

    /// That of a file, by its path.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix("events/dt=")?.split('/');
        let date: Date = parts.next()?.parse().ok()?;
        let hour: i8 = parts.next()?.strip_prefix("hour=")?.parse().ok()?;
        let kind = parts.next()?.strip_prefix("kind=")?;
        let start = date.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).ok()?;
        let hours = start.timestamp().as_second().div_euclid(3_600);
        Some(Self { hour: hours + i64::from(hour), kind: Kind::of(kind) })
    }

    /// The first ns since 1970 that is in it, and the first that is not any more.
    pub fn times(&self) -> (i64, i64) {
        let start = self.hour.saturating_mul(HOUR_NS);
        (start, start.saturating_add(HOUR_NS))
    }

    /// When its hour is over, ms since 1970.
    pub(crate) fn end_ms(&self) -> i64 {
        (self.hour + 1).saturating_mul(HOUR_MS)
    }
}

/// The folder.
impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let start = jiff::Timestamp::from_second(self.hour.saturating_mul(3_600));
        let start = start.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let start: DateTime = TimeZone::UTC.to_datetime(start);
        let (date, hour) = (start.date(), start.hour());
        write!(f, "events/dt={date}/hour={hour:02}/kind={}", self.kind.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-22T09:35:00Z.
    const MS: i64 = 1_795_340_100_000;

    #[test]
    fn a_folder_says_hour_and_kind_and_is_read_back() {
        let partition = Partition::of(Kind::of("exec"), MS * 1_000_000, MS + 5_000);
        let folder = partition.to_string();
        assert_eq!(folder, "events/dt=2026-11-22/hour=09/kind=exec");
        assert_eq!(Partition::parse(&format!("{folder}/1-0.parquet")), Some(partition));
        assert_eq!(Partition::parse("events/dt=2026-11-22/hour=x/kind=exec"), None);
        assert_eq!(partition.end_ms(), MS + 25 * 60_000);
        let (from, to) = partition.times();
        assert!(from <= MS * 1_000_000 && MS * 1_000_000 < to);
    }

    #[test]
    fn a_clock_that_is_wrong_makes_no_folders() {
        let exec = Kind::of("exec");
        let received = Partition::of(exec, MS * 1_000_000, MS);
        assert_eq!(Partition::of(exec, 0, MS), received);
        assert_eq!(Partition::of(exec, i64::MAX, MS), received);
        let late = Partition::of(exec, (MS - 24 * HOUR_MS) * 1_000_000, MS);
        assert_eq!(late.hour, received.hour - 24);
    }

    #[test]
    fn an_action_that_nobody_knows_is_other() {
        assert_eq!(Kind::of("../../etc").as_str(), "other");
        assert_eq!(Kind::of("flow").as_str(), "flow");
    }
}
