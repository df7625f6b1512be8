use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Comm, Ids};

/// The last thread of a process ended.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Exit {
    /// CPU time of all threads, ns.
    pub cpu_ns: u64,
    /// Peak resident set in pages (`signal->maxrss`).
    pub max_rss_pages: u64,
    /// wait(2) status.
    pub status: u32,
    /// Thread group id of `real_parent`.
    pub real_parent: u32,
    /// The ids at the end.
    pub ids: Ids,
    /// The leader's `comm`.
    pub comm: Comm,
}
