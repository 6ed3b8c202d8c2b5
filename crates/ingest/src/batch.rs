//! What decoding a chunk gives.

use std::collections::BTreeMap;

use polars::prelude::DataFrame;

use crate::direction::Directions;

/// Typed raw rows of one chunk, in the order of its lines, and what else the chunk held.
#[derive(Debug, Clone, Default)]
pub struct RawBatch {
    /// One row a valid flow: the columns of [`FIELDS`](crate::schema::FIELDS), [`LINE`](crate::schema::LINE) and, where
    /// the decoder knows the device, [`DIRECTION`](crate::DIRECTION). Flows of directions that the decoder leaves out
    /// have no row.
    pub flows: DataFrame,
    /// Valid flows by direction, also those without a row; all 0 where the decoder does not know the device.
    pub directions: Directions,
    /// Lines by kind.
    pub records: RecordCounts,
    /// Lines that could not be used, in order.
    pub rejections: Vec<Rejection>,
    /// Packets of the valid flows, both directions, also of those without a row.
    pub packets: u64,
    /// The last control totals seen in the chunk.
    pub control_totals: Option<ControlTotals>,
    /// Keys inside flows that are no known field, with the number of flows that hold them.
    pub unknown_fields: UnknownFields,
}

/// Keys that are no known field, with the number of flows that hold them. Bounded: hostile input could hold millions of
/// names, or names of megabytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownFields {
    counts: BTreeMap<String, u64>,
}

/// Names kept.
const MAX_UNKNOWN_NAMES: usize = 256;
/// Characters kept of a name.
const MAX_NAME_CHARS: usize = 64;
/// Name under which further ones are counted.
const OTHER_NAMES: &str = "…";

impl UnknownFields {
    /// Counts a key of a flow. Control characters are escaped: names end up on screens.
    pub(crate) fn count(&mut self, name: &str) {
        let mut kept = String::new();
        for c in name.chars().take(MAX_NAME_CHARS) {
            if c.is_control() { kept.extend(c.escape_debug()) } else { kept.push(c) }
        }
        if name.chars().nth(MAX_NAME_CHARS).is_some() {
            kept.push_str(OTHER_NAMES);
        }
        self.add(&kept, 1);
    }

    /// Adds the counts of what came later.
    pub fn merge(&mut self, later: &Self) {
        for (name, flows) in &later.counts {
            self.add(name, *flows);
        }
    }

    /// Names in order, with the number of flows.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.counts.iter().map(|(name, flows)| (name.as_str(), *flows))
    }

    fn add(&mut self, name: &str, flows: u64) {
        if let Some(count) = self.counts.get_mut(name) {
            *count += flows;
        } else if self.counts.len() < MAX_UNKNOWN_NAMES {
            self.counts.insert(name.to_owned(), flows);
        } else {
            *self.counts.entry(OTHER_NAMES.to_owned()).or_default() += flows;
        }
    }
}

/// Lines by record kind. Blank lines are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Valid `flows` lines.
    pub flows: u64,
    /// `stats` lines.
    pub stats: u64,
    /// `tombstone` lines.
    pub tombstone: u64,
    /// Lines of another kind (`dns`, `ssl`, `dedup`, …).
    pub other: u64,
}

/// What an exporter's `stats` record says it wrote so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlTotals {
    /// `exportedFlowTotalCount`.
    pub flows: u64,
    /// `packetTotalCount`: forward and reverse packets of all flows.
    pub packets: u64,
}

/// A line that could not be used. Nothing of it is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Line number in the dump, from 1.
    pub line: u64,
    /// Offset in bytes of the line's first byte in the decompressed dump.
    pub offset: u64,
    /// Why.
    pub reason: String,
    /// The line without its line end.
    pub text: Vec<u8>,
}

impl Rejection {
    /// Line, offset and reason in one sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        format!("line {}, byte {}: {}", self.line, self.offset, self.reason)
    }
}
