//! When something may be told: what the replica takes, what the sensor itself may say, and what has no answer yet.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;
use wanglou_api::sensor::v1::{Limits, RecordId};

use super::shelf::MAX_TOLD;

/// More is not under way, whatever the replica would take: it can be given up only when there is an answer.
const MAX_BYTES: u64 = 2 << 20;
/// A replica that wants to be left alone for longer is asked again.
const MAX_PAUSE: Duration = Duration::from_secs(3_600);
/// At most so much of what has not been used up counts later.
const BURST: Duration = Duration::from_secs(1);

/// Whether the next may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    /// Not before then.
    Until(Instant),
    /// Not before there is an answer, or other limits.
    Shut,
}

/// What is under way on one stream, and how much more may be.
#[derive(Debug)]
pub(super) struct Window {
    limits: Option<Limits>,
    /// Bytes a second that the sensor itself allows, 0 for any number.
    own_rate: u64,
    told: VecDeque<(RecordId, u64)>,
    bytes: u64,
    /// The replica wants to be left alone until then.
    paused: Option<Instant>,
    /// By the rate, nothing more before then.
    next: Instant,
}

impl Window {
    pub(super) fn new(own_rate: u64, now: Instant) -> Self {
        let told = VecDeque::new();
        Self { limits: None, own_rate, told, bytes: 0, paused: None, next: now }
    }

    /// The replica has said what it takes.
    pub(super) fn limit(&mut self, limits: Limits, now: Instant) {
        let pause = limits.pause.and_then(|pause| Duration::try_from(pause).ok());
        let pause = pause.filter(|pause| !pause.is_zero());
        self.paused = pause.map(|pause| now + pause.min(MAX_PAUSE));
        self.limits = Some(limits);
    }

    /// The longest content of a batch that the replica takes; `None` where it has not said so.
    pub(super) fn max_content(&self) -> Option<u64> {
        self.limits.map(|limits| limits.max_content_bytes.into()).filter(|bytes| *bytes > 0)
    }

    /// Whether a record of so many bytes may be told; of none, whether it is worth to look for one.
    pub(super) fn gate(&self, bytes: u64, now: Instant) -> Gate {
        let Some(limits) = self.limits else { return Gate::Shut };
        let window = u64::from(limits.window_bytes).min(MAX_BYTES);
        // One that is larger than the window has it for itself.
        let has_room = self.bytes < window && self.bytes + bytes <= window
            || self.told.is_empty() && window > 0;
        if !has_room || self.told.len() >= MAX_TOLD {
            return Gate::Shut;
        }
        let until = self.paused.map_or(self.next, |paused| paused.max(self.next));
        if until > now { Gate::Until(until) } else { Gate::Open }
    }

    /// Whether the replica wants to be left alone.
    pub(super) fn is_paused(&self, now: Instant) -> bool {
        self.paused.is_some_and(|paused| paused > now)
    }

    /// One has been told.
    pub(super) fn tell(&mut self, id: RecordId, bytes: u64, now: Instant) {
        self.told.push_back((id, bytes));
        self.bytes += bytes;
        let theirs = self.limits.map_or(0, |limits| limits.bytes_per_second);
        let rates = [theirs, self.own_rate];
        if let Some(rate) = rates.into_iter().filter(|rate| *rate > 0).min() {
            let earliest = now.checked_sub(BURST).unwrap_or(now);
            // A rate of next to nothing is no reason to wait for ever.
            let takes = Duration::from_secs_f64(bytes as f64 / rate as f64).min(MAX_PAUSE);
            self.next = self.next.max(earliest) + takes;
        }
    }

    /// Whether everything that was told has its answer.
    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// One has got its answer; `false` if nobody waits for that.
    pub(super) fn answer(&mut self, id: &RecordId) -> bool {
        let Some(at) = self.told.iter().position(|(told, _)| told == id) else { return false };
        if let Some((_, bytes)) = self.told.remove(at) {
            self.bytes -= bytes;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    fn limits(window_bytes: u32, bytes_per_second: u64, pause: i64) -> Limits {
        let pause = Some(prost_types::Duration { seconds: pause, nanos: 0 });
        Limits { max_content_bytes: 1 << 20, window_bytes, bytes_per_second, pause }
    }

    fn id(number: u64) -> RecordId {
        RecordId { run: None, number }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_told_before_the_replica_has_said_how_much() {
        let now = Instant::now();
        let mut window = Window::new(0, now);
        assert_eq!(window.gate(1, now), Gate::Shut);
        window.limit(limits(100, 0, 0), now);
        assert_eq!(window.gate(60, now), Gate::Open);
        window.tell(id(1), 60, now);
        assert_eq!((window.gate(40, now), window.gate(41, now)), (Gate::Open, Gate::Shut));
        assert!(!window.answer(&id(2)) && window.answer(&id(1)) && !window.answer(&id(1)));
        assert_eq!(window.gate(41, now), Gate::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_larger_than_the_window_is_told_alone() {
        let now = Instant::now();
        let mut window = Window::new(0, now);
        window.limit(limits(100, 0, 0), now);
        assert_eq!(window.gate(1_000, now), Gate::Open);
        window.tell(id(1), 1_000, now);
        assert_eq!(window.gate(1, now), Gate::Shut);
        window.limit(limits(0, 0, 0), now);
        window.answer(&id(1));
        assert_eq!(window.gate(1, now), Gate::Shut, "no window takes nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_in_time_or_by_other_limits() {
        let now = Instant::now();
        let mut window = Window::new(0, now);
        window.limit(limits(100, 0, i64::MAX), now);
        assert_eq!(window.gate(1, now), Gate::Until(now + MAX_PAUSE));
        window.limit(limits(100, 0, 7), now);
        assert_eq!(window.gate(1, now), Gate::Until(now + Duration::from_secs(7)));
        advance(Duration::from_secs(7)).await;
        assert_eq!(window.gate(1, Instant::now()), Gate::Open);
        window.limit(limits(100, 0, 7), Instant::now());
        window.limit(limits(100, 0, 0), Instant::now());
        assert_eq!(window.gate(1, Instant::now()), Gate::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn the_smaller_rate_counts() {
        for (own, theirs) in [(1_000, 0), (0, 1_000), (1_000, 5_000), (9_000, 1_000)] {
            let began = Instant::now();
            let mut window = Window::new(own, began);
            window.limit(limits(1 << 20, theirs, 0), began);
            let mut told = 0_u64;
            while began.elapsed() < Duration::from_secs(60) {
                if window.gate(100, Instant::now()) == Gate::Open {
                    told += 1;
                    window.tell(id(told), 100, Instant::now());
                    assert!(window.answer(&id(told)));
                }
                advance(Duration::from_millis(10)).await;
            }
            assert!((590..=620).contains(&told), "{told} of 100 bytes in a minute");
        }
    }

    proptest! {
        #[test]
        fn no_limits_make_it_panic(
            window in any::<u32>(), rate in any::<u64>(), pause in any::<i64>(), bytes in any::<u32>(),
        ) {
            let now = Instant::now();
            let mut it = Window::new(1, now);
            it.limit(limits(window, rate, pause), now);
            for number in 0..3 {
                it.gate(bytes.into(), now);
                it.tell(id(number), bytes.into(), now);
            }
            it.answer(&id(1));
        }
    }
}
