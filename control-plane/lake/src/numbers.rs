//! Which numbers there are of a run's batches: ranges, as nearly all of them come in order.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// Some numbers, as ranges that neither touch nor overlap, the smallest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Numbers(Vec<(u64, u64)>);

impl Numbers {
    /// Puts one in; `false` if it was there.
    pub fn insert(&mut self, number: u64) -> bool {
        let at = self.0.partition_point(|&(_, last)| last < number);
        let (before, after) = self.0.split_at_mut(at);
        if after.first().is_some_and(|&(first, _)| first <= number) {
            return false;
        }
        let joins_before = before.last_mut().filter(|(_, last)| *last + 1 == number);
        let joins_after =
            after.first_mut().filter(|(first, _)| number.checked_add(1) == Some(*first));
        match (joins_before, joins_after) {
            (Some((_, last)), Some(&mut (_, end))) => {
                *last = end;
                self.0.remove(at);
            }
            (Some((_, last)), None) => *last = number,
            (None, Some((first, _))) => *first = number,
            (None, None) => self.0.insert(at, (number, number)),
        }
        true
    }

    /// Whether one is there.
    pub fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|&(_, last)| last < number);
        self.0.get(at).is_some_and(|&(first, _)| first <= number)
    }

    /// The largest.
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|&(_, last)| last)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// Those that are here or there.
    pub fn union(&self, other: &Self) -> Self {
        let mut all = [&self.0[..], &other.0].concat();
        all.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(all.len());
        for (first, last) in all {
            match joined.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    /// Those from 1 to `last` that are not there.
    pub fn missing(&self, last: u64) -> Vec<RangeInclusive<u64>> {
        let mut next = 1;
        let mut missing = Vec::new();
        for &(first, end) in &self.0 {
            let until = first.saturating_sub(1).min(last);
            if next <= until {
                missing.push(next..=until);
            }
            next = end.saturating_add(1);
        }
        if next <= last {
            missing.push(next..=last);
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn those_in_order_are_one_range() {
        let mut numbers = Numbers::default();
        assert!((1..=1_000).all(|number| numbers.insert(number)));
        assert_eq!(numbers.0, [(1, 1_000)]);
        assert!(!numbers.insert(500));
        assert_eq!(numbers.missing(1_002), [1_001..=1_002]);
    }

    #[test]
    fn the_largest_there_is_joins_nothing_above() {
        let mut numbers = Numbers::default();
        assert!(numbers.insert(u64::MAX) && numbers.insert(u64::MAX - 1));
        assert_eq!(numbers.0, [(u64::MAX - 1, u64::MAX)]);
        assert_eq!(numbers.missing(3), [1..=3]);
    }

    proptest! {
        /// It is the set that it stands for.
        #[test]
        fn it_is_a_set(inserted in prop::collection::vec(1..40_u64, 0..80)) {
            let (mut numbers, mut set) = (Numbers::default(), BTreeSet::new());
            for number in inserted {
                prop_assert_eq!(numbers.insert(number), set.insert(number));
            }
            prop_assert!((0..50).all(|number| numbers.contains(number) == set.contains(&number)));
            let missing: Vec<_> = numbers.missing(45).into_iter().flatten().collect();
            let wanted: Vec<_> = (1..=45).filter(|number| !set.contains(number)).collect();
            prop_assert_eq!(missing, wanted);
            prop_assert_eq!(numbers.last(), set.last().copied());
            let (odd, even): (Vec<u64>, Vec<u64>) = set.iter().partition(|&number| number % 3 == 1);
            let of = |some: Vec<u64>| {
                let mut numbers = Numbers::default();
                some.into_iter().for_each(|number| assert!(numbers.insert(number)));
                numbers
            };
            prop_assert_eq!(&of(odd).union(&of(even)), &numbers);
            // No two ranges could be one.
            prop_assert!(numbers.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }
}
