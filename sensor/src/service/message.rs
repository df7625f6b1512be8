use std::io;
use std::os::fd::BorrowedFd;

use crate::channel;
use crate::log::Alert;

/// Raised with every change that an older reader would misunderstand.
pub(super) const VERSION: u32 = 4;

/// Supervisor to worker, once: what to do. Beside it the books to write, a socket for the uplink if that is an
/// output, and the books of the worker before it, closed, if there was one.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Start {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    /// The settings, as a file would have them.
    #[prost(string, tag = "2")]
    pub(super) config: String,
    /// What went wrong before it was there, to be written as events.
    #[prost(message, repeated, tag = "3")]
    pub(super) alerts: Vec<Alert>,
    /// After the books, a socket for what the fleet is to have lies beside it.
    #[prost(bool, tag = "4")]
    pub(super) has_uplink: bool,
}

/// Supervisor to worker, whenever it likes.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Asked {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    /// For a profile of its heap.
    #[prost(bool, tag = "2")]
    pub(super) heap: bool,
    /// For messages of these levels from now on, as `log.level` has them.
    #[prost(string, optional, tag = "3")]
    pub(super) log_level: Option<String>,
}

/// Worker to supervisor.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Said {
    #[prost(uint32, tag = "1")]
    pub(super) version: u32,
    /// Once, before anything else.
    #[prost(message, optional, tag = "2")]
    pub(super) attached: Option<Attached>,
    /// Whenever it was asked.
    #[prost(message, optional, tag = "3")]
    pub(super) heap: Option<Heap>,
}

/// Its probes are attached. Beside it the map in which they count, and the programs, if there are any.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Attached {
    /// CPUs that the map has rows for; 0 where there is none.
    #[prost(uint32, tag = "1")]
    pub(super) cpus: u32,
    /// Which way it sees, in a line.
    #[prost(string, tag = "2")]
    pub(super) describes: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) probes: Vec<Probe>,
    /// What each of the programs is about: the number of a category.
    #[prost(uint32, repeated, tag = "4")]
    pub(super) categories: Vec<u32>,
}

/// A probe.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Probe {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// What serves instead; absent: it is attached.
    #[prost(string, optional, tag = "2")]
    pub(super) instead: Option<String>,
}

/// A profile of its heap, as jemalloc writes it, lies beside it in memory.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Heap {
    /// Why there is none.
    #[prost(string, optional, tag = "1")]
    pub(super) error: Option<String>,
}

/// Asks a worker for a profile of its heap.
pub(crate) fn ask_for_heap(worker: BorrowedFd<'_>) -> io::Result<()> {
    channel::try_send(worker, &Asked { version: VERSION, heap: true, log_level: None }, &[])
}
