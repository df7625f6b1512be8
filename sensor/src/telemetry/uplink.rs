//! What the fleet gets, as the supervisor knows it.

use serde_json::{Map, Value, json};

use super::state::Known;
use crate::ledger::Cause;

/// Why batches are lost.
pub(super) const CAUSES: [Cause; 3] = [Cause::SpoolFull, Cause::SpoolExpired, Cause::OutputFailed];

/// How the stream of telemetry is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stream {
    /// There is none.
    #[default]
    Off,
    /// The replica has not said yet what it takes.
    Waiting,
    /// It takes what it is told.
    Open,
    /// It wants to be left alone.
    Paused,
}

impl Stream {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Off, Self::Waiting, Self::Open, Self::Paused];

    /// As metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::Paused => "paused",
        }
    }
}

/// What is kept, and what has become of the rest, since the service began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uplink {
    /// How the stream is.
    pub stream: Stream,
    /// Records that were told, some of them again.
    pub sent: u64,
    /// Those that a sink has.
    pub stored: u64,
    /// Those that will not be stored.
    pub refused: u64,
    pub(super) lost: [u64; CAUSES.len()],
    pub(super) bytes: u64,
    pub(super) records: u64,
    /// Of the oldest record, seconds.
    pub(super) age: Option<u64>,
    pub(super) is_failing: bool,
}

impl Uplink {
    /// Events of a batch are lost.
    pub(crate) fn lose(&mut self, cause: Cause, events: u64) {
        for (lost, _) in self.lost.iter_mut().zip(CAUSES).filter(|(_, it)| *it == cause) {
            *lost += events;
        }
    }

    /// So much is kept, the oldest of it so many seconds old; and whether the disk takes nothing.
    pub(crate) fn keeps(&mut self, bytes: u64, records: u64, age: Option<u64>, is_failing: bool) {
        (self.bytes, self.records, self.age, self.is_failing) = (bytes, records, age, is_failing);
    }
}

/// For `/status`.
pub(super) fn json(known: &Known) -> Value {
    let uplink = &known.uplink;
    let lost = CAUSES.iter().zip(uplink.lost);
    let lost: Map<_, _> = lost.map(|(it, lost)| (it.name().to_owned(), lost.into())).collect();
    json!({
        "stream": uplink.stream.name(),
        "spool_bytes": uplink.bytes,
        "spool_records": uplink.records,
        "spool_age_seconds": uplink.age,
        "spool_failing": uplink.is_failing,
        "records_sent": uplink.sent,
        "records_stored": uplink.stored,
        "records_refused": uplink.refused,
        "events_lost": lost,
    })
}
