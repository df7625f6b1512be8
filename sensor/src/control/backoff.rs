//! For how long to wait before the next attempt: by chance up to a ceiling ("full jitter") that doubles with each round
//! through all endpoints.

use std::time::Duration;

use super::random::part;

/// The first ceiling.
const FIRST: Duration = Duration::from_millis(500);

/// Counts rounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    ceiling: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { ceiling: FIRST }
    }

    /// The pause between two endpoints: that one is dead is no reason to find another one late.
    pub(super) fn between(grace: Duration, random: u64) -> Duration {
        part(FIRST.min(grace / 2), random)
    }

    /// The pause before the next round. A host of which nothing is heard for `grace` is called lost; half of that is
    /// left for the attempt itself.
    pub(super) fn next(&mut self, grace: Duration, random: u64) -> Duration {
        let ceiling = self.ceiling.min(grace / 2);
        self.ceiling = (self.ceiling * 2).min(grace.max(FIRST));
        part(ceiling, random)
    }

    /// The pause that a replica asks for which is busy: up to half of it is added, as it has told others the same.
    /// A host waits no longer than it may, and not all that wait for so long come at the same moment.
    pub(super) fn told(delay: Duration, grace: Duration, random: u64) -> Duration {
        let most = grace / 2;
        let base = delay.min(most * 2 / 3);
        base + part((base / 2).max(FIRST).min(most - base), random)
    }

    /// All is well.
    pub(super) fn reset(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GRACE: Duration = Duration::from_secs(60);

    #[test]
    fn each_ceiling_is_twice_the_one_before() {
        let mut backoff = Backoff::new();
        let mut most = || backoff.next(GRACE, u64::MAX).as_secs_f64();
        for ceiling in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            assert!((most() - ceiling).abs() < 1e-6);
        }
        backoff.reset();
        assert!(backoff.next(GRACE, u64::MAX) < FIRST);
    }

    #[test]
    fn hosts_come_back_evenly() {
        let mut at = [0_u32; 10];
        for host in 0..10_000_u64 {
            let random = host.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            at[(Backoff::new().next(GRACE, random).as_nanos() / 50_000_000) as usize] += 1;
        }
        assert!(at.iter().all(|hosts| (800..1_200).contains(hosts)), "{at:?}");
    }

    proptest! {
        #[test]
        fn nobody_waits_longer_than_may_be(
            attempts in 0..40, seconds in 0_u64..4_000, delay in 0_u64..100_000, random: u64,
        ) {
            let grace = Duration::from_secs(seconds);
            let mut backoff = Backoff::new();
            for _ in 0..attempts {
                prop_assert!(backoff.next(grace, random) <= grace / 2);
            }
            let delay = Duration::from_secs(delay);
            let told = Backoff::told(delay, grace, random);
            prop_assert!(told <= grace / 2 && told >= delay.min(grace / 3));
        }
    }
}
