//! Numbers as people read them, and moments and spans as programs do.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// `45s`, `3m12s`, `2h05m`, `3d04h`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// How long ago something was; 0 if a clock is behind.
pub(crate) fn age(of: Option<&prost_types::Timestamp>, now: Timestamp) -> Option<Duration> {
    let age = now.duration_since(moment(of?)?);
    Some(Duration::try_from(age).unwrap_or_default())
}

/// A span with its fraction where that matters: `0.42 s`, `12.3 s`, else as [`span`].
pub(crate) fn short_span(of: Duration) -> String {
    match of.as_secs() {
        0..10 => format!("{:.2} s", of.as_secs_f64()),
        10..60 => format!("{:.1} s", of.as_secs_f64()),
        _ => span(of),
    }
}

/// `1.2%` of one core.
pub(crate) fn percent(millicores: u32) -> String {
    format!("{}.{}%", millicores / 10, millicores % 10)
}

/// `23.4 MB`, `1.2 GB`: powers of ten.
pub(crate) fn megabytes(bytes: u64) -> String {
    // A tenth more or less is not seen.
    let megabytes = bytes as f64 / 1e6;
    if megabytes < 1000.0 {
        format!("{megabytes:.1} MB")
    } else {
        format!("{:.1} GB", megabytes / 1e3)
    }
}

/// `54 B`, `54.3 kB`, `1.2 GB`: powers of ten.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => megabytes(count),
    }
}

/// `2,413`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// RFC 3339, if it is a moment between the years 0 and 9999.
pub(crate) fn rfc3339(of: &prost_types::Timestamp) -> Option<String> {
    moment(of).map(|moment| moment.to_string())
}

/// The same with nine digits after the second, so that moments stand below each other.
pub(crate) fn nanoseconds(of: &prost_types::Timestamp) -> Option<String> {
    moment(of).map(|moment| format!("{moment:.9}"))
}

/// The same for people: to the second, with how long ago that was.
pub(crate) fn date(of: &prost_types::Timestamp, now: Timestamp) -> Option<String> {
    let ago = span(age(Some(of), now)?);
    Some(format!("{} ({ago} ago)", moment(of)?.strftime("%Y-%m-%d %H:%M:%S UTC")))
}

/// Seconds with their fraction.
pub(crate) fn seconds(of: &prost_types::Duration) -> f64 {
    signed(of).as_secs_f64()
}

/// A span that is not negative.
pub(crate) fn duration(of: &prost_types::Duration) -> Duration {
    Duration::try_from(signed(of)).unwrap_or_default()
}

/// If it is one between the years -9999 and 9999.
pub(crate) fn moment(of: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(of.seconds, of.nanos).ok()
}

/// Whatever somebody sends as a span.
fn signed(of: &prost_types::Duration) -> SignedDuration {
    // With more nanoseconds than make a second, `new` may overflow.
    SignedDuration::new(of.seconds, of.nanos.clamp(-999_999_999, 999_999_999))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        let text = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([0, 59, 60, 192].map(text), ["0s", "59s", "1m00s", "3m12s"]);
        assert_eq!([3600, 7500, 86_400, 273_600].map(text), ["1h00m", "2h05m", "1d00h", "3d04h"]);
    }

    #[test]
    fn a_moment_to_come_has_no_age() {
        let now = Timestamp::from_second(1_000).expect("a moment");
        let of = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
        assert_eq!(age(Some(&of(940)), now), Some(Duration::from_secs(60)));
        assert_eq!(age(Some(&of(1_010)), now), Some(Duration::ZERO));
        assert_eq!(age(Some(&of(i64::MAX)), now), None);
        assert_eq!(age(None, now), None);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0, 12, 3_040].map(percent), ["0.0%", "1.2%", "304.0%"]);
        assert_eq!([23_440_000, 1_200_000_000].map(megabytes), ["23.4 MB", "1.2 GB"]);
        assert_eq!([54, 54_321, 1_234_567].map(bytes), ["54 B", "54.3 kB", "1.2 MB"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn programs_read_moments_and_spans() {
        let of = prost_types::Timestamp { seconds: 1_800_000_000, nanos: 5_000_000 };
        assert_eq!(rfc3339(&of).as_deref(), Some("2027-01-15T08:00:00.005Z"));
        let now = Timestamp::from_second(1_800_000_192).expect("a moment");
        assert_eq!(date(&of, now).as_deref(), Some("2027-01-15 08:00:00 UTC (3m11s ago)"));
        let wild = prost_types::Timestamp { seconds: i64::MAX, nanos: -7 };
        assert_eq!(rfc3339(&wild), None);
        let skew = |seconds, nanos| seconds_of(seconds, nanos);
        assert_eq!(skew(-2, -500_000_000), -2.5);
        assert!(skew(i64::MAX, i32::MAX) > 1e18 && skew(i64::MIN, i32::MIN) < -1e18);
    }

    fn seconds_of(seconds: i64, nanos: i32) -> f64 {
        super::seconds(&prost_types::Duration { seconds, nanos })
    }
}
