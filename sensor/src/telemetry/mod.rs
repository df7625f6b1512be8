//! What the sensor says of itself, over HTTP on a local address or socket, by the supervisor: it is
//! there even while the worker rests.
//!
//! ```text
//! settings   where to listen, and to whom     listen   addresses and sockets
//! server     requests, and their limits       state    what the supervisor knows
//! health     /healthz, /readyz                metrics  /metrics       status   /status
//! heap       jemalloc's own profile           profile  the same as `pprof` reads it
//! ```

mod health;
mod heap;
mod listen;
mod metrics;
mod modules;
mod process;
mod profile;
mod server;
mod settings;
mod state;
mod status;

pub use heap::{ACCUMULATED, dump as dump_heap, switch as switch_heap_profile};
pub use metrics::NAMES;
pub use server::{Server, serve};
pub use settings::{Listen, Telemetry};
pub use state::{Attached, Probe, State};
