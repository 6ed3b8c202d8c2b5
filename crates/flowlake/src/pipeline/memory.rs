//! How the memory of a build is shared out.
//!
//! A build holds chunks of dumps on their way through the stages, which threads need whatever the input, and rows that
//! wait until there are enough for a row group. The former grows with the number of threads, the latter would grow with
//! the number of months a dump has open; it gets what the limit leaves, and what does not fit waits on disk.

use bytesize::ByteSize;

use crate::exit::{Exit, Failure};

const MIB: u64 = 1 << 20;
/// Program, libraries, manifests, and what the allocator keeps back.
const BASE_BYTES: u64 = 48 * MIB;
/// Chunks in work, and the columns, dictionaries and pages of a row group being encoded, by thread.
const THREAD_BYTES: u64 = 48 * MIB;
/// What tells duplicates, by thread, for there are as many open dumps: the fingerprints met last, and raw rows of chunks
/// that wait for the answer.
const DUPLICATES_BYTES: u64 = 16 * MIB;
/// Rows that wait, by thread: one row group and a little more. Less would be slower, more is of little use.
const ROW_BYTES: u64 = 16 * MIB;
/// As little as can be asked for.
const LEAST_ROW_BYTES: u64 = 8 * MIB;

/// What each part of a build may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryPlan {
    /// Chunks on their way through the stages.
    pub(crate) chunks: usize,
    /// Rows that wait for their row group or to be encoded, in bytes.
    pub(crate) row_bytes: usize,
}

impl MemoryPlan {
    /// Shares a limit out, or what is usual for this number of threads and for recipes that remove duplicates or do not.
    pub(crate) fn new(limit: Option<ByteSize>, jobs: usize, duplicates: bool) -> Result<Self, Failure> {
        let thread_bytes = THREAD_BYTES + if duplicates { DUPLICATES_BYTES } else { 0 };
        let jobs_bytes = jobs as u64 * thread_bytes;
        let usual = BASE_BYTES + jobs_bytes + jobs as u64 * ROW_BYTES;
        let limit = limit.map_or(usual, |limit| limit.as_u64());
        let least = BASE_BYTES + jobs_bytes + jobs as u64 * LEAST_ROW_BYTES;
        if limit < least {
            let message = format!(
                "a memory limit of {} is too little for {jobs} threads, which need {}",
                ByteSize::b(limit),
                ByteSize::b(least.next_multiple_of(MIB)),
            );
            return Err(Failure::message(Exit::Usage, message).hint("raise --memory-limit, or lower --jobs"));
        }
        let row_bytes = limit - BASE_BYTES - jobs_bytes;
        Ok(Self { chunks: jobs + 1, row_bytes: usize::try_from(row_bytes).unwrap_or(usize::MAX) })
    }
}
