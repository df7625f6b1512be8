//! The probes' own diagnostics, from aya-log through the `log` facade to tracing.

use std::os::fd::BorrowedFd;

use aya_log::EbpfLogger;
use log::Log;

use super::sys;

/// What the probes have to say of themselves.
pub struct ProbeLog(EbpfLogger<&'static dyn Log>);

impl ProbeLog {
    /// Finds the log of a loaded program; needs the rights that loading it needed.
    pub(super) fn of(program: BorrowedFd<'_>) -> Option<Self> {
        let id = sys::program_id(program)?;
        match EbpfLogger::init_from_id(id) {
            Ok(logger) => Some(Self(logger)),
            Err(error) => {
                tracing::debug!(%error, "the probes' own log cannot be read");
                None
            }
        }
    }

    /// Passes on what has been logged.
    pub fn flush(&mut self) {
        self.0.flush();
    }
}
