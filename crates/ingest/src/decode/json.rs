//! The full decoder: any legal JSON, and the words for what is not.
//!
//! It reads with serde_json's parser but builds no tree. A key that repeats inside one object counts with its last value,
//! as in the JSON readers people compare with.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::columns::{Interner, Judged, Row, TEXT_SLOT};
use super::value::{hex, is_ip, is_mac, tcp_flags, timestamp};
use crate::batch::ControlTotals;
use crate::schema::{FIELDS, Kind, MAX_THOUSANDTHS, field_index};

/// Longest free text. IPFIX strings are short; a batch of rows must not be as large as hostile input likes.
const MAX_TEXT_BYTES: usize = 256;

/// What a line turned out to be.
#[derive(Debug)]
pub(super) enum Line {
    /// Nothing but white space.
    Blank,
    /// A flow; the row is filled.
    Flow {
        /// Its keys that are no known field.
        unknown: Vec<String>,
    },
    /// Exporter statistics, with its totals when it has them.
    Stats(Option<ControlTotals>),
    /// The exporter's mark of who wrote the dump.
    Tombstone,
    /// Another record kind.
    Other,
    /// Nothing usable, and why.
    Rejected(String),
}

/// Decodes a line without its line end.
pub(super) fn decode_line(text: &[u8], row: &mut Row, interner: &mut Interner) -> Line {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            return Line::Rejected(format!("not UTF-8 at byte {} of the line", error.valid_up_to() + 1));
        }
    };
    if text.trim_ascii().is_empty() {
        return Line::Blank;
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let record = Record { row, interner };
    let line = deserializer.deserialize_any(record).and_then(|line| deserializer.end().map(|()| line));
    line.unwrap_or_else(|error| {
        // The line number serde_json adds is that of the text it was given, always 1: of no use to the reader.
        let column = error.column();
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        Line::Rejected(if error.is_data() && column == 0 {
            message.to_owned()
        } else {
            format!("not JSON: {message} at column {column}")
        })
    })
}

/// The object around a record: one key that says its kind.
struct Record<'a> {
    row: &'a mut Row,
    interner: &'a mut Interner,
}

impl<'de> Visitor<'de> for Record<'_> {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record: an object such as {\"flows\":{…}}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        let Self { row, interner } = self;
        let Some(kind) = map.next_key::<Cow<'de, str>>()? else {
            return Ok(Line::Rejected("an empty object is no record".to_owned()));
        };
        let mut line = match kind.as_ref() {
            "flows" => map.next_value_seed(Flow { row, interner })?,
            "stats" => map.next_value_seed(Stats)?,
            "tombstone" => {
                map.next_value::<IgnoredAny>()?;
                Line::Tombstone
            }
            _ => {
                map.next_value::<IgnoredAny>()?;
                Line::Other
            }
        };
        while let Some(another) = map.next_key::<Cow<'de, str>>()? {
            map.next_value::<IgnoredAny>()?;
            line = Line::Rejected(format!(
                "more than one record in a line: {} and {}",
                Scalar::Text(kind.clone()),
                Scalar::Text(another)
            ));
        }
        Ok(line)
    }

    // Legal JSON that is no object; the parser goes on, so that a syntax error behind it is found first.
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Line, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(not_a_record("a list"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Line, E> {
        Ok(not_a_record("text"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Line, E> {
        Ok(not_a_record("a truth value"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Line, E> {
        Ok(not_a_record("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Line, E> {
        Ok(not_a_record("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Line, E> {
        Ok(not_a_record("a number"))
    }

    fn visit_unit<E>(self) -> Result<Line, E> {
        Ok(not_a_record("null"))
    }
}

fn not_a_record(found: &str) -> Line {
    Line::Rejected(format!("expected a record such as {{\"flows\":{{…}}}}, found {found}"))
}

/// The object of a `flows` record.
struct Flow<'a> {
    row: &'a mut Row,
    interner: &'a mut Interner,
}

impl<'de> DeserializeSeed<'de> for Flow<'_> {
    type Value = Line;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Line, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A value that should have been an object.
macro_rules! no_object {
    ($what:literal) => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Line, A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Line::Rejected(concat!("`", $what, "` holds a list, not an object").to_owned()))
        }

        fn visit_str<E>(self, _: &str) -> Result<Line, E> {
            Ok(Line::Rejected(concat!("`", $what, "` holds text, not an object").to_owned()))
        }

        fn visit_bool<E>(self, _: bool) -> Result<Line, E> {
            Ok(Line::Rejected(concat!("`", $what, "` holds a truth value, not an object").to_owned()))
        }

        fn visit_i64<E>(self, _: i64) -> Result<Line, E> {
            Ok(Line::Rejected(concat!("`", $what, "` holds a number, not an object").to_owned()))
        }

        fn visit_u64<E>(self, _: u64) -> Result<Line, E> {
            Ok(Line::Rejected(concat!("`", $what, "` holds a number, not an object").to_owned()))
        }

        fn visit_f64<E>(self, _: f64) -> Result<Line, E> {
            Ok(Line::Rejected(concat!("`", $what, "` holds a number, not an object").to_owned()))
        }

        fn visit_unit<E>(self) -> Result<Line, E> {
            Ok(Line::Rejected(concat!("`", $what, "` holds null, not an object").to_owned()))
        }
    };
}

impl<'de> Visitor<'de> for Flow<'_> {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the fields of a flow")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        let mut present = 0_u64;
        let mut unknown = Vec::new();
        // The reason of each bad field, so that a repeated key with a good last value is good.
        let mut bad: Vec<(usize, String)> = Vec::new();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let Some(i) = field_index(&key) else {
                map.next_value::<IgnoredAny>()?;
                unknown.push(key.into_owned());
                continue;
            };
            let value = map.next_value_seed(AnyScalar)?;
            bad.retain(|(field, _)| *field != i);
            present &= !(1 << i);
            match store(i, &value, self.row, self.interner) {
                Ok(true) => present |= 1 << i,
                Ok(false) => {}
                Err(reason) => bad.push((i, reason)),
            }
        }
        bad.sort_by_key(|(field, _)| *field);
        if let Some((i, reason)) = bad.first() {
            return Ok(Line::Rejected(format!("{}: {reason}", FIELDS[*i].name)));
        }
        let missing: Vec<&str> = FIELDS
            .iter()
            .enumerate()
            .filter(|(i, field)| field.required && present >> i & 1 == 0)
            .map(|(_, field)| field.name)
            .collect();
        if !missing.is_empty() {
            return Ok(Line::Rejected(format!("required but missing: {}", missing.join(", "))));
        }
        self.row.present = present;
        unknown.sort_unstable();
        unknown.dedup();
        Ok(Line::Flow { unknown })
    }

    no_object!("flows");
}

/// The object of a `stats` record.
struct Stats;

impl<'de> DeserializeSeed<'de> for Stats {
    type Value = Line;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Line, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Stats {
    type Value = Line;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the exporter's totals")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
        // A repeated key counts with its last value, good or bad.
        let mut flows = Ok(None);
        let mut packets = Ok(None);
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let total = match key.as_ref() {
                "exportedFlowTotalCount" => &mut flows,
                "packetTotalCount" => &mut packets,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let value = map.next_value_seed(AnyScalar)?;
            *total = match integer(&value, i64::MAX) {
                Ok(value) => Ok(value.map(i64::cast_unsigned)),
                Err(reason) => Err(Line::Rejected(format!("stats.{key}: {reason}"))),
            };
        }
        Ok(match (flows, packets) {
            (Err(rejected), _) | (_, Err(rejected)) => rejected,
            (Ok(flows), Ok(packets)) => {
                Line::Stats(flows.zip(packets).map(|(flows, packets)| ControlTotals { flows, packets }))
            }
        })
    }

    no_object!("stats");
}

/// A value of a field, whatever it is.
enum Scalar<'de> {
    Null,
    Integer(i64),
    /// Above the signed 64-bit range.
    Huge(u64),
    Float(f64),
    Text(Cow<'de, str>),
    /// No scalar, or a truth value.
    Other(&'static str),
}

struct AnyScalar;

impl<'de> DeserializeSeed<'de> for AnyScalar {
    type Value = Scalar<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Scalar<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyScalar {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other("a truth value"))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar<'de>, E> {
        Ok(i64::try_from(value).map_or(Scalar::Huge(value), Scalar::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an object"))
    }

    fn visit_newtype_struct<D: serde::Deserializer<'de>>(self, _: D) -> Result<Scalar<'de>, D::Error> {
        Err(D::Error::custom("unexpected value"))
    }
}

impl fmt::Display for Scalar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Huge(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(text) if text.chars().count() > 40 => {
                write!(f, "\"{}…\"", text.chars().take(40).collect::<String>().escape_debug())
            }
            Self::Text(text) => write!(f, "\"{}\"", text.escape_debug()),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// Puts a value in the row. `false` when it is null; the reason when it is not what the field holds.
fn store(i: usize, value: &Scalar<'_>, row: &mut Row, interner: &mut Interner) -> Result<bool, String> {
    let kind = FIELDS[i].kind;
    if matches!(value, Scalar::Null) {
        return Ok(false);
    }
    let text = |what: &str| match value {
        Scalar::Text(text) => Ok(text.as_ref()),
        _ => Err(format!("expected {what}, found {value}")),
    };
    match kind {
        Kind::Integer(max) => match integer(value, max)? {
            Some(number) => row.numbers[i] = number,
            None => return Ok(false),
        },
        Kind::Thousandths => row.numbers[i] = thousandths(value)?,
        Kind::Timestamp => {
            let what = "a time such as 2019-06-25 08:36:29.747";
            row.numbers[i] =
                timestamp(text(what)?).ok_or_else(|| format!("expected {what}, found {value}"))?;
        }
        Kind::Hex(max) => {
            let what = format!("hexadecimal text up to {max:x}");
            let number = hex(text(&what)?.as_bytes()).filter(|number| *number <= max);
            row.numbers[i] = number.ok_or_else(|| format!("expected {what}, found {value}"))?;
        }
        Kind::TcpFlags => {
            let what = "TCP flags: letters of ECUAPRSF, or 0";
            let bits = tcp_flags(text(what)?.as_bytes());
            row.numbers[i] = bits.ok_or_else(|| format!("expected {what}, found {value}"))?;
        }
        Kind::Mac | Kind::Ip | Kind::Text => {
            let (what, judged, judge): (_, _, fn(&str) -> bool) = match kind {
                Kind::Mac => ("a MAC address", Judged::Mac, is_mac),
                Kind::Ip => ("an IP address", Judged::Ip, is_ip),
                _ => ("text of at most 256 bytes", Judged::Text, |text| text.len() <= MAX_TEXT_BYTES),
            };
            let view = interner.intern(text(what)?.as_bytes(), judged, judge);
            row.texts[TEXT_SLOT[i]] = view.ok_or_else(|| format!("expected {what}, found {value}"))?;
        }
    }
    Ok(true)
}

fn integer(value: &Scalar<'_>, max: i64) -> Result<Option<i64>, String> {
    let number = match value {
        Scalar::Null => return Ok(None),
        Scalar::Integer(number) => Some(*number),
        // 1e3 and 17.0 are integers too, as far as a double can tell.
        Scalar::Float(number) if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 => {
            Some(*number as i64)
        }
        _ => None,
    };
    match number {
        Some(number) if (0..=max).contains(&number) => Ok(Some(number)),
        _ => Err(format!("expected an integer from 0 to {max}, found {value}")),
    }
}

fn thousandths(value: &Scalar<'_>) -> Result<i64, String> {
    let number = match value {
        Scalar::Integer(number) => number.checked_mul(1000),
        Scalar::Float(number) if number.abs() < MAX_THOUSANDTHS as f64 => {
            Some((number * 1000.0).round() as i64)
        }
        _ => None,
    };
    number
        .filter(|number| (0..MAX_THOUSANDTHS).contains(number))
        .ok_or_else(|| format!("expected a number from 0 to {}, found {value}", MAX_THOUSANDTHS / 1000))
}
