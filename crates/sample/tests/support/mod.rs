//! Makes samples of the shipped devices and reads dumps back, by none of the code that wrote them.

use std::io::Read as _;
use std::path::Path;

use flate2::read::GzDecoder;
use flowlake_sample::{
    DumpWritten, Profiles, SampleDevice, SampleError, SampleOptions, generate, parse_profiles,
};
use fs_err as fs;
use serde_json::Value;

/// The devices of the shipped catalogue.
pub(crate) fn devices() -> Vec<SampleDevice> {
    devices_of(include_str!("../../../../config/kddi-iot-2019.toml"))
}

/// The devices of a catalogue.
pub(crate) fn devices_of(catalogue: &str) -> Vec<SampleDevice> {
    let catalogue: toml::Table = catalogue.parse().expect("a TOML catalogue");
    let devices = catalogue["device"].as_array().expect("devices");
    let device = |device: &toml::Value| {
        let text = |key: &str| device[key].as_str().expect(key).to_owned();
        let number = |key: &str| device[key].as_integer().expect(key);
        SampleDevice {
            name: text("name"),
            title: text("title"),
            device_class: text("class"),
            class_title: text("class_title"),
            mac: text("mac"),
            archive: text("archive"),
            records: number("published_records").try_into().expect("a count"),
            parts: number("parts").try_into().expect("a count"),
        }
    };
    devices.iter().map(device).collect()
}

/// The shipped profiles.
pub(crate) fn profiles() -> Profiles {
    parse_profiles(include_str!("../../../../config/sample.toml"), "sample.toml").expect("valid profiles")
}

/// A sample of `devices` in `output`.
pub(crate) fn sample(
    devices: &[SampleDevice],
    options: SampleOptions,
    output: &Path,
) -> Result<Vec<DumpWritten>, SampleError> {
    generate(devices, &profiles(), &options, output, &|_| {})
}

/// The text inside a dump, its parts joined; checks the tar entry on the way.
pub(crate) fn unpack(directory: &Path, dump: &DumpWritten) -> String {
    let mut joined = Vec::new();
    for part in &dump.parts {
        joined.extend(fs::read(directory.join(part)).expect("a part"));
    }
    assert_eq!(joined.len() as u64, dump.archive_bytes);
    // Neither flags nor a time in the gzip header.
    assert_eq!(joined[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    let mut archive = tar::Archive::new(GzDecoder::new(joined.as_slice()));
    let mut entries = archive.entries().expect("a tar archive");
    let mut entry = entries.next().expect("an entry").expect("a readable entry");
    let header = entry.header();
    assert_eq!(entry.path().expect("a path").to_str(), Some(format!("{}.json", dump.archive).as_str()));
    assert_eq!((header.mode().ok(), header.uid().ok(), header.gid().ok()), (Some(0o644), Some(0), Some(0)));
    assert_eq!(header.size().ok(), Some(dump.json_bytes));
    let mut text = String::new();
    entry.read_to_string(&mut text).expect("text");
    assert!(entries.next().is_none(), "one entry, only");
    text
}

/// A flow of a dump, with easy access to its fields.
pub(crate) struct Flow {
    pub(crate) keys: Vec<String>,
    fields: Value,
}

impl Flow {
    /// Reads the line if it is a flow. The order of keys is found by their places in the text, since `serde_json`
    /// sorts them.
    pub(crate) fn read(line: &str) -> Option<Self> {
        let mut value: Value = serde_json::from_str(line).expect("a line of JSON");
        let fields = value.as_object_mut()?.remove("flows")?;
        let mut keys: Vec<String> = fields.as_object()?.keys().cloned().collect();
        keys.sort_by_cached_key(|key| line.find(&format!("\"{key}\":")));
        Some(Self { keys, fields })
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.fields.get(key).is_some()
    }

    pub(crate) fn number(&self, key: &str) -> u64 {
        self.fields[key].as_u64().unwrap_or_else(|| panic!("{key} in {}", self.fields))
    }

    pub(crate) fn text(&self, key: &str) -> &str {
        self.fields[key].as_str().unwrap_or_else(|| panic!("{key} in {}", self.fields))
    }

    pub(crate) fn hex(&self, key: &str) -> u64 {
        u64::from_str_radix(self.text(key).trim_start_matches("0x"), 16).expect("hexadecimal")
    }

    /// A number of seconds, in milliseconds.
    pub(crate) fn seconds(&self, key: &str) -> u64 {
        let seconds = self.fields[key].as_f64().expect("seconds");
        (seconds * 1_000.0).round() as u64
    }

    /// A time stamp: its date, and the milliseconds since midnight.
    fn stamp(&self, key: &str) -> (&str, u64) {
        let text = self.text(key);
        let part = |range: std::ops::Range<usize>| text[range].parse::<u64>().expect("digits");
        assert_eq!((text.len(), &text[10..11], &text[19..20]), (23, " ", "."));
        (&text[..10], ((part(11..13) * 60 + part(14..16)) * 60 + part(17..19)) * 1_000 + part(20..23))
    }

    /// End minus start. Flows are shorter than a day.
    pub(crate) fn duration(&self) -> u64 {
        let ((first_day, start), (last_day, end)) =
            (self.stamp("flowStartMilliseconds"), self.stamp("flowEndMilliseconds"));
        if first_day == last_day { end - start } else { end + 86_400_000 - start }
    }

    /// Where the flow ends, comparable within one dump: milliseconds since 2019-06-01.
    pub(crate) fn end(&self) -> u64 {
        let (day, time) = self.stamp("flowEndMilliseconds");
        let month = day[5..7].parse::<u64>().expect("a month");
        let days_before = [0, 30, 61, 92, 122][(month - 6) as usize];
        (days_before + day[8..].parse::<u64>().expect("a day") - 1) * 86_400_000 + time
    }
}
