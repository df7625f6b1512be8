//! What a module may do in a second: a breaker without a clock of its own.

use std::fmt;

use super::settings::Limits;

/// What it did since it was looked at last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Observations that it was handed.
    pub(super) events: u64,
    /// Records that it could not read.
    pub(super) errors: u64,
}

/// Why it is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Excess {
    what: &'static str,
    rate: u64,
    limit: u64,
    seconds: u32,
}

/// Counts seconds in a row.
#[derive(Debug)]
pub(super) struct Quota {
    limits: Limits,
    samples: u32,
    over: u32,
}

impl Quota {
    /// It may exceed them for less than `samples` seconds in a row.
    pub(super) fn new(limits: Limits, samples: u32) -> Self {
        Self { limits, samples, over: 0 }
    }

    /// Takes what was done in `ns`.
    pub(super) fn sample(&mut self, done: Done, ns: u64) -> Option<Excess> {
        let Limits { events_per_second, errors_per_second } = self.limits;
        let a_second = |n: u64| (u128::from(n) * 1_000_000_000 / u128::from(ns.max(1))) as u64;
        let rates = [
            ("events", a_second(done.events), events_per_second),
            ("records that it cannot read", a_second(done.errors), errors_per_second),
        ];
        let over = rates.into_iter().find(|(_, rate, limit)| *limit != 0 && rate > limit);
        self.over = if over.is_some() { self.over + 1 } else { 0 };
        if self.over < self.samples {
            return None;
        }
        let seconds = std::mem::take(&mut self.over);
        over.map(|(what, rate, limit)| Excess { what, rate, limit, seconds })
    }
}

/// `61000 events a second, more than 50000 for 10 s`
impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, rate, limit, seconds } = self;
        write!(f, "{rate} {what} a second, more than {limit} for {seconds} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const LIMITS: Limits = Limits { events_per_second: 100, errors_per_second: 5 };

    #[test]
    fn seconds_in_a_row_are_too_much() {
        let mut quota = Quota::new(LIMITS, 3);
        let many = Done { events: 202, errors: 0 };
        assert_eq!(quota.sample(many, SECOND), None);
        assert_eq!(quota.sample(many, SECOND), None);
        assert_eq!(quota.sample(Done::default(), SECOND), None);
        assert_eq!(quota.sample(many, SECOND), None);
        assert_eq!(quota.sample(many, 2 * SECOND), None, "a hundred and one in a second");
        let excess = quota.sample(many, SECOND).expect("too much");
        assert_eq!(excess.to_string(), "202 events a second, more than 100 for 3 s");
        assert_eq!(quota.sample(many, SECOND), None, "it begins again");
    }

    #[test]
    fn errors_count_for_themselves_and_no_limit_is_none() {
        let mut quota = Quota::new(LIMITS, 1);
        assert!(quota.sample(Done { events: 1, errors: 6 }, SECOND).is_some());
        let mut quota = Quota::new(Limits { events_per_second: 0, errors_per_second: 0 }, 1);
        assert_eq!(quota.sample(Done { events: u64::MAX, errors: u64::MAX }, SECOND), None);
    }
}
