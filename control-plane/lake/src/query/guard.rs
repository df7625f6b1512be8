//! How long a question may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arrow_schema::ArrowError;

/// Shared between whoever asks and whoever reads.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    deadline: Instant,
    gone: Arc<AtomicBool>,
}

/// Ends the reading when it ends.
#[derive(Debug)]
pub(super) struct Asker(Arc<AtomicBool>);

impl Guard {
    pub(super) fn new(deadline: Instant) -> (Self, Asker) {
        let gone = Arc::new(AtomicBool::new(false));
        (Self { deadline, gone: gone.clone() }, Asker(gone))
    }

    /// Whether there is no use in going on.
    pub(super) fn is_over(&self) -> bool {
        self.gone.load(Ordering::Relaxed) || Instant::now() >= self.deadline
    }

    /// The same for whoever is called by a reader of files.
    pub(super) fn check(&self) -> Result<(), ArrowError> {
        if self.is_over() {
            return Err(ArrowError::ComputeError("there is no time left".to_owned()));
        }
        Ok(())
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
