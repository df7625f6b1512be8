//! How many events an output is told of in a second: what is worth less goes first.

use crate::action::Worth;

const SECOND_NS: u64 = 1_000_000_000;

/// A bucket that holds a second's worth of events.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Events a second; 0 for any number.
    limit: u64,
    left: u64,
    /// Boot-clock time until which it has been filled, ns.
    until: u64,
}

impl Rate {
    /// A full one at a boot-clock time, ns.
    pub fn full(limit: u64, now: u64) -> Self {
        Self { limit, left: limit, until: now }
    }

    /// Fills it as of a boot-clock time, ns.
    pub fn refill(&mut self, now: u64) {
        if self.limit == 0 {
            return;
        }
        let (second, passed) = (u128::from(SECOND_NS), u128::from(now.saturating_sub(self.until)));
        let more = passed * u128::from(self.limit) / second;
        self.left = self.limit.min(self.left.saturating_add(more as u64));
        // What is less than an event is kept for the next time.
        self.until += (more * second / u128::from(self.limit)) as u64;
    }

    /// Whether there is room for one more that is worth so much; takes it.
    pub fn takes(&mut self, worth: Worth) -> bool {
        if self.limit == 0 {
            return true;
        }
        let kept = match worth {
            Worth::Least => self.limit / 2,
            Worth::Less => self.limit / 3,
            Worth::More => self.limit / 6,
            Worth::Most => 0,
        };
        let takes = self.left > kept;
        self.left -= u64::from(takes);
        takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rate: &mut Rate, worth: Worth) -> usize {
        (0..1_000).filter(|_| rate.takes(worth)).count()
    }

    #[test]
    fn a_second_takes_its_share_and_the_dearest_last() {
        let mut rate = Rate::full(60, 0);
        assert_eq!(taken(&mut rate, Worth::Least), 30);
        assert_eq!(taken(&mut rate, Worth::Less), 10);
        assert_eq!(taken(&mut rate, Worth::More), 10);
        assert_eq!(taken(&mut rate, Worth::Most), 10);
        for n in 1..=100 {
            rate.refill(n * SECOND_NS / 100);
        }
        assert_eq!(taken(&mut rate, Worth::Most), 60, "in small parts too");
        rate.refill(3600 * SECOND_NS);
        assert_eq!(taken(&mut rate, Worth::Most), 60, "it does not grow without end");
    }

    #[test]
    fn no_limit_takes_everything() {
        let mut rate = Rate::full(0, 0);
        assert_eq!(taken(&mut rate, Worth::Least), 1_000);
    }
}
