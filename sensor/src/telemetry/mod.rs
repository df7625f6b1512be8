//! What the sensor says of itself, over HTTP on a local address or socket ([`wanglou_daemon::telemetry`]), by the
//! supervisor: it is there even while the worker rests.
//!
//! ```text
//! state     what the supervisor knows     subject   who asks for what of it     modules   what modules do
//! fleet     what the fleet hears, and how the link to it is    uplink    what it gets
//! health    /healthz, /readyz             metrics   /metrics                    status    /status
//! ```

mod fleet;
mod health;
mod metrics;
mod modules;
mod state;
mod status;
mod subject;
mod uplink;

pub use fleet::Link;
pub use metrics::NAMES;
pub use state::{Attached, Probe, State};
pub use uplink::{Stream, Uplink};
pub use wanglou_daemon::telemetry::{
    ACCUMULATED, Listen, Server, Telemetry, dump_heap, serve, switch_heap_profile,
};
