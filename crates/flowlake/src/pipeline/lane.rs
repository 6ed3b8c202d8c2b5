//! One dump on its way: what is ready to be worked on, and what is being worked on.
//!
//! A lane only keeps the books; the work itself happens outside the lock around it ([`super::pool`]). Reading and taking
//! results are done by one thread at a time, because they need an order; processing chunks and encoding row groups are
//! done by any number.

use std::collections::{BTreeMap, VecDeque};

use flowlake_ingest::{Chunk, DumpReader};
use flowlake_partition::{EncodedRowGroup, RowGroup};

use super::task::{Processed, TaskSink};

/// Chunks that wait to be processed before reading stops being urgent.
const READ_AHEAD: usize = 2;

/// The state of one dump.
pub(crate) struct Lane {
    /// Absent while somebody reads, and after the end.
    pub(crate) reader: Option<Box<DumpReader>>,
    pub(crate) read_to_end: bool,
    /// Number of the next chunk to be read.
    pub(crate) next_read: u64,
    /// Chunks read and not processed, in order.
    pub(crate) chunks: VecDeque<(u64, Chunk)>,
    /// Chunks read whose rows were not taken yet, wherever they are.
    pub(crate) in_flight: usize,
    /// Results that wait for their turn.
    pub(crate) processed: BTreeMap<u64, Box<Processed>>,
    /// Number of the chunk whose result is taken next.
    pub(crate) next_taken: u64,
    /// Absent while somebody uses it.
    pub(crate) sink: Option<Box<TaskSink>>,
    pub(crate) row_groups: VecDeque<RowGroup>,
    /// Row groups made whose bytes were not stored yet, wherever they are.
    pub(crate) unstored: usize,
    pub(crate) encoded: Vec<EncodedRowGroup>,
    pub(crate) drained: bool,
    pub(crate) finished: bool,
    /// Memory of chunks that were processed, to be used again.
    pub(crate) buffers: Vec<Vec<u8>>,
}

/// Something a thread can do for a lane. What it needs was taken out of the lane.
pub(crate) enum Work {
    Read(Box<DumpReader>, Vec<u8>),
    Process(u64, Chunk),
    Take(Box<TaskSink>, Box<Processed>),
    Encode(RowGroup),
    Store(Box<TaskSink>, Vec<EncodedRowGroup>),
    Drain(Box<TaskSink>),
    Finish(Box<TaskSink>),
}

impl Lane {
    pub(crate) fn new(reader: DumpReader, sink: TaskSink) -> Self {
        Self {
            reader: Some(Box::new(reader)),
            read_to_end: false,
            next_read: 0,
            chunks: VecDeque::new(),
            in_flight: 0,
            processed: BTreeMap::new(),
            next_taken: 0,
            sink: Some(Box::new(sink)),
            row_groups: VecDeque::new(),
            unstored: 0,
            encoded: Vec::new(),
            drained: false,
            finished: false,
            buffers: Vec::new(),
        }
    }

    /// The most useful thing to do now: what frees memory first, then what keeps the serial stage busy.
    pub(crate) fn next_work(&mut self, max_in_flight: usize, max_unstored: usize) -> Option<Work> {
        if !self.encoded.is_empty()
            && let Some(sink) = self.sink.take()
        {
            return Some(Work::Store(sink, std::mem::take(&mut self.encoded)));
        }
        // Rows are not taken while many row groups wait to be encoded: they are the largest thing in memory.
        if self.unstored < max_unstored
            && self.processed.contains_key(&self.next_taken)
            && let Some(sink) = self.sink.take()
        {
            let processed = self.processed.remove(&self.next_taken);
            self.next_taken += 1;
            self.in_flight -= 1;
            return processed.map(|processed| Work::Take(sink, processed));
        }
        let read_urgent = self.chunks.len() < READ_AHEAD;
        if read_urgent && let Some(work) = self.read(max_in_flight) {
            return Some(work);
        }
        if let Some(group) = self.row_groups.pop_front() {
            return Some(Work::Encode(group));
        }
        if let Some((number, chunk)) = self.chunks.pop_front() {
            return Some(Work::Process(number, chunk));
        }
        if let Some(work) = self.read(max_in_flight) {
            return Some(work);
        }
        if self.read_to_end && self.in_flight == 0 && self.unstored == 0 && !self.finished {
            let sink = self.sink.take()?;
            if self.drained {
                self.finished = true;
                return Some(Work::Finish(sink));
            }
            self.drained = true;
            return Some(Work::Drain(sink));
        }
        None
    }

    fn read(&mut self, max_in_flight: usize) -> Option<Work> {
        if self.read_to_end || self.in_flight >= max_in_flight {
            return None;
        }
        let reader = self.reader.take()?;
        Some(Work::Read(reader, self.buffers.pop().unwrap_or_default()))
    }
}
