//! When to say what on one stream, and when to leave it.

use std::time::Duration;

use tokio::time::Instant;
use wanglou_api::sensor::v1::Welcome;

use super::random::part;

/// Where the replica does not say how often.
const HEARTBEAT: Duration = Duration::from_secs(10);
const MOST_OFTEN: Duration = Duration::from_secs(1);
const LEAST_OFTEN: Duration = Duration::from_secs(600);
/// A stream that has lived for so long was well.
const HEALTHY: Duration = Duration::from_secs(10);
/// Where the replica does not say when to leave; and whatever it says, as one that was stolen shall not keep a host for
/// ever.
const AGE: Duration = Duration::from_secs(12 * 3_600);
const LEAST_AGE: Duration = Duration::from_secs(1);
const MOST_AGE: Duration = Duration::from_secs(24 * 3_600);

/// More messages in a second wait for the next one: each has a signature to be looked at, and who sends them may be a
/// thief.
const MOST_HEARD: u32 = 50;
const SECOND: Duration = Duration::from_secs(1);

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Heartbeat,
    /// To go elsewhere.
    Leave,
}

/// One stream, from its welcome on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    began: Instant,
    interval: Duration,
    heartbeat: Instant,
    leave: Option<Instant>,
    /// Messages of the second that began then.
    heard: (Instant, u32),
}

impl Session {
    /// Begins with a heartbeat. Hosts that have come together shall not leave together: each does so in the last
    /// tenth of the age.
    pub(super) fn begin(welcome: &Welcome, now: Instant, random: u64) -> Self {
        let age = span(welcome.max_connection_age.as_ref()).filter(|age| !age.is_zero());
        let age = age.unwrap_or(AGE).clamp(LEAST_AGE, MOST_AGE);
        let leave = Some(now + age - part(age / 10, random));
        Self { began: now, interval: interval(welcome), heartbeat: now, leave, heard: (now, 0) }
    }

    /// The replica is about to go.
    pub(super) fn drain(&mut self, within: Duration, now: Instant, random: u64) {
        let at = now + part(within.min(MOST_AGE), random);
        self.leave = Some(self.leave.map_or(at, |leave| leave.min(at)));
    }

    /// The replica says anew how often it wants to hear; the age stays as it was.
    pub(super) fn again(&mut self, welcome: &Welcome) {
        self.interval = interval(welcome);
    }

    /// When the next is due.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let due = self.leave.map_or(self.heartbeat, |leave| leave.min(self.heartbeat));
        if self.listens(now) { due } else { due.min(self.heard.0 + SECOND) }
    }

    /// Something has been heard.
    pub(super) fn heard(&mut self, now: Instant) {
        if now - self.heard.0 >= SECOND {
            self.heard = (now, 0);
        }
        self.heard.1 += 1;
    }

    /// Whether there may be more.
    pub(super) fn listens(&self, now: Instant) -> bool {
        self.heard.1 < MOST_HEARD || now - self.heard.0 >= SECOND
    }

    /// What is due now, if anything is.
    pub(super) fn due(&self, now: Instant) -> Option<Due> {
        if self.leave.is_some_and(|leave| leave <= now) {
            return Some(Due::Leave);
        }
        (self.heartbeat <= now).then_some(Due::Heartbeat)
    }

    /// A heartbeat has been said, be it due or asked for.
    pub(super) fn said_heartbeat(&mut self, now: Instant) {
        self.heartbeat = now + self.interval;
    }

    /// Whether the stream was worth its handshake.
    pub(super) fn was_well(&self, now: Instant) -> bool {
        now - self.began >= HEALTHY
    }
}

fn interval(welcome: &Welcome) -> Duration {
    let asked = span(welcome.heartbeat_interval.as_ref()).unwrap_or(HEARTBEAT);
    asked.clamp(MOST_OFTEN, LEAST_OFTEN)
}

/// A span of time of a message; `None` also for one that goes back.
pub(super) fn span(duration: Option<&prost_types::Duration>) -> Option<Duration> {
    Duration::try_from(*duration?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    fn welcome(interval: i64, age: i64) -> Welcome {
        let span = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let (heartbeat_interval, max_connection_age) = (span(interval), span(age));
        Welcome { heartbeat_interval, max_connection_age, ..Welcome::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn heartbeats_come_as_often_as_the_replica_wants() {
        let mut session = Session::begin(&welcome(20, 0), Instant::now(), 0);
        let mut said = Vec::new();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(65) {
            if session.due(Instant::now()) == Some(Due::Heartbeat) {
                said.push(began.elapsed().as_secs());
                session.said_heartbeat(Instant::now());
            }
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(said, [0, 20, 40, 60]);
        assert!(session.was_well(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_waits() {
        let mut session = Session::begin(&welcome(60, 0), Instant::now(), 0);
        session.said_heartbeat(Instant::now());
        let (began, mut heard) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_secs(10) {
            if session.listens(Instant::now()) {
                session.heard(Instant::now());
                heard += 1;
            } else {
                assert!(session.next(Instant::now()) <= Instant::now() + SECOND);
            }
            advance(Duration::from_millis(1)).await;
        }
        assert_eq!(heard, 10 * MOST_HEARD);
        // And then nothing more: nobody is woken for it again and again.
        advance(Duration::from_secs(2)).await;
        assert!(session.next(Instant::now()) > Instant::now() + SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_stream_is_left_and_not_by_all_at_once() {
        let now = Instant::now();
        let first = Session::begin(&welcome(10, 1_000), now, u64::MAX);
        let last = Session::begin(&welcome(10, 1_000), now, 0);
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(first.due(at(901)), Some(Due::Leave));
        assert_eq!(last.due(at(901)), Some(Due::Heartbeat));
        assert_eq!(last.due(at(1_000)), Some(Due::Leave));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_to_leave_leaves_in_time() {
        let now = Instant::now();
        let mut session = Session::begin(&welcome(10, 1_000), now, 0);
        session.said_heartbeat(now);
        session.drain(Duration::from_secs(8), now, 1 << 63);
        assert_eq!(session.next(now), now + Duration::from_secs(4));
        session.drain(Duration::from_secs(800), now, 1 << 63);
        assert_eq!(session.next(now), now + Duration::from_secs(4), "it stays as it was");
    }

    proptest! {
        #[test]
        fn no_welcome_makes_it_panic_or_haste(
            interval in any::<i64>(), age in any::<i64>(), nanos in any::<i32>(), random: u64,
        ) {
            let now = Instant::now();
            let mut welcome = welcome(interval, age);
            welcome.heartbeat_interval.as_mut().expect("set").nanos = nanos;
            let mut session = Session::begin(&welcome, now, random);
            session.drain(Duration::MAX, now, random);
            session.said_heartbeat(now);
            prop_assert!(session.heartbeat >= now + MOST_OFTEN);
            prop_assert!(session.heartbeat <= now + LEAST_OFTEN);
        }
    }
}
