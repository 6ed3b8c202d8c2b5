//! Where things lie in a lake: partitions, data files and the names they are made of.
//!
//! Paths are built from, and parsed back into, typed keys here and nowhere else. Names come from a catalogue or from a
//! manifest somebody else wrote, so both directions are strict: a name that is no slug, or a path that is not exactly
//! what this module would have written, is an error. That is why no path can lead out of the lake.

use std::fmt;
use std::str::FromStr;

/// Directory of the data files, below the root of a lake. It holds nothing but Parquet files.
pub const DATA_DIRECTORY: &str = "data";

/// Directory of rejected lines, below the root of a lake; present only when there are any.
pub const REJECTED_DIRECTORY: &str = "rejected";

/// Longest slug, in bytes: leaves room for the suffix in file systems that allow 255.
const MAX_SLUG_BYTES: usize = 200;

const MILLIS_PER_DAY: i64 = 86_400_000;

/// A name, path or time that has no place in a lake.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// Not of the form `[A-Za-z0-9][A-Za-z0-9._-]*`, or longer than 200 bytes.
    #[error("{text:?} is no slug: letters, digits, '.', '_' and '-' only, beginning with a letter or digit")]
    NotASlug {
        /// The name.
        text: String,
    },
    /// Not of the form `YYYY-MM`.
    #[error("{text:?} is no month: expected YYYY-MM")]
    NotAMonth {
        /// The text.
        text: String,
    },
    /// A time outside the years 0 to 9999.
    #[error("{millis} ms since 1970 lies outside the years 0 to 9999")]
    OutOfRange {
        /// Milliseconds since 1970-01-01 00:00 UTC.
        millis: i64,
    },
    /// Not the path of a data file.
    #[error("{path:?} is not data/month=YYYY-MM/deviceClass=CLASS/DEVICE-NNNNN-DIGEST.parquet")]
    NotADataFile {
        /// The path.
        path: String,
    },
    /// Not 16 lower-case hexadecimal digits.
    #[error("{text:?} is no beginning of a SHA-256: expected 16 of 0-9 and a-f")]
    NotADigest {
        /// The text.
        text: String,
    },
    /// The name of a dump that cannot be part of a file name.
    #[error("dump {dump:?} cannot have a file of its name")]
    NotADump {
        /// The name.
        dump: String,
    },
    /// More files of one device and month than the name can number.
    #[error("{device_name} has more than 100000 files in {month}")]
    TooManyFiles {
        /// The device.
        device_name: String,
        /// The month.
        month: Month,
    },
}

/// Checks that `text` is a slug, `[A-Za-z0-9][A-Za-z0-9._-]*` and at most 200 bytes.
///
/// # Errors
/// [`LayoutError::NotASlug`].
pub fn check_slug(text: &str) -> Result<(), LayoutError> {
    let bytes = text.as_bytes();
    let valid = bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.len() <= MAX_SLUG_BYTES
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if valid { Ok(()) } else { Err(LayoutError::NotASlug { text: text.to_owned() }) }
}

/// A calendar month in UTC, years 0 to 9999. Ordered by time; shown as `2019-06`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: u16,
    month: u8,
}

impl Month {
    /// The month that holds an instant, in milliseconds since 1970-01-01 00:00 UTC.
    ///
    /// # Errors
    /// [`LayoutError::OutOfRange`] outside the years 0 to 9999.
    pub fn from_epoch_millis(millis: i64) -> Result<Self, LayoutError> {
        let (year, month, _) = civil_from_days(millis.div_euclid(MILLIS_PER_DAY));
        match u16::try_from(year) {
            Ok(year) if year <= 9999 => Ok(Self { year, month }),
            _ => Err(LayoutError::OutOfRange { millis }),
        }
    }

    /// First instant of the month, in milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn start_millis(self) -> i64 {
        days_from_civil(i64::from(self.year), self.month) * MILLIS_PER_DAY
    }

    /// First instant after the month, in milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn end_millis(self) -> i64 {
        let (year, month) = if self.month == 12 {
            (i64::from(self.year) + 1, 1)
        } else {
            (i64::from(self.year), self.month + 1)
        };
        days_from_civil(year, month) * MILLIS_PER_DAY
    }

    /// Whether the month holds an instant, in milliseconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub fn contains_millis(self, millis: i64) -> bool {
        (self.start_millis()..self.end_millis()).contains(&millis)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = LayoutError;

    fn from_str(text: &str) -> Result<Self, LayoutError> {
        let parse = || {
            let (year, month) = text.split_once('-')?;
            let year = (year.len() == 4).then(|| digits(year)).flatten()?;
            let month = (month.len() == 2).then(|| digits(month)).flatten()?;
            let month = u8::try_from(month).ok().filter(|m| (1..=12).contains(m))?;
            Some(Self { year: u16::try_from(year).ok()?, month })
        };
        parse().ok_or_else(|| LayoutError::NotAMonth { text: text.to_owned() })
    }
}

/// The values a data file's directory stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey {
    month: Month,
    device_class: String,
}

impl PartitionKey {
    /// A key of a month and a device class.
    ///
    /// # Errors
    /// [`LayoutError::NotASlug`] when the class is none.
    pub fn new(month: Month, device_class: impl Into<String>) -> Result<Self, LayoutError> {
        let device_class = device_class.into();
        check_slug(&device_class)?;
        Ok(Self { month, device_class })
    }

    /// Month of the flow start, UTC.
    #[must_use]
    pub fn month(&self) -> Month {
        self.month
    }

    /// Class of the device.
    #[must_use]
    pub fn device_class(&self) -> &str {
        &self.device_class
    }
}

/// The directory below the lake's root, with `/`: `data/month=2019-06/deviceClass=smartSpeaker`.
impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DATA_DIRECTORY}/month={}/deviceClass={}", self.month, self.device_class)
    }
}

/// The beginning of a file's SHA-256, as names have it: 16 lower-case hexadecimal digits.
///
/// That is enough to tell apart the files that ever have one device, month and number: of a million of them, two are alike by
/// chance in one of some 10⁷ cases. The manifest has the whole digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameDigest(u64);

impl NameDigest {
    /// Of the bytes of a SHA-256.
    #[must_use]
    pub fn of(sha256: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *sha256;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }

    /// Whether a SHA-256 in hexadecimal, as the manifest has it, begins with it.
    #[must_use]
    pub fn begins(self, sha256: &str) -> bool {
        sha256.starts_with(&self.to_string())
    }
}

impl fmt::Display for NameDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for NameDigest {
    type Err = LayoutError;

    fn from_str(text: &str) -> Result<Self, LayoutError> {
        let valid = text.len() == 16 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let digest = valid.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        digest.map(Self).ok_or_else(|| LayoutError::NotADigest { text: text.to_owned() })
    }
}

/// What a data file's path says: partition, device, running number from 0, and how its SHA-256 begins.
///
/// A device name may hold what looks like a number or a digest, so a path is read from its end: five digits there are the
/// number of a path without a digest, 16 hexadecimal ones are the digest, and a number must stand before it. The text of paths
/// of one device and month is in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataPath {
    key: PartitionKey,
    device_name: String,
    number: u32,
    digest: Option<NameDigest>,
}

impl DataPath {
    /// The path of a device's `number`-th file in a partition, counted from 0, as long as nothing is known of its bytes.
    ///
    /// # Errors
    /// [`LayoutError::NotASlug`] when the device name is none, [`LayoutError::TooManyFiles`] above 99999.
    pub fn new(key: PartitionKey, device_name: impl Into<String>, number: u32) -> Result<Self, LayoutError> {
        let device_name = device_name.into();
        check_slug(&device_name)?;
        if number > 99_999 {
            return Err(LayoutError::TooManyFiles { device_name, month: key.month });
        }
        Ok(Self { key, device_name, number, digest: None })
    }

    /// The path of the file with these bytes.
    #[must_use]
    pub fn with_digest(self, digest: NameDigest) -> Self {
        Self { digest: Some(digest), ..self }
    }

    /// The partition.
    #[must_use]
    pub fn key(&self) -> &PartitionKey {
        &self.key
    }

    /// The device.
    #[must_use]
    pub fn device_name(&self) -> &str {
        &self.device_name
    }

    /// Which file of the device and month it is, counted from 0.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// How its SHA-256 begins; `None` in lakes made before names had it.
    #[must_use]
    pub fn digest(&self) -> Option<NameDigest> {
        self.digest
    }

    /// Whether both are the same number of the same device and month, whatever their bytes: of these a lake has one.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        (&self.key, &self.device_name, self.number) == (&other.key, &other.device_name, other.number)
    }
}

/// The path below the lake's root, with `/`.
impl fmt::Display for DataPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}-{:05}", self.key, self.device_name, self.number)?;
        if let Some(digest) = self.digest {
            write!(f, "-{digest}")?;
        }
        f.write_str(".parquet")
    }
}

impl FromStr for DataPath {
    type Err = LayoutError;

    fn from_str(path: &str) -> Result<Self, LayoutError> {
        let parse = || {
            let mut parts = path.split('/');
            let (data, month, class, file) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            if data != DATA_DIRECTORY || parts.next().is_some() {
                return None;
            }
            let month = month.strip_prefix("month=")?.parse().ok()?;
            let key = PartitionKey::new(month, class.strip_prefix("deviceClass=")?).ok()?;
            let (before, last) = file.strip_suffix(".parquet")?.rsplit_once('-')?;
            // A number has five digits and a digest 16, so neither is ever taken for the other.
            let (device_name, number, digest) = match last.parse() {
                Ok(digest) => {
                    let (device_name, number) = before.rsplit_once('-')?;
                    (device_name, number, Some(digest))
                }
                Err(_) => (before, last, None),
            };
            let number = (number.len() == 5).then(|| digits(number)).flatten()?;
            Some(Self { digest, ..Self::new(key, device_name, number).ok()? })
        };
        parse().ok_or_else(|| LayoutError::NotADataFile { path: path.to_owned() })
    }
}

/// Where the rejected lines of a dump are. A dump's name is nearly free, so such a path cannot be read back: it is compared
/// with the one that the dump's lines should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedPath {
    dump: String,
    digest: Option<NameDigest>,
}

impl RejectedPath {
    /// The path of a dump's rejected lines as long as nothing is known of their bytes, which lakes made before names had a
    /// digest have too.
    ///
    /// # Errors
    /// [`LayoutError::NotADump`] when the dump's name would lead elsewhere.
    pub fn new(dump: impl Into<String>) -> Result<Self, LayoutError> {
        let dump = dump.into();
        if dump.is_empty() || dump.contains(['/', '\0']) {
            return Err(LayoutError::NotADump { dump });
        }
        Ok(Self { dump, digest: None })
    }

    /// The path of the file with these bytes.
    #[must_use]
    pub fn with_digest(self, digest: NameDigest) -> Self {
        Self { digest: Some(digest), ..self }
    }
}

/// The path below the lake's root, with `/`.
impl fmt::Display for RejectedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{REJECTED_DIRECTORY}/{}", self.dump)?;
        if let Some(digest) = self.digest {
            write!(f, "-{digest}")?;
        }
        f.write_str(".ndjson")
    }
}

/// An instant, in milliseconds since 1970-01-01 00:00 UTC, as the manifest writes it: `2019-06-25T08:36:29.747Z`.
#[must_use]
pub fn timestamp_text(millis: i64) -> String {
    let date = date_text(millis.div_euclid(MILLIS_PER_DAY));
    let of_day = millis.rem_euclid(MILLIS_PER_DAY);
    let (hour, minute) = (of_day / 3_600_000, of_day / 60_000 % 60);
    let (second, milli) = (of_day / 1_000 % 60, of_day % 1_000);
    format!("{date}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// A day counted from 1970-01-01 as the manifest writes it: `2019-06-25`.
pub(crate) fn date_text(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The number ASCII digits spell; `None` for anything else, signs included.
fn digits(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// Year, month and day of a day counted from 1970-01-01, proleptic Gregorian.
///
/// The year is taken to begin in March, so that the leap day is its last: then months have a closed form and eras of
/// 400 years repeat exactly.
fn civil_from_days(days: i64) -> (i64, u8, u8) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u8, day as u8)
}

/// Days from 1970-01-01 to the first of a month: the inverse of [`civil_from_days`].
fn days_from_civil(year: i64, month: u8) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * shifted_month + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests;
