use std::fmt;

/// A moment: nanoseconds since 1970-01-01 UTC, good until the year 2554.
///
/// Written as RFC 3339 in UTC with nine digits, `2026-11-22T09:35:00.000000001Z`, so that moments
/// sort as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// Length of the written form.
const LEN: usize = 30;

impl Timestamp {
    /// The moment `nanos` after the epoch.
    pub const fn from_unix_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the epoch.
    pub const fn as_unix_nanos(self) -> u64 {
        self.0
    }

    /// The written form, without a trip through `fmt`: there are several in every event.
    pub(super) fn rfc3339(self) -> [u8; LEN] {
        let (seconds, nanos) = (self.0 / NANOS_PER_SECOND, self.0 % NANOS_PER_SECOND);
        let (days, second_of_day) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
        let (year, month, day) = civil(days);

        let date = eight_digits(year * 10_000 + month * 100 + day);
        let (hour, minute, second) =
            (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        let time = eight_digits(hour * 10_000 + minute * 100 + second);
        let fraction = eight_digits(nanos / 10);

        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        text[0..4].copy_from_slice(&date[0..4]);
        text[5..7].copy_from_slice(&date[4..6]);
        text[8..10].copy_from_slice(&date[6..8]);
        text[11..13].copy_from_slice(&time[2..4]);
        text[14..16].copy_from_slice(&time[4..6]);
        text[17..19].copy_from_slice(&time[6..8]);
        text[20..28].copy_from_slice(&fraction);
        text[28] = b'0' + (nanos % 10) as u8;
        text
    }
}

/// The Gregorian date of a day counted from 1970-01-01. Years are counted from March here, so that
/// the leap day is the last of its year and months follow from days by one division.
fn civil(days: u64) -> (u64, u64, u64) {
    const DAYS_FROM_0000_03_01: u64 = 719_468;
    const DAYS_PER_400_YEARS: u64 = 146_097;

    let days = days + DAYS_FROM_0000_03_01;
    let (era, day) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;

    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day_of_month)
}

/// A number below 100,000,000 in decimal, leading zeros included. The halves of a word are divided at
/// once: into two numbers of four digits, four of two, eight of one; each division is a
/// multiplication by a reciprocal that is exact for numbers that small.
fn eight_digits(number: u64) -> [u8; 8] {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007F_0000_007F;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000F_000F_000F_000F;
    let ones = tens | ((twos - tens * 10) << 8);
    // The first digit is in the lowest byte.
    (ones + u64::from_le_bytes([b'0'; 8])).to_le_bytes()
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.rfc3339()).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Timestamp;

    #[test]
    fn the_epoch_and_the_last_moment() {
        assert_eq!(Timestamp::from_unix_nanos(0).to_string(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(
            Timestamp::from_unix_nanos(u64::MAX).to_string(),
            "2554-07-21T23:34:33.709551615Z"
        );
    }

    #[test]
    fn every_day_there_is_agrees_with_a_calendar() {
        let day = jiff::Timestamp::UNIX_EPOCH;
        for n in 0..u64::MAX / 86_400_000_000_000 {
            let theirs = day + jiff::SignedDuration::from_hours(24 * n as i64);
            let ours = Timestamp::from_unix_nanos(n * 86_400_000_000_000);
            assert_eq!(ours.to_string(), format!("{theirs:.9}"));
        }
    }

    #[test]
    fn eight_digits_are_those_of_the_number() {
        // Every number of four digits in both halves, which do not touch each other.
        for half in 0..10_000 {
            let number = half * 10_000 + 9_999 - half;
            assert_eq!(super::eight_digits(number), *format!("{number:08}").as_bytes());
        }
    }

    proptest! {
        #[test]
        fn any_moment_agrees_with_a_calendar(nanos in any::<u64>()) {
            let theirs = jiff::Timestamp::from_nanosecond(i128::from(nanos)).expect("in range");
            prop_assert_eq!(Timestamp::from_unix_nanos(nanos).to_string(), format!("{theirs:.9}"));
        }
    }
}
