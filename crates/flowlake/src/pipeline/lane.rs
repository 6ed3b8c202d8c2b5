//! One dump on its way: what is ready to be worked on, and what is being worked on.
//!
//! A lane only keeps the books; the work itself happens outside the lock around it ([`super::pool`]). Reading and taking
//! results are done by one thread at a time, because they need an order; processing chunks and encoding row groups are
//! done by any number.

use std::collections::{BTreeMap, VecDeque};

use flowlake_ingest::{Chunk, DumpReader};
use flowlake_partition::{EncodedRowGroup, RowGroup};
use flowlake_transform::SeenFlows;

use super::task::{Decided, Processed, TaskSink, Undecided};

/// Chunks that wait to be processed before reading stops being urgent.
const READ_AHEAD: usize = 2;
/// Chunks a lane may have in flight whatever the others have, so that each gets on.
pub(crate) const OWN_CHUNKS: usize = 2;

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
    /// What tells duplicates, where the recipe removes them; absent while somebody uses it.
    pub(crate) seen: Option<Box<SeenFlows>>,
    /// Chunks that wait for their turn to have their duplicates told.
    pub(crate) undecided: BTreeMap<u64, Box<Undecided>>,
    /// Number of the chunk whose duplicates are told next.
    next_decided: u64,
    /// Chunks whose duplicates are known, in order.
    pub(crate) decided: VecDeque<(u64, Box<Decided>)>,
    /// Results that wait for their turn.
    pub(crate) processed: BTreeMap<u64, Box<Processed>>,
    /// Number of the chunk whose result is taken next.
    pub(crate) next_taken: u64,
    /// Absent while somebody uses it.
    pub(crate) sink: Option<Box<TaskSink>>,
    pub(crate) row_groups: VecDeque<RowGroup>,
    /// Row groups made whose bytes were not stored yet, wherever they are.
    pub(crate) unstored: usize,
    /// Memory of the row groups that are not encoded yet.
    pub(crate) given_out_bytes: usize,
    /// Memory of the rows that are in no row group yet.
    waiting_bytes: usize,
    pub(crate) encoded: Vec<EncodedRowGroup>,
    pub(crate) drained: bool,
    finished: bool,
}

/// What a lane may add to what is in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Chunks, beside the [`OWN_CHUNKS`] that every lane may have.
    pub(crate) chunks: usize,
    /// Rows that wait for their row group or to be encoded, in bytes, all together.
    pub(crate) row_bytes: usize,
}

/// Something a thread can do for a lane. What it needs was taken out of the lane.
pub(crate) enum Work {
    Read(Box<DumpReader>, Vec<u8>),
    Process(u64, Chunk),
    /// Tell the duplicates of a chunk.
    Decide(Box<SeenFlows>, u64, Box<Undecided>),
    /// Finish a chunk whose duplicates are known.
    Derive(u64, Box<Decided>),
    /// With the memory that rows may take afterwards.
    Take(Box<TaskSink>, Box<Processed>, usize),
    Encode(RowGroup),
    Store(Box<TaskSink>, Vec<EncodedRowGroup>),
    /// With the memory that may be given out.
    Drain(Box<TaskSink>, usize),
    Finish(Box<TaskSink>),
}

impl Lane {
    pub(crate) fn new(reader: DumpReader, sink: TaskSink, seen: Option<SeenFlows>) -> Self {
        Self {
            reader: Some(Box::new(reader)),
            read_to_end: false,
            next_read: 0,
            chunks: VecDeque::new(),
            in_flight: 0,
            seen: seen.map(Box::new),
            undecided: BTreeMap::new(),
            next_decided: 0,
            decided: VecDeque::new(),
            processed: BTreeMap::new(),
            next_taken: 0,
            sink: Some(Box::new(sink)),
            row_groups: VecDeque::new(),
            unstored: 0,
            given_out_bytes: 0,
            waiting_bytes: 0,
            encoded: Vec::new(),
            drained: false,
            finished: false,
        }
    }

    /// Puts the sink back, with the row groups it gave out.
    pub(crate) fn give_out(&mut self, groups: Vec<RowGroup>, sink: Box<TaskSink>) {
        self.unstored += groups.len();
        self.given_out_bytes += groups.iter().map(RowGroup::memory_bytes).sum::<usize>();
        self.row_groups.extend(groups);
        self.waiting_bytes = sink.memory_bytes();
        self.sink = Some(sink);
    }

    /// The most useful thing to do now: what frees memory first, then what keeps the serial stage busy.
    pub(crate) fn next_work(&mut self, room: Room, buffers: &mut Vec<Vec<u8>>) -> Option<Work> {
        if !self.encoded.is_empty()
            && let Some(sink) = self.sink.take()
        {
            return Some(Work::Store(sink, std::mem::take(&mut self.encoded)));
        }
        // Rather than moving rows to disk, wait for those that are being encoded.
        let room_bytes = room.row_bytes.saturating_sub(self.given_out_bytes);
        if (self.given_out_bytes == 0 || self.waiting_bytes < room_bytes)
            && self.processed.contains_key(&self.next_taken)
            && let Some(sink) = self.sink.take()
        {
            let processed = self.processed.remove(&self.next_taken);
            self.next_taken += 1;
            self.in_flight -= 1;
            return processed.map(|processed| Work::Take(sink, processed, room_bytes));
        }
        if self.undecided.contains_key(&self.next_decided)
            && let Some(seen) = self.seen.take()
        {
            let undecided = self.undecided.remove(&self.next_decided);
            let number = self.next_decided;
            self.next_decided += 1;
            return undecided.map(|undecided| Work::Decide(seen, number, undecided));
        }
        let read_urgent = self.chunks.len() < READ_AHEAD;
        if read_urgent && let Some(work) = self.read(room, buffers) {
            return Some(work);
        }
        if let Some(group) = self.row_groups.pop_front() {
            return Some(Work::Encode(group));
        }
        if let Some((number, decided)) = self.decided.pop_front() {
            return Some(Work::Derive(number, decided));
        }
        if let Some((number, chunk)) = self.chunks.pop_front() {
            return Some(Work::Process(number, chunk));
        }
        if let Some(work) = self.read(room, buffers) {
            return Some(work);
        }
        if self.read_to_end && self.in_flight == 0 && !self.finished {
            if !self.drained
                && (self.given_out_bytes == 0 || room_bytes > 0 && self.waiting_bytes <= room_bytes)
            {
                return self.sink.take().map(|sink| Work::Drain(sink, room_bytes));
            }
            if self.drained && self.unstored == 0 {
                let sink = self.sink.take()?;
                self.finished = true;
                return Some(Work::Finish(sink));
            }
        }
        None
    }

    fn read(&mut self, room: Room, buffers: &mut Vec<Vec<u8>>) -> Option<Work> {
        if self.read_to_end || self.in_flight >= OWN_CHUNKS && room.chunks == 0 {
            return None;
        }
        let reader = self.reader.take()?;
        Some(Work::Read(reader, buffers.pop().unwrap_or_default()))
    }
}
