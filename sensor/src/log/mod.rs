//! What the sensor has to say of itself: its processes, and the table of its messages. The log itself is that of
//! every program ([`wanglou_daemon::log`]).

pub mod ids;

pub use wanglou_daemon::log::*;

/// As people start it.
pub const PROGRAM: &str = "wanglou-sensor";

/// The part of `run` that is always there.
pub const SUPERVISOR: Process =
    Process { program: PROGRAM, name: "supervisor", role: Role::Service };
/// The part that does the work.
pub const WORKER: Process = Process { program: PROGRAM, name: "worker", role: Role::Other };
/// The part that attaches probes.
pub const LOADER: Process = Process { program: PROGRAM, name: "loader", role: Role::Helper };
/// `watch` and all others that people start.
pub const TOOL: Process = Process { program: PROGRAM, name: "tool", role: Role::Other };
