//! Which flows of a dump were met before, whatever its size, in bounded memory.
//!
//! The fingerprints met last are in a table. When it is full, the half of them that started earliest goes to a temporary
//! file as a sorted run, of which only the first fingerprint of each page stays in memory. Equal flows start at the same
//! time and dumps are nearly in order of time, so the table has nearly every answer, and a run is looked into, one page at
//! a time, only for flows that started in its range of times.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::duplicates::Fingerprint;
use crate::error::SeenError;

/// Fingerprints in memory: as many as a table of 2¹⁸ slots holds, 8 MiB.
const IN_MEMORY: usize = (1 << 18) / 8 * 7;
/// Fingerprints read at a time: 6 KiB.
const PAGE: usize = 256;

/// The fingerprints of a dump's flows so far.
#[derive(Debug)]
pub struct SeenFlows {
    directory: PathBuf,
    in_memory: usize,
    recent: HashSet<Fingerprint, BuildHasherDefault<Unmixed>>,
    /// The file of the runs, once there is one. It has no name: nothing of it is left however the process ends.
    file: Option<File>,
    runs: Vec<Run>,
}

/// Sorted fingerprints on disk.
#[derive(Debug)]
struct Run {
    /// Offset of its first byte.
    offset: u64,
    len: usize,
    /// The first fingerprint of each page.
    pages: Vec<Fingerprint>,
    last: Fingerprint,
}

impl SeenFlows {
    /// Nothing seen yet; what does not fit into memory will wait in this directory.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self::with_memory(directory, IN_MEMORY)
    }

    fn with_memory(directory: &Path, in_memory: usize) -> Self {
        Self {
            directory: directory.to_owned(),
            in_memory,
            recent: HashSet::default(),
            file: None,
            runs: Vec::new(),
        }
    }

    /// Tells of each flow, in order, whether it is the first of its kind, and remembers it.
    ///
    /// # Errors
    /// When the temporary file cannot be written or read.
    pub fn take(&mut self, flows: &[Fingerprint]) -> Result<Vec<bool>, SeenError> {
        let first = flows.iter().map(|flow| self.is_first(*flow)).collect::<io::Result<_>>();
        first.map_err(|source| SeenError { directory: self.directory.clone(), source })
    }

    fn is_first(&mut self, flow: Fingerprint) -> io::Result<bool> {
        if self.recent.contains(&flow) || self.is_on_disk(flow)? {
            return Ok(false);
        }
        if self.recent.len() >= self.in_memory {
            self.spill()?;
        }
        self.recent.insert(flow);
        Ok(true)
    }

    fn is_on_disk(&self, flow: Fingerprint) -> io::Result<bool> {
        let Some(mut file) = self.file.as_ref() else { return Ok(false) };
        let mut page = [0; PAGE * Fingerprint::BYTES];
        for run in &self.runs {
            let following = run.pages.partition_point(|first| *first <= flow);
            if following == 0 || flow > run.last {
                continue;
            }
            let begin = (following - 1) * PAGE;
            let bytes = (run.len - begin).min(PAGE) * Fingerprint::BYTES;
            file.seek(SeekFrom::Start(run.offset + (begin * Fingerprint::BYTES) as u64))?;
            file.read_exact(&mut page[..bytes])?;
            let mut found = page[..bytes].chunks_exact(Fingerprint::BYTES).map(Fingerprint::from_bytes);
            if found.any(|known| known == flow) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Moves the half that started earliest to disk.
    fn spill(&mut self) -> io::Result<()> {
        let mut sorted: Vec<Fingerprint> = self.recent.drain().collect();
        sorted.sort_unstable();
        let moved = sorted.len().div_ceil(2);
        self.recent.extend(&sorted[moved..]);
        sorted.truncate(moved);
        let mut file = match &self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile_in(&self.directory)?),
        };
        let offset = file.seek(SeekFrom::End(0))?;
        let mut buffered = BufWriter::new(file);
        for flow in &sorted {
            buffered.write_all(&flow.to_bytes())?;
        }
        buffered.flush()?;
        if let Some(last) = sorted.last() {
            let pages = sorted.iter().step_by(PAGE).copied().collect();
            self.runs.push(Run { offset, len: sorted.len(), pages, last: *last });
        }
        Ok(())
    }
}

/// Takes the 64 bits it is given for the hash: those of a fingerprint are mixed.
#[derive(Debug, Default)]
struct Unmixed(u64);

impl Hasher for Unmixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A flow that started at this time, told from others by a number.
    fn flow(start: i64, number: u64) -> Fingerprint {
        let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut bytes = [0; Fingerprint::BYTES];
        bytes[..8].copy_from_slice(&start.to_le_bytes());
        bytes[8..16].copy_from_slice(&mixed.to_le_bytes());
        bytes[16..].copy_from_slice(&number.to_le_bytes());
        Fingerprint::from_bytes(&bytes)
    }

    #[test]
    fn every_duplicate_is_found_wherever_the_first_one_waits() {
        let directory = tempfile::tempdir().expect("a directory");
        // In order of time, against it, and all at once.
        for start in [|i: u64| i as i64, |i: u64| -(i as i64), |_: u64| 0, |i: u64| (i * 7919 % 1000) as i64]
        {
            let flows: Vec<Fingerprint> = (0..5000).map(|i| flow(start(i), i)).collect();
            let mut seen = SeenFlows::with_memory(directory.path(), 700);
            for part in flows.chunks(333) {
                assert!(seen.take(part).expect("it is kept").into_iter().all(|first| first));
                // The same again at once, and one of the very first.
                assert!(
                    seen.take(&part[300.min(part.len() - 1)..])
                        .expect("found")
                        .into_iter()
                        .all(|first| !first)
                );
                assert_eq!(seen.take(&flows[..1]).expect("it is found"), [false]);
            }
            assert!(seen.runs.len() > 5, "{} runs", seen.runs.len());
            assert!(seen.recent.len() <= 700);
            assert!(seen.take(&flows).expect("it is found").into_iter().all(|first| !first));
        }
    }

    #[test]
    fn a_flow_twice_in_one_batch_is_first_once() {
        let mut seen = SeenFlows::new(Path::new("."));
        let flows = [flow(1, 1), flow(1, 2), flow(1, 1), flow(2, 1)];
        assert_eq!(seen.take(&flows).expect("in memory"), [true, true, false, true]);
    }
}
