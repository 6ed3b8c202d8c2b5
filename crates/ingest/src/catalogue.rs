//! The catalogue: which devices there are, which dump is whose, and how much input is too much.
//!
//! The label of a flow belongs to the dump it came from, not to a MAC address: two dumps can hold the same MAC. So the
//! catalogue maps archive stems to devices, and a MAC address only says which end of a flow is the device.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::error::ConfigError;

/// Devices of a data set, and how to read it.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// The data set.
    pub dataset: Dataset,
    /// Its devices, in the order of the file.
    pub devices: Vec<Device>,
    /// Limits on the input.
    pub limits: Limits,
    /// The file, as it was read.
    pub text: String,
}

/// A data set, as its publisher describes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Short name, a slug.
    pub name: String,
    /// Title for people.
    pub title: String,
    /// Licence name or note.
    pub licence: String,
    /// Whether the licence lets a lake of it be handed on.
    #[serde(default)]
    pub redistribution: bool,
    /// Where the text of the licence is.
    pub licence_url: Option<String>,
    /// What it is, in a few sentences.
    pub description: Option<String>,
    /// Who made it, each as `Family, Given` or the name of an organisation.
    #[serde(default)]
    pub creators: Vec<String>,
    /// How to cite it.
    pub citation: String,
    /// Where it is published.
    pub url: String,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Name in the lake and in file names, a slug.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// Class in the lake and in directory names, a slug.
    pub class: String,
    /// Class for people.
    pub class_title: String,
    /// Its MAC address.
    pub mac: MacAddress,
    /// Stem of its dump: `<archive>.tar.gz`.
    pub archive: String,
    /// Record count its publisher states.
    pub published_records: Option<u64>,
    /// Number of files its dump is split in, if known.
    pub parts: Option<u32>,
}

/// A MAC address; displayed as `aa:bb:cc:dd:ee:ff`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// As [`Self::parse`], also with the `:` that some exporters write behind it.
    #[must_use]
    pub fn parse_exported(text: &str) -> Option<Self> {
        Self::parse(text.strip_suffix(':').unwrap_or(text))
    }

    /// Parses six groups of two hexadecimal digits joined by `:` or `-`, upper or lower case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 17 {
            return None;
        }
        let mut octets = [0; 6];
        for (i, octet) in octets.iter_mut().enumerate() {
            let at = i * 3;
            let high = (bytes[at] as char).to_digit(16)?;
            let low = (bytes[at + 1] as char).to_digit(16)?;
            *octet = u8::try_from(high * 16 + low).ok()?;
            if i < 5 && (!matches!(bytes[at + 2], b':' | b'-') || bytes[at + 2] != bytes[2]) {
                return None;
            }
        }
        Some(Self(octets))
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// How much input is too much: a bomb is an error, not an outage.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Share of a dump's flows that may be rejected, 0 to 1.
    pub max_rejected_share: f64,
    /// Number of lines of a dump that may be rejected, whatever their share.
    pub max_rejected_lines: u64,
    /// Length of the rejected lines of a dump in bytes, all together: they are kept word for word.
    pub max_rejected_bytes: u64,
    /// Months the kept flows of a dump may lie in: each has a file open.
    pub max_months: u64,
    /// Length of a line in bytes.
    pub max_line_bytes: u64,
    /// Decompressed size of a dump in bytes.
    pub max_decompressed_bytes: u64,
    /// Entries of a tar archive.
    pub max_archive_entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_rejected_share: 0.001,
            max_rejected_lines: 100_000,
            max_rejected_bytes: 1 << 27,
            max_months: 240,
            max_line_bytes: 1 << 20,
            max_decompressed_bytes: 1 << 38,
            max_archive_entries: 1000,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    dataset: Spanned<Dataset>,
    #[serde(default)]
    limits: Option<Spanned<Limits>>,
    #[serde(default)]
    device: Vec<DeviceEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceEntry {
    name: Spanned<String>,
    title: Option<String>,
    class: Spanned<String>,
    class_title: Option<String>,
    mac: Spanned<String>,
    archive: Spanned<String>,
    published_records: Option<u64>,
    parts: Option<Spanned<u32>>,
}

/// Largest catalogue or recipe in bytes: a parser takes many times that.
const MAX_CONFIG_BYTES: u64 = 32 << 20;

/// The text of a catalogue or recipe.
///
/// # Errors
/// When it cannot be read, is not UTF-8 or too large to be one.
pub fn read_config(path: &Path) -> Result<String, ConfigError> {
    let mut text = String::new();
    let file = fs_err::File::open(path).map_err(|error| ConfigError::unreadable(&error))?;
    let read = file.take(MAX_CONFIG_BYTES + 1).read_to_string(&mut text);
    let read = read.map_err(|error| {
        ConfigError::unreadable(&io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    })?;
    if read as u64 > MAX_CONFIG_BYTES {
        let text = format!(
            "{} is no catalogue and no recipe: it has more than {MAX_CONFIG_BYTES} bytes",
            path.display()
        );
        return Err(ConfigError::unreadable(&io::Error::other(text)));
    }
    Ok(text)
}

impl Catalogue {
    /// Reads a catalogue file.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file, and the line when one is to blame: unreadable, not TOML, an unknown key, a device
    /// or archive listed twice, a MAC address or slug that is none.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = path.display().to_string();
        let text = read_config(path)?;
        Self::parse(&text, &file)
    }

    /// Parses a catalogue; `file` is its name in errors.
    ///
    /// # Errors
    /// As [`Catalogue::read`].
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let parsed: CatalogueFile =
            toml::from_str(text).map_err(|error| ConfigError::toml(file, text, &error))?;
        let at = |offset: usize, message: String| ConfigError::at(file, text, offset, message);

        let dataset_at = parsed.dataset.span().start;
        let dataset = parsed.dataset.into_inner();
        check_slug(&dataset.name, "dataset name").map_err(|message| at(dataset_at, message))?;
        if dataset.title.trim().is_empty() {
            return Err(at(dataset_at, "the title of the data set is empty".to_owned()));
        }
        let limits = match parsed.limits {
            Some(limits) => {
                let offset = limits.span().start;
                let limits = limits.into_inner();
                limits.check().map_err(|message| at(offset, message))?;
                limits
            }
            None => Limits::default(),
        };
        if parsed.device.is_empty() {
            return Err(ConfigError::whole(file, "no [[device]] is listed"));
        }

        let mut devices = Vec::with_capacity(parsed.device.len());
        let mut names = HashMap::new();
        let mut archives = HashMap::new();
        for entry in parsed.device {
            let name_at = entry.name.span().start;
            check_slug(entry.name.as_ref(), "device name").map_err(|message| at(name_at, message))?;
            // Compared without case: names become file names, and some file systems fold case.
            if names.insert(entry.name.as_ref().to_lowercase(), ()).is_some() {
                return Err(at(name_at, format!("device `{}` is listed twice", entry.name.as_ref())));
            }
            let archive_at = entry.archive.span().start;
            if archives.insert(entry.archive.as_ref().clone(), ()).is_some() {
                return Err(at(archive_at, format!("archive `{}` is listed twice", entry.archive.as_ref())));
            }
            check_archive(entry.archive.as_ref()).map_err(|message| at(archive_at, message))?;
            check_class(entry.class.as_ref()).map_err(|message| at(entry.class.span().start, message))?;
            let mac = MacAddress::parse(entry.mac.as_ref()).ok_or_else(|| {
                at(
                    entry.mac.span().start,
                    format!("`{}` is no MAC address: expected aa:bb:cc:dd:ee:ff", entry.mac.as_ref()),
                )
            })?;
            if let Some(parts) = &entry.parts
                && !(1..=1000).contains(parts.as_ref())
            {
                return Err(at(parts.span().start, "`parts` must be 1 to 1000".to_owned()));
            }
            let name = entry.name.into_inner();
            let class = entry.class.into_inner();
            devices.push(Device {
                title: entry.title.unwrap_or_else(|| name.clone()),
                class_title: entry.class_title.unwrap_or_else(|| class.clone()),
                name,
                class,
                mac,
                archive: entry.archive.into_inner(),
                published_records: entry.published_records,
                parts: entry.parts.map(Spanned::into_inner),
            });
        }
        Ok(Self { dataset, devices, limits, text: text.to_owned() })
    }
}

impl Limits {
    fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.max_rejected_share) {
            return Err(format!("max_rejected_share = {} is no share: 0 to 1", self.max_rejected_share));
        }
        if !(1 << 16..=1 << 30).contains(&self.max_line_bytes) {
            return Err("max_line_bytes must be 65536 (64 KiB) to 1073741824 (1 GiB)".to_owned());
        }
        if self.max_decompressed_bytes == 0 || self.max_archive_entries == 0 || self.max_months == 0 {
            return Err("a limit of 0 lets nothing be read".to_owned());
        }
        Ok(())
    }
}

/// Slugs become directory and file names, and Hive partition values: one spelling everywhere, nothing to escape.
fn check_slug(text: &str, what: &str) -> Result<(), String> {
    let mut bytes = text.bytes();
    let good = bytes.next().is_some_and(|b| b.is_ascii_alphanumeric())
        && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.len() <= 100;
    if good {
        Ok(())
    } else {
        Err(format!(
            "{what} `{text}` is no slug: letters, digits, `-`, `_`, `.`, starting with a letter or digit, at most 100"
        ))
    }
}

/// A class is a directory name that engines read as a value: one that looks like a number, a date, a truth value or a null
/// would become one.
fn check_class(class: &str) -> Result<(), String> {
    check_slug(class, "class")?;
    let literal =
        ["true", "false", "null", "none", "nan", "inf", "infinity"].contains(&class.to_lowercase().as_str());
    if literal || !class.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(format!(
            "class `{class}` would not be read as text: begin it with a letter, and name no literal"
        ));
    }
    Ok(())
}

/// Archive stems name a file in the input directory and one in `rejected/`: no path separators.
fn check_archive(stem: &str) -> Result<(), String> {
    if stem.is_empty() || stem.starts_with('.') || stem.len() > 200 || stem.contains(['/', '\\', '\0', '\n'])
    {
        return Err(format!("archive `{stem}` is no file stem"));
    }
    Ok(())
}
