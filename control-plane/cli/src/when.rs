//! Moments as people give them.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

/// A moment, or how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Before now.
    Ago(SignedDuration),
    /// Whatever the time is.
    At(Timestamp),
}

impl When {
    /// As the protocol has it.
    pub(crate) fn moment(self, now: Timestamp) -> prost_types::Timestamp {
        let moment = match self {
            // What lies before all calendars is as early as can be.
            Self::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
            Self::At(moment) => moment,
        };
        let (seconds, nanos) = (moment.as_second(), moment.subsec_nanosecond());
        // jiff counts back from zero before 1970, the protocol always forward.
        let borrow = i64::from(nanos < 0);
        prost_types::Timestamp {
            seconds: seconds - borrow,
            nanos: nanos + 1_000_000_000 * borrow as i32,
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(moment) = text.parse() {
            return Ok(Self::At(moment));
        }
        let span =
            ago(text).ok_or("it has to be as 90s, 10m, 2h or 7d, or 2026-11-30T10:00:00Z")?;
        Ok(Self::Ago(span))
    }
}

/// A whole number and its unit.
fn ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    Some(SignedDuration::from_secs(i64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_given_by_date_or_by_age() {
        let now: Timestamp = "2026-11-30T10:00:00.5Z".parse().expect("a moment");
        let of = |text: &str| {
            let moment = text.parse::<When>().expect("a moment").moment(now);
            crate::units::rfc3339(&moment).expect("a moment")
        };
        assert_eq!(of("90s"), "2026-11-30T09:58:30.5Z");
        assert_eq!(of("7d"), "2026-11-23T10:00:00.5Z");
        assert_eq!(of("2026-11-30T11:00:00+01:00"), "2026-11-30T10:00:00Z");
        assert_eq!(of("1969-12-31T23:59:59.25Z"), "1969-12-31T23:59:59.25Z");
        assert!(of("4294967295d").starts_with("-009999"));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in
            ["", "m", "10", "-1m", "10 m", "1.5h", "10m5s", "yesterday", "99999999999s", "1é"]
        {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
    }
}
