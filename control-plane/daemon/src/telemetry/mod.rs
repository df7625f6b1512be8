//! What a program says of itself, over HTTP on a local address or socket.
//!
//! ```text
//! settings   where to listen, and to whom       listen   addresses and sockets
//! server     requests, and their limits         subject  what a program answers with
//! metrics    a table of metrics, and /metrics   process  what one process costs
//! heap       jemalloc's own profile             profile  the same as `pprof` reads it
//! ```

mod heap;
mod listen;
pub mod metrics;
mod process;
mod profile;
mod server;
mod settings;
mod subject;

pub use heap::{ACCUMULATED, dump as dump_heap, switch as switch_heap_profile};
pub use listen::ListenError;
pub use process::Process;
pub use server::{Server, serve};
pub use settings::{Listen, Telemetry};
pub use subject::{NoHeap, Subject, Verdict};
