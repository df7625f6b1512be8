//! For how long one output may hold up the others: a tenth of the time, and half a second at once.

use std::time::Duration;

/// At most.
const FULL: Duration = Duration::from_millis(500);
/// Of the time that passes, it is given one part in so many.
const PART: u32 = 10;

/// What is left of it.
#[derive(Clone, Copy, Debug)]
pub struct Credit {
    left: Duration,
    /// Boot-clock time until which it has been given, ns.
    until: u64,
}

impl Credit {
    /// A full one at a boot-clock time, ns.
    pub fn full(now: u64) -> Self {
        Self { left: FULL, until: now }
    }

    /// What there is at a boot-clock time, ns.
    pub fn left(&mut self, now: u64) -> Duration {
        let passed = Duration::from_nanos(now.saturating_sub(self.until));
        self.left = self.left.saturating_add(passed / PART).min(FULL);
        self.until = now;
        self.left
    }

    /// So much of it has been used.
    pub fn spend(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn who_is_always_slow_holds_up_a_tenth_of_the_time() {
        let (mut credit, mut now, mut waited) = (Credit::full(0), 0, Duration::ZERO);
        while now < 60 * SECOND {
            let left = credit.left(now);
            credit.spend(left);
            waited += left;
            now += left.as_nanos() as u64 + SECOND / 100;
        }
        let part = waited.as_secs_f64() / 60.0;
        assert!((0.09..0.13).contains(&part), "{part}");
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let mut credit = Credit::full(0);
        credit.spend(FULL);
        assert_eq!(credit.left(0), Duration::ZERO);
        assert_eq!(credit.left(SECOND), FULL / 5);
        assert_eq!(credit.left(3600 * SECOND), FULL);
    }
}
