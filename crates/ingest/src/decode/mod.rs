//! From lines to columns.
//!
//! Two decoders, one meaning. The [`fast`] one knows the spelling exporters write and predicts each next key; whatever
//! surprises it goes to the [`json`] one, which takes any legal JSON. Correctness never rests on the prediction: the fast
//! decoder either gives what the full one would, or nothing.

mod columns;
mod fast;
mod json;
mod value;

use crate::batch::{RawBatch, Rejection};
use crate::catalogue::Limits;
use crate::error::IngestError;
use crate::reader::Chunk;
use crate::schema::index;
use columns::{Columns, Row};
use json::Line;

/// Shortest line exporters write, to guess the number of rows in a chunk.
const ROW_BYTES_GUESS: usize = 1000;
const PACKETS: usize = index("packetTotalCount");
const REVERSE_PACKETS: usize = index("reversePacketTotalCount");

/// Decodes chunks of a dump. Holds no state between them: any chunk can go to any thread.
#[derive(Debug, Clone)]
pub struct Decoder {
    dump: String,
    max_line_bytes: u64,
    max_rejected_lines: u64,
}

impl Decoder {
    /// A decoder for chunks of the dump of this name.
    #[must_use]
    pub fn new(dump: &str, limits: &Limits) -> Self {
        Self {
            dump: dump.to_owned(),
            max_line_bytes: limits.max_line_bytes,
            max_rejected_lines: limits.max_rejected_lines,
        }
    }

    /// Decodes every line of a chunk.
    ///
    /// # Errors
    /// [`IngestError::Limit`] when a line is too long. Lines that are no usable flow are [`Rejection`]s, not errors.
    pub fn decode(&self, chunk: &Chunk) -> Result<RawBatch, IngestError> {
        let input = chunk.padded();
        let end = chunk.bytes().len();
        let mut columns = Columns::with_capacity(end / ROW_BYTES_GUESS + 16);
        let mut batch = RawBatch::default();
        let mut row = Row::default();
        let mut fast = fast::FastDecoder::default();
        let mut at = 0;
        let mut line = chunk.first_line;
        while at < end {
            if let Some(rest) = fast.decode(&input[at..], &mut row, &mut columns.interner) {
                accept(&row, line, &mut columns, &mut batch);
                at = input.len() - rest.len();
            } else {
                let len = memchr::memchr(b'\n', &input[at..end]).unwrap_or(end - at);
                let text = &input[at..at + len];
                let offset = chunk.offset + at as u64;
                if text.len() as u64 > self.max_line_bytes {
                    return Err(IngestError::line_too_long(&self.dump, self.max_line_bytes, line));
                }
                if batch.rejections.len() as u64 > self.max_rejected_lines {
                    return Err(IngestError::too_many_rejected(
                        &self.dump,
                        self.max_rejected_lines,
                        &batch.rejections,
                    ));
                }
                decode_fully(text, line, offset, &mut row, &mut columns, &mut batch);
                at += len + 1;
            }
            line += 1;
        }
        batch.flows = columns.finish()?;
        Ok(batch)
    }
}

fn accept(row: &Row, line: u64, columns: &mut Columns, batch: &mut RawBatch) {
    let packets = row.numbers[PACKETS].saturating_add(row.numbers[REVERSE_PACKETS]);
    batch.packets = batch.packets.saturating_add(packets.cast_unsigned());
    batch.records.flows += 1;
    columns.push(row, line);
}

#[cold]
fn decode_fully(
    text: &[u8],
    line: u64,
    offset: u64,
    row: &mut Row,
    columns: &mut Columns,
    batch: &mut RawBatch,
) {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    // A byte order mark is no part of a record; joined files have one at each beginning.
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    match json::decode_line(text, row, &mut columns.interner) {
        Line::Blank => {}
        Line::Flow { unknown } => {
            for name in unknown {
                batch.unknown_fields.count(&name);
            }
            accept(row, line, columns, batch);
        }
        Line::Stats(totals) => {
            batch.records.stats += 1;
            batch.control_totals = totals.or(batch.control_totals);
        }
        Line::Tombstone => batch.records.tombstone += 1,
        Line::Other => batch.records.other += 1,
        Line::Rejected(reason) => {
            batch.rejections.push(Rejection { line, offset, reason, text: text.to_vec() });
        }
    }
}
