use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Comm, Ids};

/// A new process; the header names the child.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Fork {
    /// Boot-clock start time of the process that called fork, ns.
    pub creator_start: u64,
    /// Thread group id of the process that called fork.
    pub creator_pid: u32,
    /// Thread group id of `real_parent`: another with `CLONE_PARENT`.
    pub real_parent: u32,
    /// Id in the child's own PID namespace.
    pub vpid: u32,
    /// Keeps the layout free of holes.
    pub reserved: u32,
    /// The child's ids, which are still its creator's.
    pub ids: Ids,
    /// The child's `comm`, which is still its creator's.
    pub comm: Comm,
}
