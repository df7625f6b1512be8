//! When this host's turn is, so that a fleet never does the same in the same second.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// A host's place among all hosts: the same at every start, and as good as random to others.
#[derive(Clone, Copy, Debug)]
pub struct Spread(u64);

impl Spread {
    /// The place of the host with this `host.id`.
    pub fn of(host_id: &str) -> Self {
        let digest = Sha256::digest(host_id.as_bytes());
        Self(digest[..8].iter().fold(0, |place, byte| place << 8 | u64::from(*byte)))
    }

    /// The moment of this host within a span of time that all hosts share.
    pub fn within(self, span: Duration) -> Duration {
        let nanos = (u128::from(self.0) * span.as_nanos()) >> u64::BITS;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// A pause between its half and its whole.
    pub fn shorten(self, pause: Duration) -> Duration {
        pause / 2 + self.within(pause / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_spread_evenly() {
        const HOSTS: u32 = 10_000;
        const SECONDS: usize = 100;
        let mut by_second = [0_u32; SECONDS];
        for host in 0..HOSTS {
            // As machine-ids are: random hexadecimal digits.
            let digest = Sha256::digest(host.to_le_bytes());
            let id: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
            let offset = Spread::of(&id).within(Duration::from_secs(SECONDS as u64));
            by_second[offset.as_secs() as usize] += 1;
        }
        // 100 in each on the average; five times the standard deviation is 50.
        assert!(by_second.iter().all(|hosts| (50..=150).contains(hosts)), "{by_second:?}");
    }

    #[test]
    fn a_host_keeps_its_place() {
        let spread = Spread::of("9f4b2c6d8e0a4f1b9c3d5e7f01234567");
        let hour = Duration::from_secs(3600);
        assert_eq!(
            spread.within(hour),
            Spread::of("9f4b2c6d8e0a4f1b9c3d5e7f01234567").within(hour)
        );
        assert!(spread.within(hour) < hour);
        assert_eq!(spread.within(Duration::ZERO), Duration::ZERO);
        let pause = spread.shorten(Duration::from_millis(100));
        assert!((50..=100).contains(&pause.as_millis()), "{pause:?}");
    }
}
