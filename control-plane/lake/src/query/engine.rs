use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::QueryError;
use super::guard::Guard;
use crate::{Lake, Snapshot};

/// Files may be merged away while they are read, so often.
const ATTEMPTS: usize = 4;

/// What questions may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Asked at the same time; more wait.
    pub at_once: usize,
    /// For each, with the waiting.
    pub time: Duration,
    /// Of events that an answer has.
    pub most_events: usize,
    /// Of those, bytes.
    pub most_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            at_once: 2,
            time: Duration::from_secs(30),
            most_events: 100_000,
            most_bytes: 128 << 20,
        }
    }
}

/// Whoever answers questions. Each is read for on a thread of its own: unpacking and comparing would hold up whatever else
/// shares it.
#[derive(Debug)]
pub struct Engine {
    pub(super) lake: Arc<Lake>,
    pub(super) limits: Limits,
    slots: Arc<Semaphore>,
}

impl Engine {
    /// About what is in a lake.
    pub fn new(lake: Arc<Lake>, limits: Limits) -> Self {
        Self { lake, limits, slots: Arc::new(Semaphore::new(limits.at_once)) }
    }

    /// Reads elsewhere. It ends when nobody waits for it any more, or when its time is over. What is merged away meanwhile is
    /// read anew, all of it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        read: impl AsyncFn(&Snapshot, &Guard) -> Result<T, QueryError> + Send + 'static,
    ) -> Result<T, QueryError> {
        let deadline = Instant::now() + self.limits.time;
        let slot = timeout_at(deadline, self.slots.clone().acquire_owned()).await;
        let slot = slot.map_err(|_| QueryError::Late)?;
        let slot = slot.map_err(|error| QueryError::NoReader(error.to_string()))?;
        // Ends the reading when this future is dropped.
        let (guard, _asker) = Guard::new(deadline.into_std());
        let lake = self.lake.clone();
        let read = async move || {
            for _ in 1..ATTEMPTS {
                match read(&lake.snapshot().await?, &guard).await {
                    Err(QueryError::Changed { .. }) => {}
                    answer => return answer,
                }
            }
            read(&lake.snapshot().await?, &guard).await
        };
        let task = spawn_blocking(move || {
            let _slot = slot;
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| QueryError::NoReader(error.to_string()))?;
            let answer = runtime.block_on(async { timeout_at(deadline, read()).await });
            answer.unwrap_or(Err(QueryError::Late))
        });
        task.await.unwrap_or_else(|error| Err(QueryError::NoReader(error.to_string())))
    }
}
