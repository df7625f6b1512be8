//! What crosses the ring: the layouts that the probes write and the worker reads, the kernel
//! offsets and settings that the loader hands to the probes, and the counters that they share.
//!
//! Everything is `repr(C)` without padding, in the machine's own byte order: both sides run on the
//! same host. A change of any layout raises [`LAYOUT_VERSION`].
#![no_std]
#![forbid(unsafe_code)]

pub mod counters;
pub mod event;
mod header;
mod offsets;
mod rules;
mod settings;
mod shedding;

pub use header::{Header, Kind, LAYOUT_VERSION};
pub use offsets::{ABSENT, MEMBERS, Member, Offsets};
pub use rules::{EXECUTABLE_MAX, RULES_MAX, Rules};
pub use settings::{
    ARGS_LARGE, ARGS_MAX, ARGS_TAIL, CGROUP_PATH_MAX, LIMIT_WINDOW_NS, PATH_DEPTH, PATH_MAX,
    Settings,
};
pub use shedding::{GROUPS, RING_PARTS, SHED_ALL, SHED_MOST, Shedding};
