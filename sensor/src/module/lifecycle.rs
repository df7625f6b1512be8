//! When a module runs: a state machine without a clock of its own.

use std::time::Duration;

/// What a module does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody asked for it.
    Off,
    /// It works.
    Running,
    /// It has failed, or did too much, and begins again a little later.
    Resting,
    /// It has failed too often. Only a new worker begins it again.
    GivenUp,
}

impl State {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 4] = [Self::Off, Self::Running, Self::Resting, Self::GivenUp];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Running => "running",
            Self::Resting => "resting",
            Self::GivenUp => "given_up",
        }
    }

    /// The one with a number.
    pub fn numbered(number: u64) -> Self {
        Self::ALL.into_iter().find(|state| *state as u64 == number).unwrap_or(Self::Off)
    }
}

/// The first pause after a failure; each one after is twice as long.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(3600);
/// One that has run for so long was well.
const HEALTHY_NS: u64 = 60_000_000_000;
/// So many failures in a row are enough.
const ENOUGH: u32 = 6;

/// Where a module stands.
#[derive(Debug)]
pub(super) struct Lifecycle {
    state: State,
    /// Boot-clock time at which it began or is to begin, ns.
    at: u64,
    failures: u32,
    rests: u32,
}

impl Lifecycle {
    /// Off.
    pub(super) fn new() -> Self {
        Self { state: State::Off, at: 0, failures: 0, rests: 0 }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Begins it, or ends it; one that rests or is given up stays so.
    pub(super) fn want(&mut self, wanted: bool, now: u64) {
        match (self.state, wanted) {
            (State::Off, true) => (self.state, self.at) = (State::Running, now),
            (_, false) => *self = Self::new(),
            _ => {}
        }
    }

    /// It has failed: how long it rests, `None` if it is given up.
    pub(super) fn fail(&mut self, now: u64) -> Option<Duration> {
        self.forgive(now);
        self.failures += 1;
        if self.failures >= ENOUGH {
            self.state = State::GivenUp;
            return None;
        }
        Some(self.rest(self.failures - 1, FIRST, now))
    }

    /// It did too much: how long it rests.
    pub(super) fn trip(&mut self, first: Duration, now: u64) -> Duration {
        self.forgive(now);
        self.rests += 1;
        self.rest(self.rests - 1, first, now)
    }

    /// Begins it again if it has rested for long enough; `true` if it did.
    pub(super) fn begin_again(&mut self, now: u64) -> bool {
        let is_due = self.state == State::Resting && now >= self.at;
        if is_due {
            (self.state, self.at) = (State::Running, now);
        }
        is_due
    }

    fn rest(&mut self, times: u32, first: Duration, now: u64) -> Duration {
        let rest = first.saturating_mul(1 << times.min(20)).min(LONGEST.max(first));
        (self.state, self.at) = (State::Resting, now.saturating_add(rest.as_nanos() as u64));
        rest
    }

    fn forgive(&mut self, now: u64) {
        if now.saturating_sub(self.at) >= HEALTHY_NS {
            (self.failures, self.rests) = (0, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn running() -> Lifecycle {
        let mut lifecycle = Lifecycle::new();
        lifecycle.want(true, 0);
        lifecycle
    }

    #[test]
    fn one_that_fails_begins_again_later_each_time_and_is_given_up() {
        let mut lifecycle = running();
        let mut now = SECOND;
        for rest in [1, 2, 4, 8, 16] {
            assert_eq!(lifecycle.fail(now), Some(Duration::from_secs(rest)));
            assert!(!lifecycle.begin_again(now + rest * SECOND - 1));
            now += rest * SECOND;
            assert!(lifecycle.begin_again(now) && lifecycle.state() == State::Running);
        }
        assert_eq!((lifecycle.fail(now), lifecycle.state()), (None, State::GivenUp));
        assert!(!lifecycle.begin_again(u64::MAX));
    }

    #[test]
    fn one_that_was_well_has_failed_for_the_first_time() {
        let mut lifecycle = running();
        lifecycle.fail(SECOND);
        assert!(lifecycle.begin_again(2 * SECOND));
        assert_eq!(lifecycle.fail(90 * SECOND), Some(FIRST));
    }

    #[test]
    fn one_that_does_too_much_rests_longer_each_time_and_is_never_given_up() {
        let mut lifecycle = running();
        let mut now = SECOND;
        for times in 0..20 {
            let rest = lifecycle.trip(Duration::from_secs(60), now);
            assert_eq!(rest, Duration::from_secs(60 << times).min(LONGEST));
            now += rest.as_nanos() as u64;
            assert!(lifecycle.begin_again(now));
        }
    }

    #[test]
    fn one_that_is_not_wanted_is_off_whatever_it_did() {
        let mut lifecycle = running();
        lifecycle.fail(SECOND);
        lifecycle.want(false, SECOND);
        assert_eq!(lifecycle.state(), State::Off);
        assert!(!lifecycle.begin_again(u64::MAX));
        lifecycle.want(true, 5 * SECOND);
        assert_eq!(lifecycle.state(), State::Running);
    }
}
