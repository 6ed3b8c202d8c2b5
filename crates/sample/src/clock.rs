//! When things happen: the capture's calendar, the rhythm of a household, and the exporter's time stamps.
//!
//! Export times come hour by hour and only ever grow, so a dump of any size is written in one sweep without sorting
//! and without memory. A flow *ends* a while before it is exported (idle flows wait for the timeout), which gives the
//! dumps the disorder that readers have to cope with.

use crate::random::Stream;

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// The capture took place in Japan; its people sleep by this clock, while the dumps are in UTC.
const JST_OFFSET_HOURS: i64 = 9;
/// The first export; two hours into the day, so that the longest flow still starts on the first day.
const CAPTURE_START: i64 = days_from_civil(2019, 6, 25) * DAY + 2 * HOUR;
/// The last export, and the moment the capture file ends.
pub(crate) const CAPTURE_END: i64 = days_from_civil(2019, 10, 10) * DAY + 15 * HOUR;
const CAPTURE_HOURS: usize = ((CAPTURE_END - CAPTURE_START) / HOUR) as usize;
/// Days of the capture, counted from its first.
pub(crate) const CAPTURE_DAYS: u32 = (CAPTURE_HOURS / 24) as u32;
/// 2019-06-25 was a Tuesday; days are counted from Monday.
const FIRST_WEEKDAY: i64 = 1;

/// When the exports of one device fall, and how lively each hour is.
pub(crate) struct Timeline {
    /// Flows and liveliness of each hour of the capture.
    hours: Vec<Hour>,
    hour: usize,
    /// Flows of the current hour already handed out.
    done: u64,
}

struct Hour {
    flows: u64,
    liveliness: f64,
}

/// A moment of export.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tick {
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// Days since the capture began.
    pub(crate) day: u32,
    /// What people's presence makes of this hour: 1 is an average one.
    pub(crate) liveliness: f64,
}

/// How a device's traffic depends on the hour.
pub(crate) struct Rhythm<'a> {
    /// Liveliness by hour of the day in Japan.
    pub(crate) hours: &'a [f64; 24],
    /// What Saturdays and Sundays multiply it with.
    pub(crate) weekend: f64,
    /// The share of its traffic that runs by the clock, whoever is at home.
    pub(crate) steady: f64,
}

impl Timeline {
    /// Spreads `flows` over the capture: by the rhythm, with a mood for each day and a few outages.
    pub(crate) fn new(flows: u64, rhythm: &Rhythm<'_>, stream: &mut Stream) -> Self {
        let moods: Vec<f64> = (0..=CAPTURE_DAYS + 1).map(|_| 0.75 + stream.unit() / 2.0).collect();
        let outages = outages(stream);
        let lively = |hour: i64| {
            let local = hour + 2 + JST_OFFSET_HOURS;
            let (day, clock) = (local / 24, local % 24);
            let weekend = if (day + FIRST_WEEKDAY) % 7 >= 5 { rhythm.weekend } else { 1.0 };
            rhythm.hours[clock as usize] * weekend * moods[day as usize]
        };
        let load = |hour: i64, liveliness: f64| {
            let offline = outages.iter().any(|(from, to)| (*from..*to).contains(&hour));
            if offline { 0.0 } else { rhythm.steady + (1.0 - rhythm.steady) * liveliness }
        };
        let mut running = 0.0;
        let loads: Vec<(f64, f64)> = (0..CAPTURE_HOURS as i64)
            .map(|hour| {
                let liveliness = lively(hour);
                running += load(hour, liveliness);
                (running, liveliness)
            })
            .collect();
        let mut given = 0;
        let hours = loads.iter().map(|(until, liveliness)| {
            let due = (flows as f64 * (until / running)) as u64;
            let flows = due - given;
            given = due;
            Hour { flows, liveliness: *liveliness }
        });
        let mut hours: Vec<Hour> = hours.collect();
        if let Some(last) = hours.last_mut() {
            last.flows += flows - given; // rounding must not lose a flow
        }
        Self { hours, hour: 0, done: 0 }
    }

    /// The next export; never earlier than the one before.
    pub(crate) fn next(&mut self, stream: &mut Stream) -> Option<Tick> {
        while self.done == self.hours.get(self.hour)?.flows {
            self.hour += 1;
            self.done = 0;
        }
        let hour = &self.hours[self.hour];
        // Each flow has its own slot of the hour and falls anywhere inside it.
        let slots = HOUR as f64 / hour.flows as f64;
        let within = ((self.done as f64 + stream.unit()) * slots) as i64;
        self.done += 1;
        Some(Tick {
            at: CAPTURE_START + self.hour as i64 * HOUR + within.min(HOUR - 1),
            day: (self.hour / 24) as u32,
            liveliness: hour.liveliness,
        })
    }
}

/// Up to three stretches of hours in which the device was off.
fn outages(stream: &mut Stream) -> Vec<(i64, i64)> {
    (0..stream.below(4))
        .map(|_| {
            let from = stream.between(72, CAPTURE_HOURS as u64 - 72) as i64;
            (from, from + stream.spread(4, 48) as i64)
        })
        .collect()
}

/// Writes time stamps; keeps the last day's text, because nearly every stamp falls on the same day as the one before.
#[derive(Default)]
pub(crate) struct TimeStamps {
    day: Option<i64>,
    text: Vec<u8>,
}

impl TimeStamps {
    /// Appends `2019-06-25 08:36:29.747`.
    pub(crate) fn write(&mut self, millis: i64, out: &mut Vec<u8>) {
        let (day, rest) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
        if self.day != Some(day) {
            let (year, month, date) = civil_from_days(day);
            self.text = format!("{year:04}-{month:02}-{date:02} ").into_bytes();
            self.day = Some(day);
        }
        out.extend_from_slice(&self.text);
        let (seconds, millis) = (rest / SECOND, rest % SECOND);
        let mut clock = *b"00:00:00.000";
        put_pair(&mut clock[0..2], seconds / 3_600);
        put_pair(&mut clock[3..5], seconds / 60 % 60);
        put_pair(&mut clock[6..8], seconds % 60);
        clock[9] = digit(millis / 100);
        put_pair(&mut clock[10..12], millis % 100);
        out.extend_from_slice(&clock);
    }
}

fn digit(value: i64) -> u8 {
    b'0' + (value % 10) as u8
}

fn put_pair(place: &mut [u8], value: i64) {
    place[0] = digit(value / 10);
    place[1] = digit(value);
}

/// Days since 1970-01-01 of a date of the Gregorian calendar (Hinnant's algorithm).
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The date a number of days after 1970-01-01, the inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        assert_eq!(days_from_civil(1970, 1, 1), 0);
        assert_eq!(days_from_civil(2000, 3, 1), 11_017);
        for day in (-1_000_000..1_000_000).step_by(997) {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, date), day);
        }
    }

    #[test]
    fn stamps_read_like_the_exporters() {
        let (mut stamps, mut out) = (TimeStamps::default(), Vec::new());
        stamps.write(days_from_civil(2019, 6, 25) * DAY + 9 * HOUR + 7 * 60_000 + 5_042, &mut out);
        assert_eq!(out, b"2019-06-25 09:07:05.042");
    }

    #[test]
    fn exports_are_in_order_complete_and_inside_the_capture() {
        for flows in [1, 20, 5_000, 100_000] {
            let mut stream = Stream::new(3, "clock");
            let rhythm = Rhythm { hours: &[1.0; 24], weekend: 1.3, steady: 0.4 };
            let mut timeline = Timeline::new(flows, &rhythm, &mut stream);
            let (mut count, mut before) = (0, CAPTURE_START);
            while let Some(tick) = timeline.next(&mut stream) {
                assert!(tick.at >= before && tick.at < CAPTURE_END);
                before = tick.at;
                count += 1;
            }
            assert_eq!(count, flows);
        }
    }
}
