//! What /proc knows of processes.
//!
//! ```text
//! parsers of bytes, no I/O        stat  status  cmdline  links  cgroup
//! one process, buffers reused     process
//! all of them                     snapshot
//! ```
//!
//! Everything here is what /proc shows *now*; whether that is what an event was about is for the
//! caller to judge.

pub mod cgroup;
pub mod cmdline;
mod file;
pub mod links;
pub mod process;
pub mod snapshot;
pub mod stat;
pub mod status;

pub use process::{Detail, Process, Reader};
pub use snapshot::snapshot;

use rustix::time::{ClockId, clock_gettime};

/// The boot clock now, ns.
pub fn boot_time() -> u64 {
    nanoseconds(ClockId::Boottime)
}

/// A clock that counts from boot, ns.
pub(crate) fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // Neither part is negative: nothing can set these clocks.
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
