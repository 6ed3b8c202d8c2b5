//! Chunks: the serial stage of reading a dump.
//!
//! A chunk is a run of whole lines with the position of its first one, so that chunks can be decoded on any core and in
//! any order and still name lines and offsets. Everything that needs the bytes in order happens here: joining parts,
//! hashing, decompression, tar, counting lines, the limits.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::archive::{ArchiveError, JsonStream};
use crate::catalogue::Limits;
use crate::discover::Dump;
use crate::error::IngestError;
use crate::parts::{JoinedParts, PartDigest, Position};

/// Default size of a chunk in bytes: enough rows that the cost of a Polars plan a chunk vanishes.
const CHUNK_BYTES: usize = 8 << 20;
/// Decompressed at a time: small enough that counting lines finds the bytes still in the cache.
const STEP_BYTES: usize = 128 << 10;
/// Zeros behind a chunk, so that the decoder can load whole words near its end.
pub(crate) const PADDING_BYTES: usize = 64;

/// Whole lines of a dump.
#[derive(Debug)]
pub struct Chunk {
    buffer: Vec<u8>,
    len: usize,
    /// Number of the first line, from 1.
    pub first_line: u64,
    /// Offset in bytes of the first line in the decompressed dump.
    pub offset: u64,
}

impl Chunk {
    /// The lines. The last one ends with a line feed too.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.len]
    }

    /// The lines with at least [`PADDING_BYTES`] more bytes of no meaning.
    pub(crate) fn padded(&self) -> &[u8] {
        &self.buffer[..self.len + PADDING_BYTES]
    }

    /// A chunk of its own, for tests and fuzzing: the bytes are one whole dump.
    #[must_use]
    pub fn whole(bytes: &[u8]) -> Self {
        let mut buffer = bytes.to_vec();
        if buffer.last().is_some_and(|&byte| byte != b'\n') {
            buffer.push(b'\n');
        }
        let len = buffer.len();
        buffer.resize(len + PADDING_BYTES, 0);
        Self { buffer, len, first_line: 1, offset: 0 }
    }

    /// Takes the memory back, for [`DumpReader::next_chunk`] to use again.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

/// Reads a dump chunk by chunk. Memory is bounded by the chunks handed out and one line.
pub struct DumpReader {
    dump: Dump,
    limits: Limits,
    stream: JsonStream,
    position: Arc<Position>,
    chunk_bytes: usize,
    /// Start of a line whose end is not read yet.
    carry: Vec<u8>,
    /// Bytes handed out so far.
    offset: u64,
    /// Lines handed out so far.
    lines: u64,
    ended: bool,
}

impl DumpReader {
    /// Opens a dump.
    ///
    /// # Errors
    /// [`IngestError`] when its first part cannot be opened.
    pub fn open(dump: &Dump, limits: &Limits) -> Result<Self, IngestError> {
        Self::with_chunk_bytes(dump, limits, CHUNK_BYTES)
    }

    /// As [`DumpReader::open`], with chunks of about this many bytes.
    ///
    /// # Errors
    /// As [`DumpReader::open`].
    pub fn with_chunk_bytes(dump: &Dump, limits: &Limits, chunk_bytes: usize) -> Result<Self, IngestError> {
        let parts = JoinedParts::new(dump);
        let position = parts.position();
        let stream = JsonStream::open(parts, dump.format, limits)
            .map_err(|error| describe(error, dump, limits, &position))?;
        Ok(Self {
            dump: dump.clone(),
            limits: limits.clone(),
            stream,
            position,
            chunk_bytes,
            carry: Vec::new(),
            offset: 0,
            lines: 0,
            ended: false,
        })
    }

    /// Ends reading with [`IngestError::Interrupted`] soon after the flag is set, wherever it is then.
    #[must_use]
    pub fn interrupted_by(mut self, flag: &'static AtomicBool) -> Self {
        self.stream.interrupted_by(flag);
        self
    }

    /// Compressed bytes read so far.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.position.total()
    }

    /// Decompressed bytes handed out so far.
    #[must_use]
    pub fn bytes_decompressed(&self) -> u64 {
        self.offset
    }

    /// Digests of all parts; complete once [`DumpReader::next_chunk`] has returned `None`.
    #[must_use]
    pub fn digests(&self) -> &[PartDigest] {
        self.stream.parts().digests()
    }

    /// The next lines, or `None` when the dump was read to its end. `buffer` is memory to use again.
    ///
    /// # Errors
    /// [`IngestError`] when the dump is damaged, ends too early or passes a limit. Nothing of it is to be used then.
    pub fn next_chunk(&mut self, mut buffer: Vec<u8>) -> Result<Option<Chunk>, IngestError> {
        if self.ended {
            return Ok(None);
        }
        let max_line = usize::try_from(self.limits.max_line_bytes).unwrap_or(usize::MAX);
        let capacity = self.chunk_bytes.max(self.carry.len() + 1);
        // Room for the step that passes the chunk's end, too: growing by one would copy all before it.
        grow(&mut buffer, capacity + STEP_BYTES);
        buffer[..self.carry.len()].copy_from_slice(&self.carry);
        let mut filled = self.carry.len();
        self.carry.clear();
        // Lines are counted as they come; `end` is behind the last line feed.
        let mut lines = 0;
        let mut end = 0;
        loop {
            if filled >= self.chunk_bytes && end > 0 {
                break;
            }
            if filled - end > max_line {
                let (line, offset) = (self.lines + lines + 1, self.offset + end as u64);
                return Err(IngestError::line_too_long(
                    &self.dump.name,
                    self.limits.max_line_bytes,
                    line,
                    offset,
                ));
            }
            grow(&mut buffer, filled + STEP_BYTES);
            let n = self.read_step(&mut buffer[filled..filled + STEP_BYTES])?;
            if n == 0 {
                self.ended = true;
                if filled > end {
                    // The last line has no line end: give it one, it is judged by its content.
                    buffer[filled] = b'\n';
                    filled += 1;
                    lines += 1;
                    end = filled;
                }
                break;
            }
            let step = &buffer[filled..filled + n];
            lines += memchr::memchr_iter(b'\n', step).count() as u64;
            if let Some(last) = memchr::memrchr(b'\n', step) {
                end = filled + last + 1;
            }
            filled += n;
        }
        if end == 0 {
            return Ok(None);
        }
        self.carry.extend_from_slice(&buffer[end..filled]);
        grow(&mut buffer, end);
        let chunk = Chunk { buffer, len: end, first_line: self.lines + 1, offset: self.offset };
        self.lines += lines;
        self.offset += end as u64;
        Ok(Some(chunk))
    }

    /// Fills the buffer unless the dump ends. How many bytes a single read gives depends on parts, gzip members and the file
    /// system; were a step of that size, the places where chunks are cut, and with them what is counted chunk by chunk,
    /// would depend on it too.
    fn read_step(&mut self, buffer: &mut [u8]) -> Result<usize, IngestError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.stream.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) => return Err(describe(error, &self.dump, &self.limits, &self.position)),
            }
        }
        Ok(filled)
    }
}

/// Makes room for `bytes` and the padding. Old content stays: clearing it would cost a pass over the memory.
fn grow(buffer: &mut Vec<u8>, bytes: usize) {
    if buffer.len() < bytes + PADDING_BYTES {
        buffer.resize(bytes + PADDING_BYTES, 0);
    }
}

fn describe(error: ArchiveError, dump: &Dump, limits: &Limits, position: &Position) -> IngestError {
    let (index, offset) = position.get();
    let part = dump.parts.get(index).map_or_else(String::new, |part| part.path.clone());
    let name = dump.name.clone();
    match error {
        ArchiveError::Io(source) => IngestError::from_read(source),
        ArchiveError::Truncated { what } => IngestError::Truncated { dump: name, what, part, offset },
        ArchiveError::Corrupt { what, source } => {
            IngestError::Corrupt { dump: name, what, part, offset, source }
        }
        ArchiveError::NoJson => IngestError::NoJson { dump: name },
        ArchiveError::Interrupted => IngestError::Interrupted,
        ArchiveError::TooLarge => IngestError::Limit {
            dump: name,
            what: "the decompressed size in bytes",
            limit: limits.max_decompressed_bytes,
            at: format!("part {part}, byte {offset}"),
            key: "max_decompressed_bytes",
        },
        ArchiveError::TooManyEntries => IngestError::Limit {
            dump: name,
            what: "the number of archive entries",
            limit: limits.max_archive_entries,
            at: format!("part {part}, byte {offset}"),
            key: "max_archive_entries",
        },
    }
}
