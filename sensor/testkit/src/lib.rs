//! Black-box testing of `wanglou-sensor watch`: starts the sensor, makes processes happen, and
//! compares what the sensor says with what was done.
//!
//! Nothing here knows the inside of the sensor. The same code runs in the integration tests, in the
//! qemu guests of `cargo xtask test-kernels` (which have no shell) and in the benchmark:
//!
//! ```text
//! Watch::builder().start()  ─▶  act: storm, cases  ─▶  watch.stop()  ─▶  Capture
//!                                                        ledger::check, Stream::life, cases
//! ```

pub mod bins;
pub mod capture;
pub mod cases;
pub mod cgroup;
pub mod connections;
#[cfg(feature = "fleet")]
pub mod containers;
pub mod disk;
pub mod event;
#[cfg(feature = "fleet")]
pub mod fleet;
#[cfg(feature = "fleet")]
pub mod ingest;
pub mod ledger;
pub mod lock;
pub mod memory;
#[cfg(feature = "fleet")]
pub mod pki;
pub mod proc;
pub mod programs;
#[cfg(feature = "fleet")]
pub mod replica;
pub mod rules;
pub mod scratch;
pub mod service;
pub mod soak;
pub mod storm;
pub mod sys;
pub mod telemetry;
pub mod watch;

pub use capture::Capture;
pub use event::{Life, Stream, field, number, text};
pub use watch::Watch;

/// Says whether this process is root; prints why the test is skipped where it is not.
pub fn root_or_skip() -> bool {
    let root = sys::effective_uid() == 0;
    if !root {
        eprintln!("skipped: the sensor attaches probes, which needs root");
    }
    root
}
