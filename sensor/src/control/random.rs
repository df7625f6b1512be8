//! Chance, so that a fleet never does the same in the same moment. Who decides by it gets it passed in.

use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::clock;

/// A number of the kernel's; where it has none yet, early at boot, one of the clock.
pub(super) fn random() -> u64 {
    let mut bytes = [0; 8];
    match getrandom(&mut bytes, GetRandomFlags::NONBLOCK) {
        Ok(8) => u64::from_ne_bytes(bytes),
        // Low digits of the clock, spread over all of it (the golden ratio, as in splitmix64).
        _ => clock::boot_ns().wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

/// The part of a span of up to 584 years that a random number stands for, less than all of it.
pub(super) fn part(span: Duration, random: u64) -> Duration {
    let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(((u128::from(random) * u128::from(nanos)) >> u64::BITS) as u64)
}

/// Puts them in an order by chance (Fisher and Yates).
pub(super) fn shuffle<T>(all: &mut [T], mut random: impl FnMut() -> u64) {
    for last in (1..all.len()).rev() {
        let other = (u128::from(random()) * (last as u128 + 1)) >> u64::BITS;
        all.swap(last, other as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_less_than_all() {
        let span = Duration::from_secs(10);
        assert_eq!(part(span, 0), Duration::ZERO);
        assert_eq!(part(span, 1 << 63), span / 2);
        assert!(part(span, u64::MAX) < span);
        assert!(part(Duration::MAX, u64::MAX) <= Duration::MAX);
    }

    #[test]
    fn nothing_is_lost_by_shuffling() {
        let mut all: Vec<_> = (0..64).collect();
        shuffle(&mut all, random);
        assert_ne!(all, (0..64).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..64).collect::<Vec<_>>());
    }
}
