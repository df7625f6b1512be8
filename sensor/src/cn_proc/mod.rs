//! Processes by the netlink process connector, for kernels where the probes cannot serve.
//!
//! ```text
//! kernel ─▶ socket ─▶ reader (a thread) ─▶ queue ─▶ source (the worker) ─▶ observations
//!                       message, sequence             threads, /proc
//! ```
//!
//! The connector tells of each fork, exec, exit and change of ids, with ids and little else; the
//! rest is read from /proc when the message arrives. What that cannot know:
//!
//! - a process that ended before it was read is reported with what the message holds, and says
//!   `incomplete`; its start time, and with it its identity, is then unknown;
//! - /proc shows what a process runs now. Where a later exec of it is known already, the earlier
//!   one is reported without an image; one that happens between message and reading is not seen;
//! - a new process has the ids of its creator, which the message doesn't say and which /proc may
//!   show too late;
//! - arguments are those in memory, which the process may have changed;
//! - the path of a `#!` script, CPU time and peak memory are not there, ids before a change
//!   neither; a clone with `CLONE_PARENT` names the parent of its creator.

pub mod message;
mod queue;
mod reader;
mod sequence;
mod socket;
mod source;
#[cfg(test)]
mod tests;
mod threads;

pub use queue::{Kinds, Lost};
pub use socket::Error;
pub use source::CnProc;
