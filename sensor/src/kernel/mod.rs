//! The only folder that names aya: loading the probes, and reading what they say.

pub mod btf;
mod cgroup;
mod counters;
mod loader;
mod log;
mod message;
mod offsets;
mod probes;
mod programs;
mod reduce;
mod rules;
mod run_time;
mod shedding;
mod sys;

use std::io;
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use wanglou_sensor_common::{ARGS_LARGE, ARGS_MAX};

use crate::filter::Filter;
use crate::log::ids;

pub use counters::{CounterMap, Totals};
pub use log::ProbeLog;
pub use probes::{Probes, ProbesError, ProgramStatus};
pub use run_time::{ByCategory, RunTime};

/// The word that makes the binary a loader; not for people.
pub const LOADER: &str = "loader";

/// The smallest ring that the kernel makes: one page.
pub const MIN_RING_BYTES: u32 = 4096;
/// More would only keep stale events longer.
pub const MAX_RING_BYTES: u32 = 1 << 30;

/// How large what the probes use is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The ring in bytes, a power of two.
    pub ring_bytes: u32,
    /// Arguments that an exec keeps, in bytes: one of [`ARGS_STEPS`].
    pub args_bytes: u32,
}

/// What the probes are to do.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// How large what they use is.
    pub sizes: Sizes,
    /// What the processes of one cgroup may do in a second, on the average of ten; 0 for any number. Events
    /// beyond are counted, not told of.
    pub process_events_limit: u32,
    /// Whether to see connections, and which.
    pub network: Option<Network>,
}

/// Which connections to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Those of the host with itself over loopback addresses too.
    pub loopback: bool,
    /// Rules for the others.
    pub filter: Filter,
    /// How many.
    pub limits: Limits,
}

/// Connections and UDP flows that may begin in a second, on the average of ten; 0 for any number. Those
/// beyond are counted, not told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one process.
    pub process: u32,
    /// Of the processes of one cgroup together.
    pub cgroup: u32,
}

/// More would not fit the probes' counters, nor any host.
pub const MAX_LIMIT: u32 = 100_000_000;

impl Default for Limits {
    /// More than a busy proxy begins, less than who scans ports.
    fn default() -> Self {
        Self { process: 10_000, cgroup: 20_000 }
    }
}

/// What [`Sizes::args_bytes`] can be.
pub const ARGS_STEPS: [u32; 3] = [ARGS_MAX as u32, 2 * ARGS_MAX as u32, ARGS_LARGE as u32];

impl Default for Sizes {
    /// A ring for a second's pause in a storm of 10,000 processes a second: a mapped ring counts
    /// twice in the resident set.
    fn default() -> Self {
        Self { ring_bytes: 2 << 20, args_bytes: ARGS_STEPS[0] }
    }
}

/// The loader's `main`: the socket to its worker is standard input.
pub fn run_loader(request: &Request) -> ExitCode {
    match loader::run(io::stdin().as_fd(), request) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tracing::error!(id = ids::LOADER_FAILED.code, "the loader cannot hand over: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Tries every program on this kernel, and leaves nothing attached.
pub fn survey() -> Result<Vec<ProgramStatus>, ProbesError> {
    let sizes = Sizes { ring_bytes: MIN_RING_BYTES, ..Sizes::default() };
    let request = Request { sizes, process_events_limit: 0, network: Some(Network::default()) };
    Ok(Probes::load(&request)?.programs().to_vec())
}
