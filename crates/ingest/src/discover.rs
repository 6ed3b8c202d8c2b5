//! Finding dumps in a directory or a store and matching them to devices by archive stem.

use std::collections::{BTreeMap, HashMap};

use flowlake_store::{Entry, EntryKind, LakeStore};
use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, Device};
use crate::error::IngestError;

/// One dump: everything an exporter wrote for one device.
#[derive(Debug, Clone)]
pub struct Dump {
    /// Its name: the archive stem.
    pub name: String,
    /// Where its files are.
    pub input: LakeStore,
    /// How it is packed.
    pub format: DumpFormat,
    /// Its files in the order they are joined, at least one.
    /// Their paths are file names: nothing below the input is looked at.
    pub parts: Vec<Entry>,
}

impl Dump {
    /// Size of all parts in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// How a dump is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DumpFormat {
    /// `.tar.gz`, `.tgz`
    TarGz,
    /// `.json`
    Json,
    /// `.json.gz`
    JsonGz,
    /// `.json.zst`
    JsonZst,
}

const SUFFIXES: [(&str, DumpFormat); 5] = [
    (".tar.gz", DumpFormat::TarGz),
    (".tgz", DumpFormat::TarGz),
    (".json.gz", DumpFormat::JsonGz),
    (".json.zst", DumpFormat::JsonZst),
    (".json", DumpFormat::Json),
];

/// What an input holds, seen through a catalogue.
#[derive(Debug, Clone)]
pub struct Discovery {
    /// Dumps with their devices, ordered by dump name.
    pub matched: Vec<(Dump, Device)>,
    /// Names of dumps that belong to no device of the catalogue, ordered. Whether they are complete is not looked at.
    pub without_device: Vec<String>,
    /// Devices of the catalogue without a dump, in its order.
    pub without_dump: Vec<Device>,
    /// Files that look like part of a dump but are named in no way that is known, ordered.
    pub unused_files: Vec<String>,
}

/// Finds the dumps in a directory or at a prefix (not below it) and matches them to devices.
///
/// # Errors
/// [`IngestError`] when it cannot be listed, a part of a split archive is missing, or a dump is there twice.
pub fn discover(input: &LakeStore, catalogue: &Catalogue) -> Result<Discovery, IngestError> {
    let mut files: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
    let mut unused_files = Vec::new();
    for part in input.files()? {
        // Hidden files hold no dumps: editors and macOS leave `._name.tar.gz` beside the real ones.
        if part.path.starts_with('.') || part.kind == EntryKind::Unnameable {
            continue;
        }
        let Some((stem, format, number)) = parse_name(&part.path) else {
            if SUFFIXES.iter().any(|(suffix, _)| part.path.contains(suffix)) {
                unused_files.push(part.path);
            }
            continue;
        };
        files.entry(stem.to_owned()).or_default().push(Candidate { format, number, part });
    }

    let mut devices: HashMap<&str, &Device> =
        catalogue.devices.iter().map(|device| (device.archive.as_str(), device)).collect();
    let mut matched = Vec::new();
    let mut without_device = Vec::new();
    for (stem, candidates) in files {
        match devices.remove(stem.as_str()) {
            Some(device) => {
                matched.push((assemble(stem, candidates, device.parts, input)?, device.clone()));
            }
            None => without_device.push(stem),
        }
    }
    let without_dump = catalogue
        .devices
        .iter()
        .filter(|device| devices.contains_key(device.archive.as_str()))
        .cloned()
        .collect();
    unused_files.sort_unstable();
    Ok(Discovery { matched, without_device, without_dump, unused_files })
}

struct Candidate {
    format: DumpFormat,
    number: Option<PartNumber>,
    part: Entry,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PartNumber {
    value: u32,
    digits: usize,
}

fn assemble(
    stem: String,
    mut candidates: Vec<Candidate>,
    expected_parts: Option<u32>,
    input: &LakeStore,
) -> Result<Dump, IngestError> {
    candidates.sort_by(|a, b| (a.number, &a.part.path).cmp(&(b.number, &b.part.path)));
    let format = candidates[0].format;
    let split = candidates[0].number.is_some();
    if let Some(other) = candidates.iter().skip(1).find(|c| {
        c.format != format || !split || c.number.is_some_and(|n| n.digits != candidates[0].digits())
    }) {
        return Err(IngestError::DumpTwice {
            dump: stem,
            first: candidates[0].part.path.clone(),
            second: other.part.path.clone(),
        });
    }
    if split {
        let digits = candidates[0].digits();
        // `split -d` counts from 0.
        let found = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
        let expected = expected_parts.unwrap_or(0).max(found);
        for number in 0..expected {
            if candidates.get(number as usize).and_then(|c| c.number).map(|n| n.value) != Some(number) {
                let name = &candidates[0].part.path;
                let prefix = &name[..name.len() - digits];
                return Err(IngestError::PartMissing {
                    dump: stem,
                    missing: format!("{prefix}{number:0digits$}"),
                    input: input.name(""),
                });
            }
        }
    }
    let parts = candidates.into_iter().map(|candidate| candidate.part).collect();
    Ok(Dump { name: stem, input: input.clone(), format, parts })
}

impl Candidate {
    fn digits(&self) -> usize {
        self.number.map_or(0, |number| number.digits)
    }
}

/// Splits a file name in stem, format and part number: `hub.tar.gz01` is (`hub`, `TarGz`, 1).
fn parse_name(name: &str) -> Option<(&str, DumpFormat, Option<PartNumber>)> {
    let without_number = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &name[without_number.len()..];
    let number = match digits.len() {
        0 => None,
        2..=6 => Some(PartNumber { value: digits.parse().ok()?, digits: digits.len() }),
        _ => return None,
    };
    for (suffix, format) in SUFFIXES {
        if let Some(stem) = without_number.strip_suffix(suffix)
            && !stem.is_empty()
        {
            return Some((stem, format, number));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_from_the_right() {
        let parse = |name| parse_name(name).map(|(stem, format, n)| (stem, format, n.map(|n| n.value)));
        assert_eq!(parse("hub.tar.gz"), Some(("hub", DumpFormat::TarGz, None)));
        assert_eq!(parse("hub.tar.gz00"), Some(("hub", DumpFormat::TarGz, Some(0))));
        assert_eq!(parse("one_shot!.tar.gz12"), Some(("one_shot!", DumpFormat::TarGz, Some(12))));
        assert_eq!(parse("wi-fi.v2.json.zst"), Some(("wi-fi.v2", DumpFormat::JsonZst, None)));
        assert_eq!(parse("cam.json.gz"), Some(("cam", DumpFormat::JsonGz, None)));
        assert_eq!(parse("cam.json"), Some(("cam", DumpFormat::Json, None)));
        assert_eq!(parse("hub.tar.gz0"), None, "split writes two digits at least");
        assert_eq!(parse("devices.csv"), None);
        assert_eq!(parse(".tar.gz"), None);
    }
}
