//! What the probes count: the truth about loss, read by userspace from mapped memory.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Records that are counted together: those about one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// New processes.
    Fork = 0,
    /// New images.
    Exec = 1,
    /// Ended processes.
    Exit = 2,
    /// Changed ids.
    Credentials = 3,
    /// Sockets that begin to listen.
    Listen = 4,
    /// Connections that this host opens, or fails to.
    Attempt = 5,
    /// Connections that this host takes.
    Accept = 6,
    /// Connections that end.
    Disconnect = 7,
    /// Sums of what is said over UDP.
    Flow = 8,
}

impl Stream {
    /// Every stream, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Fork,
        Self::Exec,
        Self::Exit,
        Self::Credentials,
        Self::Listen,
        Self::Attempt,
        Self::Accept,
        Self::Disconnect,
        Self::Flow,
    ];
}

/// The counters of one stream on one CPU; they lie at index `cpu * Stream::ALL.len() + stream`.
///
/// Added to atomically: several programs can feed a stream, and one can interrupt another.
#[derive(Clone, Copy, Debug, Default, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Counters {
    /// Events that were to be reported.
    pub seen: u64,
    /// Records that the ring took.
    pub submitted: u64,
    /// Lost: the ring was full.
    pub ring_full: u64,
    /// Lost: the record is larger than the ring.
    pub oversized: u64,
    /// Lost: no scratch space, as the probe was itself interrupted.
    pub nested: u64,
    /// Lost: the table of sockets was full.
    pub table_full: u64,
    /// Lost: the process, or its cgroup, begins more than its share.
    pub throttled: u64,
    /// Lost: given up, as not all could be told of.
    pub shed: u64,
    /// Events that began to wait for something to be known of them.
    pub waiting: u64,
    /// Those of them that wait no more.
    pub settled: u64,
}

impl Counters {
    /// Events that were seen and are lost, whatever the cause.
    pub fn lost(&self) -> u64 {
        self.ring_full + self.oversized + self.nested + self.table_full + self.throttled + self.shed
    }
}
