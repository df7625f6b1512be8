//! So many a second, and no more.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// A bucket of tokens: it holds those of a tenth of a second, and one at least.
#[derive(Debug)]
pub(crate) struct Bucket {
    each: Duration,
    depth: u32,
    /// When the next one would be there if those that have been taken had come one by one.
    next: Mutex<Instant>,
}

impl Bucket {
    pub(crate) fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        let each = Duration::from_secs(1) / per_second;
        Self { each, depth: (per_second / 10).max(1), next: Mutex::new(Instant::now()) }
    }

    /// Takes one, in the order of asking, when there is one; whether that had to be waited for.
    pub(crate) async fn take(&self) -> bool {
        let mut next = self.next.lock().await;
        let now = Instant::now();
        let earliest = now.checked_sub(self.each * (self.depth - 1));
        let at = earliest.map_or(*next, |earliest| earliest.max(*next));
        *next = at + self.each;
        // Those behind wait for the lock, and so for their turn.
        sleep_until(at).await;
        at > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn there_are_so_many_a_second() {
        let bucket = Bucket::new(100);
        let start = Instant::now();
        for _ in 0..500 {
            bucket.take().await;
        }
        let took = start.elapsed();
        assert!((4_850..=5_000).contains(&took.as_millis()), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_taken_none_for_long_may_take_a_few_at_once() {
        let bucket = Bucket::new(100);
        sleep_until(Instant::now() + Duration::from_secs(60)).await;
        let start = Instant::now();
        for _ in 0..10 {
            assert!(!bucket.take().await);
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(bucket.take().await && start.elapsed() > Duration::ZERO);
    }
}
