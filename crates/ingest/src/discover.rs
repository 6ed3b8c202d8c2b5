//! Finding dumps in a directory and matching them to devices by archive stem.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::catalogue::{Catalogue, Device};
use crate::error::IngestError;

/// One dump: everything an exporter wrote for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// Its name: the archive stem.
    pub name: String,
    /// How it is packed.
    pub format: DumpFormat,
    /// Its files in the order they are joined, at least one.
    pub parts: Vec<DumpPart>,
}

impl Dump {
    /// Size of all parts in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }
}

/// One file of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpPart {
    /// File name, without directories.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Size in bytes when it was found.
    pub bytes: u64,
}

/// How a dump is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

/// What a directory holds, seen through a catalogue.
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

/// Finds the dumps in a directory (not below it) and matches them to devices.
///
/// # Errors
/// [`IngestError`] when the directory cannot be listed, a part of a split archive is missing, or a dump is there twice.
pub fn discover(directory: &Path, catalogue: &Catalogue) -> Result<Discovery, IngestError> {
    let mut files: BTreeMap<String, Vec<Candidate>> = BTreeMap::new();
    let mut unused_files = Vec::new();
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        // Hidden files hold no dumps: editors and macOS leave `._name.tar.gz` beside the real ones.
        if name.starts_with('.') {
            continue;
        }
        let Some((stem, format, number)) = parse_name(&name) else {
            if SUFFIXES.iter().any(|(suffix, _)| name.contains(suffix)) {
                unused_files.push(name);
            }
            continue;
        };
        let stem = stem.to_owned();
        let metadata = fs_err::metadata(entry.path())?;
        if metadata.is_file() {
            let part = DumpPart { path: entry.path(), bytes: metadata.len(), name };
            files.entry(stem).or_default().push(Candidate { format, number, part });
        }
    }

    let mut matched = Vec::new();
    let mut without_device = Vec::new();
    for (stem, candidates) in files {
        match catalogue.devices.iter().find(|device| device.archive == stem) {
            Some(device) => {
                matched.push((assemble(stem, candidates, device.parts, directory)?, device.clone()));
            }
            None => without_device.push(stem),
        }
    }
    let without_dump = catalogue
        .devices
        .iter()
        .filter(|device| !matched.iter().any(|(dump, _)| dump.name == device.archive))
        .cloned()
        .collect();
    unused_files.sort_unstable();
    Ok(Discovery { matched, without_device, without_dump, unused_files })
}

struct Candidate {
    format: DumpFormat,
    number: Option<PartNumber>,
    part: DumpPart,
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
    directory: &Path,
) -> Result<Dump, IngestError> {
    candidates.sort_by(|a, b| (a.number, &a.part.name).cmp(&(b.number, &b.part.name)));
    let format = candidates[0].format;
    let split = candidates[0].number.is_some();
    if let Some(other) = candidates.iter().skip(1).find(|c| {
        c.format != format || !split || c.number.is_some_and(|n| n.digits != candidates[0].digits())
    }) {
        return Err(IngestError::DumpTwice {
            dump: stem,
            first: candidates[0].part.name.clone(),
            second: other.part.name.clone(),
        });
    }
    if split {
        let digits = candidates[0].digits();
        // `split -d` counts from 0.
        let found = u32::try_from(candidates.len()).unwrap_or(u32::MAX);
        let expected = expected_parts.unwrap_or(0).max(found);
        for number in 0..expected {
            if candidates.get(number as usize).and_then(|c| c.number).map(|n| n.value) != Some(number) {
                let name = &candidates[0].part.name;
                let prefix = &name[..name.len() - digits];
                return Err(IngestError::PartMissing {
                    dump: stem,
                    missing: format!("{prefix}{number:0digits$}"),
                    directory: directory.to_owned(),
                });
            }
        }
    }
    Ok(Dump { name: stem, format, parts: candidates.into_iter().map(|c| c.part).collect() })
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
