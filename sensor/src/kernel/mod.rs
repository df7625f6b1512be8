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
mod sys;

use std::io;
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use wanglou_sensor_common::{ARGS_LARGE, ARGS_MAX};

pub use counters::Totals;
pub use log::ProbeLog;
pub use probes::{Probes, ProbesError, ProgramStatus};

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
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// How large what they use is.
    pub sizes: Sizes,
    /// Whether to see connections, and which.
    pub network: Option<Network>,
}

/// Which connections to see.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network {
    /// Those of the host with itself over loopback addresses too.
    pub loopback: bool,
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
pub fn run_loader(request: Request) -> ExitCode {
    match loader::run(io::stdin().as_fd(), request) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("wanglou-sensor: the loader cannot hand over: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Tries every program on this kernel, and leaves nothing attached.
pub fn survey() -> Result<Vec<ProgramStatus>, ProbesError> {
    let sizes = Sizes { ring_bytes: MIN_RING_BYTES, ..Sizes::default() };
    let request = Request { sizes, network: Some(Network::default()) };
    Ok(Probes::load(request)?.programs().to_vec())
}
