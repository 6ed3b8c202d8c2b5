//! Fingerprints of flows: equal if, and only if, all raw fields are.
//!
//! A fingerprint is the flow start and the first 128 bits of SHA-256 over the 54 raw fields as they were decoded; where the
//! line stood is no part of it. Two different flows with one fingerprint would have to start in the same millisecond and
//! collide in 128 bits of SHA-256: among 10⁹ flows by chance less than once in 10²⁰ dumps, and nobody knows how to make
//! such a pair with less than 2⁶⁴ tries. So duplicates are exact in practice, without keeping flows to compare.

use flowlake_ingest::schema::{FIELD_COUNT, FIELDS};
use polars::prelude::{Column, DataFrame, Int64Chunked, PolarsResult, StringChunked};
use polars_arrow::array::Array;
use sha2::{Digest, Sha256};

use crate::recipe::FLOW_START;

/// What stands for all raw fields of a flow. Ordered by flow start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint {
    start: i64,
    hash: [u64; 2],
}

impl Fingerprint {
    /// Bytes of one on disk.
    pub(crate) const BYTES: usize = 24;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (place, number) in
            bytes.chunks_exact_mut(8).zip([self.start.cast_unsigned(), self.hash[0], self.hash[1]])
        {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut numbers = [0; 3];
        for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
            let mut eight = [0; 8];
            eight.copy_from_slice(bytes);
            *number = u64::from_le_bytes(eight);
        }
        let [start, first, second] = numbers;
        Self { start: start.cast_signed(), hash: [first, second] }
    }
}

impl std::hash::Hash for Fingerprint {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // The bits of SHA-256 need no more mixing.
        state.write_u64(self.hash[0]);
    }
}

enum Values {
    Numbers(Int64Chunked),
    Texts(StringChunked),
}

/// The fingerprint of each row of a frame in the raw schema.
pub(crate) fn fingerprints(flows: &DataFrame) -> PolarsResult<Vec<Fingerprint>> {
    let columns: Vec<Values> = FIELDS
        .iter()
        .map(|field| {
            let column: Column = flows.column(field.name)?.to_physical_repr();
            Ok(if field.kind.is_text() {
                Values::Texts(column.str()?.rechunk().into_owned())
            } else {
                Values::Numbers(column.i64()?.rechunk().into_owned())
            })
        })
        .collect::<PolarsResult<_>>()?;
    let starts = flows.column(FLOW_START)?.to_physical_repr();
    let starts = starts.i64()?;
    let mut bytes = Vec::with_capacity(FIELD_COUNT * size_of::<i64>());
    let fingerprint = |(row, start): (usize, Option<i64>)| {
        bytes.clear();
        // Which fields are there, then the values of those.
        bytes.extend_from_slice(&[0; size_of::<u64>()]);
        let mut present = 0_u64;
        for (i, values) in columns.iter().enumerate() {
            match values {
                Values::Numbers(numbers) => {
                    let array = numbers.downcast_as_array();
                    if array.is_valid(row) {
                        present |= 1 << i;
                        bytes.extend_from_slice(&array.value(row).to_le_bytes());
                    }
                }
                Values::Texts(texts) => {
                    let array = texts.downcast_as_array();
                    if array.is_valid(row) {
                        present |= 1 << i;
                        let text = array.value(row);
                        bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
                        bytes.extend_from_slice(text.as_bytes());
                    }
                }
            }
        }
        bytes[..size_of::<u64>()].copy_from_slice(&present.to_le_bytes());
        let hash = Sha256::digest(&bytes);
        let start = start.unwrap_or_default().to_le_bytes();
        let mut stored = [0; Fingerprint::BYTES];
        stored[..8].copy_from_slice(&start);
        stored[8..].copy_from_slice(&hash[..16]);
        Fingerprint::from_bytes(&stored)
    };
    Ok(starts.iter().enumerate().map(fingerprint).collect())
}
