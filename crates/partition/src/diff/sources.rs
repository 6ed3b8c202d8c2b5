//! Dumps: whether they are the same, and whether the same became of them.

use serde::Serialize;

use super::paired;
use crate::manifest::{Manifest, Part, RejectedLines, Source};

/// What is told of a source where only the name of its rejected lines' file differs.
const REJECTED_PATH: &str = "rejectedLines.path";

/// What is told of a source whose rejected lines one release leaves out.
const REJECTED_WITHHELD: &str = "rejectedLines.withheld";

/// A dump that only one has, or that is not the same in both.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceChange {
    /// The dump.
    pub dump: String,
    /// Keys of its entry that differ, in their order in the manifest: none when only one has it. `parts` is other sizes or
    /// digests, `parts.name` other names alone; `rejectedLines` is other lines, `rejectedLines.path` another path alone, or
    /// that one manifest does not list them; `rejectedLines.withheld` that one is a release that leaves them out.
    pub differs: Vec<&'static str>,
    /// Its entry in A; absent when A has no such dump.
    pub a: Option<Source>,
    /// Its entry in B; absent when B has no such dump.
    pub b: Option<Source>,
}

impl SourceChange {
    /// Whether both were made from the same bytes; `false` also when only one has it.
    #[must_use]
    pub fn has_the_same_bytes(&self) -> bool {
        self.a.is_some() && self.b.is_some() && !self.differs.contains(&"parts")
    }

    /// Whether it is the same dump of which the same rows became, and only what became of the file of its rejected lines
    /// differs.
    #[must_use]
    pub fn is_immaterial(&self) -> bool {
        matches!(self.differs.as_slice(), [REJECTED_PATH | REJECTED_WITHHELD])
    }
}

/// Compares the sources of two lakes.
pub(super) fn changes(a: &Manifest, b: &Manifest) -> Vec<SourceChange> {
    let withheld = a.withholds_rejected_lines() || b.withholds_rejected_lines();
    let changed =
        paired(&a.sources, &b.sources, |source| &source.dump).into_iter().filter(|(_, a, b)| a != b);
    let changes = changed.map(|(dump, a, b)| SourceChange {
        dump: dump.clone(),
        differs: a.zip(b).map(|(a, b)| differing(a, b, withheld)).unwrap_or_default(),
        a: a.cloned(),
        b: b.cloned(),
    });
    changes.collect()
}

/// Keys that differ; where a release leaves out rejected lines, that is why one alone has them.
fn differing(a: &Source, b: &Source, withheld: bool) -> Vec<&'static str> {
    // Taken apart by name: a key that is new cannot be forgotten here.
    let Source {
        dump: _,
        device,
        device_class,
        parts,
        records,
        trailer,
        published_records,
        read,
        kept,
        removed,
        rejected,
        rejected_lines,
        directions,
        unknown_fields,
        first_flow_start,
        last_flow_start,
    } = a;
    let other_parts = !content(parts).eq(content(&b.parts));
    let other_lines = match (rejected_lines, &b.rejected_lines) {
        (Some(a), Some(b)) => rejected_content(a) != rejected_content(b),
        _ => false,
    };
    let only_one = rejected_lines.is_some() != b.rejected_lines.is_some();
    let other_path = !other_lines && *rejected_lines != b.rejected_lines;
    let keys = [
        ("device", *device != b.device),
        ("deviceClass", *device_class != b.device_class),
        ("parts", other_parts),
        ("parts.name", !other_parts && *parts != b.parts),
        ("records", *records != b.records),
        ("trailer", *trailer != b.trailer),
        ("publishedRecords", *published_records != b.published_records),
        ("read", *read != b.read),
        ("kept", *kept != b.kept),
        ("removed", *removed != b.removed),
        ("rejected", *rejected != b.rejected),
        ("rejectedLines", other_lines),
        (REJECTED_PATH, other_path && !(only_one && withheld)),
        (REJECTED_WITHHELD, only_one && withheld),
        ("directions", *directions != b.directions),
        ("unknownFields", *unknown_fields != b.unknown_fields),
        ("firstFlowStart", *first_flow_start != b.first_flow_start),
        ("lastFlowStart", *last_flow_start != b.last_flow_start),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

fn content(parts: &[Part]) -> impl Iterator<Item = (u64, &str)> {
    parts.iter().map(|part| (part.bytes, part.sha256.as_str()))
}

fn rejected_content(lines: &RejectedLines) -> (u64, &str) {
    (lines.bytes, &lines.sha256)
}
