//! What the probes count: the truth about loss, read by userspace from mapped memory.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A program that emits records, and with it the action that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Program {
    /// `tp_btf/sched_process_fork`.
    Fork = 0,
    /// `tp_btf/sched_process_exec`.
    Exec = 1,
    /// `tp_btf/sched_process_exit`.
    Exit = 2,
    /// `fentry/commit_creds`.
    Credentials = 3,
}

impl Program {
    /// Every program, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Fork, Self::Exec, Self::Exit, Self::Credentials];
}

/// The counters of one program on one CPU; they lie at index `cpu * Program::ALL.len() + program`.
///
/// Only that program on that CPU writes them, and the kernel does not run it nested there.
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
    /// A cache line for each, so that CPUs do not wait for one another.
    pub reserved: [u64; 3],
}
