//! What a line means, read a second time by nothing of the product's decoder: a tree of `serde_json` and the words of
//! docs/input-format.md.
//!
//! The table of fields is the product's (`schema::FIELDS`), as it is public; what its kinds mean is written down here anew.

use std::net::{Ipv4Addr, Ipv6Addr};

use flowlake_ingest::schema::{FIELDS, Kind};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value, json};

/// What a line turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Meaning {
    Blank,
    /// Raw columns by name, `line` not among them.
    Flow(Map<String, Value>),
    Stats,
    Tombstone,
    Other,
    /// With the field to blame, if it is one.
    Rejected(Option<&'static str>),
}

/// Reads a line without its line feed.
pub(crate) fn read(line: &[u8]) -> Meaning {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.iter().all(u8::is_ascii_whitespace) {
        return Meaning::Blank;
    }
    let Ok(Value::Object(record)) = serde_json::from_slice::<Value>(line) else {
        return Meaning::Rejected(None);
    };
    let mut record = record.into_iter();
    // A tree has one of two records of one name.
    let one = serde_json::from_slice::<Entries>(line).is_ok_and(|Entries(number)| number == 1);
    match record.next().filter(|_| one) {
        Some((kind, value)) => match (kind.as_str(), value) {
            ("flows", Value::Object(fields)) => flow(&fields),
            ("stats", Value::Object(fields)) => stats(&fields),
            ("flows" | "stats", _) => Meaning::Rejected(None),
            ("tombstone", _) => Meaning::Tombstone,
            _ => Meaning::Other,
        },
        None => Meaning::Rejected(None),
    }
}

/// How many entries an object has, each counted where a key repeats.
struct Entries(usize);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(0))
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Self;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            self.0 += 1;
        }
        Ok(self)
    }
}

fn stats(fields: &Map<String, Value>) -> Meaning {
    let good = ["exportedFlowTotalCount", "packetTotalCount"].iter().all(|key| match fields.get(*key) {
        None | Some(Value::Null) => true,
        Some(value) => integer(value, i64::MAX).is_some(),
    });
    if good { Meaning::Stats } else { Meaning::Rejected(None) }
}

fn flow(fields: &Map<String, Value>) -> Meaning {
    let mut row = Map::new();
    let mut missing = None;
    for field in &FIELDS {
        let written = fields.get(field.name).filter(|value| !value.is_null());
        let value = match written {
            None => Value::Null,
            Some(written) => match column_value(field.kind, written) {
                Some(value) => value,
                None => return Meaning::Rejected(Some(field.name)),
            },
        };
        if value.is_null() && field.required {
            missing = missing.or(Some(field.name));
        }
        row.insert(field.name.to_owned(), value);
    }
    match missing {
        Some(name) => Meaning::Rejected(Some(name)),
        None => Meaning::Flow(row),
    }
}

/// What the raw column holds for a written value; `None` when it cannot be one.
fn column_value(kind: Kind, written: &Value) -> Option<Value> {
    match kind {
        Kind::Integer(max) => integer(written, max).map(|number| json!(number)),
        Kind::Thousandths => {
            let number = written.as_f64()?;
            let thousandths = (number * 1000.0).round();
            // Integers keep all their digits; only those that would not fit a double are refused.
            let in_range = (0.0..9_007_199_254_740_992.0).contains(&thousandths) || thousandths == 0.0;
            in_range.then(|| json!(written.as_i64().map_or(thousandths as i64, |number| number * 1000)))
        }
        Kind::Timestamp => timestamp(written.as_str()?).map(|millis| json!(millis)),
        Kind::Hex(max) => {
            let text = written.as_str()?;
            let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
            // `from_str_radix` would take a sign.
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            let number = plain.then(|| i64::from_str_radix(digits, 16).ok()).flatten()?;
            (number <= max && digits.len() <= 15).then(|| json!(number))
        }
        Kind::TcpFlags => {
            let text = written.as_str()?;
            let mut bits = 0;
            for letter in text.chars().filter(|_| text != "0") {
                // CWR ECE URG ACK PSH RST SYN FIN, from the highest bit of the header down.
                bits |= 0x80_i64 >> "CEUAPRSF".find(letter)?;
            }
            Some(json!(bits))
        }
        Kind::Mac => {
            let text = written.as_str()?;
            let address = text.strip_suffix(':').unwrap_or(text);
            let separator = address.chars().nth(2).filter(|letter| matches!(letter, ':' | '-'))?;
            let groups: Vec<&str> = address.split(separator).collect();
            let good = |group: &&str| group.len() == 2 && group.bytes().all(|byte| byte.is_ascii_hexdigit());
            (groups.len() == 6 && groups.iter().all(good)).then(|| json!(text))
        }
        Kind::Ip => {
            let text = written.as_str()?;
            (text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok()).then(|| json!(text))
        }
        Kind::Text => written.as_str().filter(|text| text.len() <= 256).map(|text| json!(text)),
    }
}

fn integer(written: &Value, max: i64) -> Option<i64> {
    let number = match (written.as_i64(), written.as_f64()) {
        (Some(number), _) => number,
        (None, Some(number)) if number.trunc() == number && number.abs() <= 2_f64.powi(53) => number as i64,
        _ => return None,
    };
    (0..=max).contains(&number).then_some(number)
}

/// `2019-06-25 08:36:29.747`, also with `T`, with 0 to 9 decimals, with `Z`: milliseconds since 1970.
pub(crate) fn timestamp(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once([' ', 'T'])?;
    let (clock, fraction) = match time.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (time, None),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let leap = year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
    let months = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let good = year > 0 && (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 60;
    if !good || !(1..=months[month as usize - 1]).contains(&day) {
        return None;
    }
    let millis = match fraction {
        None => 0,
        Some(digits) if (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{digits:0<3}")[..3].parse().ok()?
        }
        Some(_) => return None,
    };
    let leap_days = |years: i64| years / 4 - years / 100 + years / 400;
    let before_year = (year - 1) * 365 + leap_days(year - 1);
    let before_month: i64 = months[..month as usize - 1].iter().sum();
    let days = before_year + before_month + day - 1 - (1969 * 365 + leap_days(1969));
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millis)
}

/// Numbers of so many digits each.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let parts: Vec<&str> = text.split(separator).collect();
    if parts.len() != 3 {
        return None;
    }
    let mut found = [0; 3];
    for (i, part) in parts.iter().enumerate() {
        if part.len() != digits[i] || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        found[i] = part.parse().ok()?;
    }
    Some(found)
}
