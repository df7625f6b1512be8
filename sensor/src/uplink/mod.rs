//! The uplink: what the fleet is to have, from the worker to a sink of the control plane.
//!
//! ```text
//!  worker                       supervisor
//!  queue ─▶ sink ─▶ batch ═════▶ keeper: run ─▶ spool (shelf, segment, record)
//!                   socket        │ ▲ answers       │
//!                                 books             └─▶ sender (window) ═════▶ replica
//! ```
//!
//! An event is *kept* once the keeper has its batch, and *delivered* once a sink has it. What is kept survives whatever
//! happens to worker and supervisor; what is not is in the books of the run, which the keeper closes if nobody else can.
//!
//! What decides - `shelf`, `window` - does no I/O.

mod batch;
mod crc;
mod keeper;
pub mod record;
mod run;
mod segment;
pub(crate) mod sender;
mod settings;
pub mod shelf;
mod sink;
pub mod spool;
mod window;

use std::time::{SystemTime, UNIX_EPOCH};

pub use keeper::Keeping;
pub use settings::Settings;
pub use sink::Uplink;

/// Times in the spool outlive a boot.
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
