//! Values: how text becomes numbers. Used by both decoders, so that they cannot differ in what a value means.
//!
//! The functions that take a prefix of the input and give back the rest are the fast decoder's: they accept only the
//! spelling exporters write and say `None` to everything else, legal or not, which sends the line to the full decoder.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::catalogue::MacAddress;
use crate::schema::TCP_FLAG_LETTERS;

/// Days of 400 years, the period of the Gregorian calendar.
const DAYS_PER_ERA: i64 = 146_097;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// Bit of each TCP flag letter, 0 for every other byte.
const FLAG_BITS: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < TCP_FLAG_LETTERS.len() {
        table[TCP_FLAG_LETTERS[i].0 as usize] = TCP_FLAG_LETTERS[i].1;
        i += 1;
    }
    table
};

/// A non-negative integer without leading zeros, and what is behind it.
#[inline(always)]
pub(crate) fn take_integer(input: &[u8]) -> Option<(i64, &[u8])> {
    let word = u64::from_le_bytes(*input.first_chunk()?);
    let digits = word ^ 0x3030_3030_3030_3030;
    // The top bit of a byte is set where it is no digit; a carry can only spoil bytes behind the first such one.
    let other = (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080;
    if other == 0 {
        return take_long_integer(input);
    }
    let len = other.trailing_zeros() / 8;
    if len == 0 || (len > 1 && input[0] == b'0') {
        return None;
    }
    let value = eight_digits(digits << (64 - 8 * len));
    Some((value, &input[len as usize..]))
}

/// The number written by eight bytes of value 0 to 9, the first digit in the lowest byte.
#[inline(always)]
fn eight_digits(digits: u64) -> i64 {
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let low = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let high = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    i64::from((low.wrapping_add(high) >> 32) as u32)
}

#[cold]
fn take_long_integer(input: &[u8]) -> Option<(i64, &[u8])> {
    if input[0] == b'0' {
        return None;
    }
    let len = input.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut value: i64 = 0;
    for &byte in &input[..len] {
        value = value.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
    }
    Some((value, &input[len..]))
}

/// A non-negative number with three decimals or none, in thousandths, and what is behind it.
#[inline(always)]
pub(crate) fn take_thousandths(input: &[u8]) -> Option<(i64, &[u8])> {
    let (whole, rest) = take_integer(input)?;
    if whole > crate::schema::MAX_THOUSANDTHS / 1000 - 1 {
        return None;
    }
    let [b'.', a, b, c, ..] = *rest else {
        return Some((whole * 1000, rest));
    };
    let (a, b, c) = (a.wrapping_sub(b'0'), b.wrapping_sub(b'0'), c.wrapping_sub(b'0'));
    if a > 9 || b > 9 || c > 9 {
        return None;
    }
    Some((whole * 1000 + i64::from(a) * 100 + i64::from(b) * 10 + i64::from(c), &rest[4..]))
}

/// Text up to the closing quote, for short text without escapes, and what is behind the quote.
#[inline(always)]
pub(crate) fn take_text(input: &[u8], longest: usize) -> Option<(&[u8], &[u8])> {
    const QUOTES: u64 = 0x2222_2222_2222_2222;
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while at <= longest {
        let word = u64::from_le_bytes(*input.get(at..)?.first_chunk()?);
        let x = word ^ QUOTES;
        let found = x.wrapping_sub(ONES) & !x & TOPS;
        if found != 0 {
            let len = at + (found.trailing_zeros() / 8) as usize;
            return Some((&input[..len], &input[len + 1..]));
        }
        at += 8;
    }
    None
}

/// Hexadecimal text with or without `0x`.
#[inline(always)]
pub(crate) fn hex(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")).unwrap_or(text);
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut value = 0;
    for &byte in digits {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            _ => return None,
        };
        value = value << 4 | i64::from(digit);
    }
    Some(value)
}

/// TCP flags as a set of letters; `0` or nothing is the empty set.
#[inline(always)]
pub(crate) fn tcp_flags(text: &[u8]) -> Option<i64> {
    if text == b"0" {
        return Some(0);
    }
    let mut bits = 0;
    for &letter in text {
        let bit = FLAG_BITS[letter as usize];
        if bit == 0 {
            return None;
        }
        bits |= bit;
    }
    Some(i64::from(bits))
}

/// Whether text is a MAC address, with or without the stray `:` behind it.
pub(crate) fn is_mac(text: &str) -> bool {
    MacAddress::parse_exported(text).is_some()
}

/// Whether text is an IPv4 or IPv6 address.
pub(crate) fn is_ip(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok() || text.parse::<Ipv6Addr>().is_ok()
}

/// Reads timestamps; remembers the last date, which is nearly always the next one too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Timestamps {
    date: [u8; 10],
    day_millis: i64,
}

impl Timestamps {
    /// `2019-06-25 08:36:29.747"` in milliseconds since 1970, and what is behind the quote.
    #[inline(always)]
    pub(crate) fn take<'a>(&mut self, input: &'a [u8]) -> Option<(i64, &'a [u8])> {
        let text: &[u8; 24] = input.first_chunk()?;
        if text[10] != b' ' || text[13] != b':' || text[16] != b':' || text[19] != b'.' || text[23] != b'"' {
            return None;
        }
        // Set as soon as one byte is no digit.
        let mut bad = false;
        let mut digit = |at: usize| {
            let value = text[at].wrapping_sub(b'0');
            bad |= value > 9;
            u32::from(value)
        };
        let hour = digit(11) * 10 + digit(12);
        let minute = digit(14) * 10 + digit(15);
        let second = digit(17) * 10 + digit(18);
        let thousandths = digit(20) * 100 + digit(21) * 10 + digit(22);
        if bad {
            return None;
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let date: &[u8; 10] = text.first_chunk()?;
        if *date != self.date {
            self.day_millis = parse_date(date)? * MILLIS_PER_DAY;
            self.date = *date;
        }
        let millis = ((hour * 60 + minute) * 60 + second) * 1000 + thousandths;
        Some((self.day_millis + i64::from(millis), &input[24..]))
    }
}

/// A timestamp in any spelling met: a space or `T` between date and time, 0 to 9 decimals (cut to milliseconds), an
/// optional `Z`. Milliseconds since 1970, UTC.
pub(crate) fn timestamp(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text).as_bytes();
    let (date, time) = text.split_first_chunk::<10>()?;
    let (separator, time) = time.split_first()?;
    let (clock, fraction) = time.split_first_chunk::<8>()?;
    if !matches!(separator, b' ' | b'T') || clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let (hour, minute, second) = (number(&clock[..2])?, number(&clock[3..5])?, number(&clock[6..])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let millis = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            number(digits)?;
            let mut padded = [b'0'; 3];
            let kept = digits.len().min(3);
            padded[..kept].copy_from_slice(&digits[..kept]);
            number(&padded)?
        }
        _ => return None,
    };
    Some(parse_date(date)? * MILLIS_PER_DAY + ((hour * 60 + minute) * 60 + second) * 1000 + millis)
}

/// Days since 1970-01-01 of a `YYYY-MM-DD`.
fn parse_date(date: &[u8; 10]) -> Option<i64> {
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    // Year 0 is no year of the calendar that dumps use.
    if year == 0 || !(1..=days_in_month).contains(&day) {
        return None;
    }
    // Days from civil: years start in March, so that the leap day is the last.
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year / 400;
    let year_of_era = shifted_year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * DAYS_PER_ERA + day_of_era - 719_468)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |value, byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_every_length() {
        for text in ["0", "7", "10", "999", "1234567", "12345678", "123456789012", "9223372036854775807"] {
            let input = format!("{text},\"next\":0");
            let (value, rest) = take_integer(input.as_bytes()).expect(text);
            assert_eq!(value.to_string(), text);
            assert_eq!(rest, b",\"next\":0");
        }
        for text in ["-1,      ", "01,      ", "9223372036854775808,  ", "x,       ", "00000000,   "] {
            assert!(take_integer(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn thousandths_need_three_decimals_or_none() {
        assert_eq!(take_thousandths(b"1799.999,   ").map(|(v, _)| v), Some(1_799_999));
        assert_eq!(take_thousandths(b"1799999,    ").map(|(v, _)| v), Some(1_799_999_000));
        assert!(take_thousandths(b"1.5,        ").is_none());
        assert!(take_thousandths(b"99999999999999999,    ").is_none());
    }

    #[test]
    fn timestamps_in_both_decoders_agree() {
        let expected = 1_561_451_789_747; // date -u -d '2019-06-25 08:36:29.747' +%s%3N
        let mut fast = Timestamps::default();
        assert_eq!(fast.take(b"2019-06-25 08:36:29.747\",").map(|(v, _)| v), Some(expected));
        for text in ["2019-06-25 08:36:29.747", "2019-06-25T08:36:29.747Z", "2019-06-25 08:36:29.747999"] {
            assert_eq!(timestamp(text), Some(expected), "{text}");
        }
        for text in [
            "2019-02-29 00:00:00.000",
            "2019-13-01 00:00:00.000",
            "2019-06-31 00:00:00.000",
            "2019-06-25 24:00:00.000",
            "2019-06-25 08:60:29.747",
            "2019-06-25 08:36:60.747",
            "2019-06-25 0:836:29.747",
            "2019-06-25 08:36:2?.747",
            "2019-06-25 08:36:29.7:7",
            "0000-06-25 08:36:29.747",
        ] {
            assert_eq!(timestamp(text), None, "{text}");
            let quoted = format!("{text}\"");
            assert!(fast.take(quoted.as_bytes()).is_none(), "{text}");
        }
        assert_eq!(timestamp("2000-02-29 00:00:00"), Some(951_782_400_000));
        assert_eq!(timestamp("1969-12-31 23:59:59.999"), Some(-1));
    }

    #[test]
    fn flags_are_a_set() {
        assert_eq!(tcp_flags(b"0"), Some(0));
        assert_eq!(tcp_flags(b""), Some(0));
        assert_eq!(tcp_flags(b"APRS"), tcp_flags(b"SRPA"));
        assert_eq!(tcp_flags(b"ECUAPRSF"), Some(0xff));
        assert_eq!(tcp_flags(b"X"), None);
    }

    #[test]
    fn text_ends_at_the_first_quote() {
        assert_eq!(take_text(b"idle\",\"x\":1      ", 30), Some((&b"idle"[..], &b",\"x\":1      "[..])));
        assert_eq!(take_text(b"\",\"x\":1      ", 30).map(|(t, _)| t), Some(&b""[..]));
        assert_eq!(take_text(b"0123456789abcdef\"        ", 30).map(|(t, _)| t.len()), Some(16));
        assert!(take_text(&[b'a'; 100], 30).is_none());
    }
}
