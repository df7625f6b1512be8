//! What /proc knows of processes.
//!
//! ```text
//! parsers of bytes, no I/O        stat  status  cmdline  links  cgroup
//! one process, buffers reused     process, of it image
//! all of them                     snapshot
//! ```
//!
//! Everything here is what /proc shows *now*; whether that is what an event was about is for the
//! caller to judge.

pub mod cgroup;
pub mod cmdline;
mod file;
mod image;
pub mod links;
pub mod process;
pub mod snapshot;
pub mod stat;
pub mod status;

pub use process::{Detail, Process, Reader};
pub use snapshot::snapshot;
