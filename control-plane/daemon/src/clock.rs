//! The boot clock, in which the kernel tells times, and how far UTC is from it.

use rustix::time::{ClockId, clock_gettime};
use wanglou_api::event::Timestamp;

/// Converts boot-clock times. The distance to UTC is read now and then, not for each event.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// UTC minus boot clock, ns.
    distance: i128,
}

impl Clock {
    /// Reads the distance.
    pub fn now() -> Self {
        // Boot clock on both sides of the other: their mean is when that was read.
        let (before, utc, after) = (boot_ns(), read(ClockId::Realtime), boot_ns());
        Self { distance: i128::from(utc) - i128::from(before.midpoint(after)) }
    }

    /// Boot-clock ns as UTC.
    pub fn utc(self, boot_ns: u64) -> Timestamp {
        let nanos = (i128::from(boot_ns) + self.distance).clamp(0, i128::from(u64::MAX));
        Timestamp::from_unix_nanos(nanos as u64)
    }
}

/// Time since boot, sleep included, ns.
pub fn boot_ns() -> u64 {
    read(ClockId::Boottime)
}

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
