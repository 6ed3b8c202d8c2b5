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
use crate::catalogue::{Limits, MacAddress};
use crate::direction::{DirectionSet, DirectionTeller};
use crate::error::IngestError;
use crate::reader::Chunk;
use crate::schema::index;
use columns::{Columns, Row, TEXT_SLOT};
use json::Line;

/// Shortest line exporters write, to guess the number of rows in a chunk.
const ROW_BYTES_GUESS: usize = 1000;
const PACKETS: usize = index("packetTotalCount");
const REVERSE_PACKETS: usize = index("reversePacketTotalCount");
const SOURCE_MAC: usize = TEXT_SLOT[index("sourceMacAddress")];
const DESTINATION_MAC: usize = TEXT_SLOT[index("destinationMacAddress")];

/// Decodes chunks of a dump. Holds no state between them: any chunk can go to any thread.
#[derive(Debug, Clone)]
pub struct Decoder {
    dump: String,
    max_line_bytes: u64,
    max_rejected_lines: u64,
    device: Option<MacAddress>,
    left_out: DirectionSet,
}

impl Decoder {
    /// A decoder for chunks of the dump of this name.
    #[must_use]
    pub fn new(dump: &str, limits: &Limits) -> Self {
        Self {
            dump: dump.to_owned(),
            max_line_bytes: limits.max_line_bytes,
            max_rejected_lines: limits.max_rejected_lines,
            device: None,
            left_out: DirectionSet::default(),
        }
    }

    /// Tells the direction of each flow, seen from the device with this address, and gives no row to flows of the
    /// directions in `left_out`. Those are checked and counted like any other.
    #[must_use]
    pub fn for_device(mut self, device: MacAddress, left_out: DirectionSet) -> Self {
        self.device = Some(device);
        self.left_out = left_out;
        self
    }

    /// Decodes every line of a chunk.
    ///
    /// # Errors
    /// [`IngestError::Limit`] when a line is too long. Lines that are no usable flow are [`Rejection`]s, not errors.
    pub fn decode(&self, chunk: &Chunk) -> Result<RawBatch, IngestError> {
        let input = chunk.padded();
        let end = chunk.bytes().len();
        let mut row = Row::default();
        let mut sink = Sink {
            columns: Columns::with_capacity(end / ROW_BYTES_GUESS + 16),
            batch: RawBatch::default(),
            teller: self.device.map(DirectionTeller::new),
            left_out: self.left_out,
        };
        let mut fast = fast::FastDecoder::default();
        let mut at = 0;
        let mut line = chunk.first_line;
        while at < end {
            if let Some(rest) = fast.decode(&input[at..], &mut row, &mut sink.columns.interner) {
                sink.accept(&row, line);
                at = input.len() - rest.len();
            } else {
                let len = memchr::memchr(b'\n', &input[at..end]).unwrap_or(end - at);
                let text = &input[at..at + len];
                let offset = chunk.offset + at as u64;
                if text.len() as u64 > self.max_line_bytes {
                    return Err(IngestError::line_too_long(&self.dump, self.max_line_bytes, line, offset));
                }
                if sink.batch.rejections.len() as u64 > self.max_rejected_lines {
                    return Err(IngestError::too_many_rejected(
                        &self.dump,
                        self.max_rejected_lines,
                        &sink.batch.rejections.first().map(Rejection::summary).unwrap_or_default(),
                    ));
                }
                sink.decode_fully(text, line, offset, &mut row);
                at += len + 1;
            }
            line += 1;
        }
        let Sink { columns, mut batch, .. } = sink;
        batch.flows = columns.finish(self.device.is_some())?;
        Ok(batch)
    }
}

/// Where lines go.
struct Sink {
    columns: Columns,
    batch: RawBatch,
    teller: Option<DirectionTeller>,
    left_out: DirectionSet,
}

impl Sink {
    #[inline]
    fn accept(&mut self, row: &Row, line: u64) {
        let packets = row.numbers[PACKETS].saturating_add(row.numbers[REVERSE_PACKETS]);
        self.batch.packets = self.batch.packets.saturating_add(packets.cast_unsigned());
        self.batch.records.flows += 1;
        if let Some(teller) = &mut self.teller {
            let (source, destination) = (row.texts[SOURCE_MAC], row.texts[DESTINATION_MAC]);
            let direction = teller.tell(source, destination, self.columns.interner.bytes());
            self.batch.directions.count_one(direction);
            if self.left_out.contains(direction) {
                return;
            }
            self.columns.push_direction(direction);
        }
        self.columns.push(row, line);
    }

    #[cold]
    fn decode_fully(&mut self, text: &[u8], line: u64, offset: u64, row: &mut Row) {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        // A byte order mark is no part of a record; joined files have one at each beginning.
        let record = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let batch = &mut self.batch;
        match json::decode_line(record, row, &mut self.columns.interner) {
            Line::Blank => {}
            Line::Flow { unknown } => {
                for name in unknown {
                    batch.unknown_fields.count(&name);
                }
                self.accept(row, line);
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
}
