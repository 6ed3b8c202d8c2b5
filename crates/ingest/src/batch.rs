//! What decoding a chunk gives.

use std::collections::BTreeMap;

use polars::prelude::DataFrame;

/// Typed raw rows of one chunk, in the order of its lines, and what else the chunk held.
#[derive(Debug, Clone, Default)]
pub struct RawBatch {
    /// One row a valid flow: the columns of [`FIELDS`](crate::schema::FIELDS) and
    /// [`LINE`](crate::schema::LINE).
    pub flows: DataFrame,
    /// Lines by kind.
    pub records: RecordCounts,
    /// Lines that could not be used, in order.
    pub rejections: Vec<Rejection>,
    /// Packets of the valid flows, both directions.
    pub packets: u64,
    /// The last control totals seen in the chunk.
    pub control_totals: Option<ControlTotals>,
    /// Keys inside flows that are no known field, with the number of flows that hold them.
    pub unknown_fields: BTreeMap<String, u64>,
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
