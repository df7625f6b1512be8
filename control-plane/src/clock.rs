//! Two clocks: one that only goes forward, for everything that is decided, and one for people.

use jiff::Timestamp;
#[cfg(test)]
pub(crate) use made::begin;
#[cfg(test)]
use made::{now_of, start};
#[cfg(not(test))]
use real::{now_of, start};

use crate::fleet::Millis;

/// Since this process began to ask.
pub(crate) fn millis() -> Millis {
    start().elapsed().as_millis() as Millis
}

/// Milliseconds since 1970, UTC.
pub(crate) fn now() -> i64 {
    now_of()
}

#[cfg(not(test))]
mod real {
    use std::sync::LazyLock;

    use jiff::Timestamp;
    use tokio::time::Instant;

    static START: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub(super) fn start() -> Instant {
        *START
    }

    pub(super) fn now_of() -> i64 {
        Timestamp::now().as_millisecond()
    }
}

/// In tests both are tokio's, which may be paused, and begin again with each test.
#[cfg(test)]
mod made {
    use std::cell::Cell;

    use tokio::time::Instant;

    thread_local! {
        static START: Cell<Option<Instant>> = const { Cell::new(None) };
    }

    /// From here on.
    pub(crate) fn begin() {
        START.set(Some(Instant::now()));
    }

    pub(super) fn start() -> Instant {
        if START.get().is_none() {
            begin();
        }
        START.get().unwrap_or_else(Instant::now)
    }

    pub(super) fn now_of() -> i64 {
        1_795_416_000_000 + super::millis() as i64
    }
}

/// For people: when it was so late by [`millis`], milliseconds since 1970.
pub(crate) fn at(millis: Millis) -> i64 {
    now() - crate::clock::millis().saturating_sub(millis) as i64
}

/// The same, as protobuf has it.
pub(crate) fn timestamp(millis: i64) -> prost_types::Timestamp {
    let nanos = (millis.rem_euclid(1_000) * 1_000_000) as i32;
    prost_types::Timestamp { seconds: millis.div_euclid(1_000), nanos }
}

/// Milliseconds since 1970 of what protobuf has.
pub(crate) fn of_timestamp(time: &prost_types::Timestamp) -> i64 {
    time.seconds.saturating_mul(1_000).saturating_add(i64::from(time.nanos) / 1_000_000)
}

/// RFC 3339, milliseconds, UTC.
pub(crate) fn rfc3339(millis: i64) -> String {
    let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

/// What [`rfc3339`] wrote; 0 if it is something else.
pub(crate) fn of_rfc3339(text: &str) -> i64 {
    text.parse::<Timestamp>().map_or(0, Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_same_in_every_form() {
        for millis in [0, 1, 1_795_416_000_123, -1] {
            assert_eq!(of_timestamp(&timestamp(millis)), millis);
            assert_eq!(of_rfc3339(&rfc3339(millis)), millis);
        }
        assert_eq!(rfc3339(1_795_416_000_123), "2026-11-23T06:40:00.123Z");
        assert_eq!(of_rfc3339("yesterday"), 0);
    }
}
