//! The only folder that names aya: loading the probes, and reading what they say.

pub mod btf;
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

pub use counters::Totals;
pub use log::ProbeLog;
pub use probes::{Probes, ProbesError, ProgramStatus};

/// The word that makes the binary a loader; not for people.
pub const LOADER: &str = "loader";

/// The smallest ring that the kernel makes: one page.
pub const MIN_RING_BYTES: u32 = 4096;
/// More would only keep stale events longer.
pub const MAX_RING_BYTES: u32 = 1 << 30;

/// The loader's `main`: the socket to its worker is standard input.
pub fn run_loader(ring_bytes: u32) -> ExitCode {
    match loader::run(io::stdin().as_fd(), ring_bytes) {
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
    Ok(Probes::load(MIN_RING_BYTES)?.programs().to_vec())
}
