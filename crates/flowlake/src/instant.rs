//! Times on the command line, UTC: a month, a date, or a date and a time of day.

use std::str::FromStr;

use flowlake_partition::layout::{Month, timestamp_text};

const MILLIS_PER_DAY: i64 = 86_400_000;

/// A time in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instant {
    /// Milliseconds since 1970.
    pub(crate) millis: i64,
}

impl Instant {
    /// As the manifest writes it.
    pub(crate) fn text(self) -> String {
        timestamp_text(self.millis)
    }
}

impl FromStr for Instant {
    type Err = &'static str;

    /// `2019-07`, `2019-07-01`, `2019-07-01T12:30`, `…:15`, `…:15.250`, with a blank for `T`, with `Z` behind.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text)
            .map(|millis| Self { millis })
            .ok_or("expected a time in UTC such as 2019-07, 2019-07-01 or 2019-07-01T12:30:00.000Z")
    }
}

fn parse(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time.strip_suffix('Z').unwrap_or(time))),
        None => (text, None),
    };
    let month: Month = date.get(..7)?.parse().ok()?;
    let day = match date.get(7..)? {
        "" if time.is_none() => 1,
        rest => number(rest.strip_prefix('-')?, 2)?,
    };
    let start = month.start_millis() + (day - 1) * MILLIS_PER_DAY;
    if day == 0 || start >= month.end_millis() {
        return None;
    }
    time.map_or(Some(start), |time| Some(start + of_day(time)?))
}

/// Milliseconds of `HH:MM`, `HH:MM:SS` or `HH:MM:SS.mmm`.
fn of_day(time: &str) -> Option<i64> {
    let (clock, millis) = match time.split_once('.') {
        Some((clock, fraction)) if clock.len() == 8 => (clock, number(fraction, 3)?),
        Some(_) => return None,
        None => (time, 0),
    };
    let parts: Vec<i64> = clock.split(':').map(|part| number(part, 2)).collect::<Option<_>>()?;
    let (hour, minute, second) = match *parts.as_slice() {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    (hour < 24 && minute < 60 && second < 60).then_some(((hour * 60 + minute) * 60 + second) * 1000 + millis)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    let all_digits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_and_nothing_else_is_a_time() {
        let text = |text: &str| text.parse::<Instant>().map(Instant::text).ok();
        for (written, meant) in [
            ("2019-07", "2019-07-01T00:00:00.000Z"),
            ("2020-02-29", "2020-02-29T00:00:00.000Z"),
            ("2019-12-31T23:59", "2019-12-31T23:59:00.000Z"),
            ("2019-07-01 12:30:15", "2019-07-01T12:30:15.000Z"),
            ("2019-07-01T12:30:15.250Z", "2019-07-01T12:30:15.250Z"),
        ] {
            assert_eq!(text(written).as_deref(), Some(meant));
        }
        for wrong in [
            "",
            "2019",
            "2019-13",
            "2019-02-29",
            "2019-07-00",
            "2019-07-1",
            "2019-07T12:00",
            "2019-07-01T24:00",
            "2019-07-01T12",
            "2019-07-01T12:30:15.25",
            "2019-07-01T12:30+09:00",
            "2019-07-01T",
            "1.7.2019",
            "２019-07",
        ] {
            assert_eq!(text(wrong), None, "{wrong}");
        }
    }
}
