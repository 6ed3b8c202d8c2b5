//! One device's dump: flows and trailer as JSON lines, in a tar archive, in gzip, in one file or several parts.
//!
//! The header of a tar entry states its size before the first byte, and a dump may be larger than memory. So the
//! device is played twice from the same seed: once to measure, once to write. Both are the same code with another
//! sink.

use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use fs_err as fs;
use tar::{EntryType, Header};

use crate::clock::CAPTURE_END;
use crate::device::Device;
use crate::line::{Lines, Totals};

/// Lines are handed on in blocks of about this size.
const BLOCK: usize = 128 * 1024;
/// The alignment of a tar archive.
const TAR_BLOCK: u64 = 512;

/// What was written for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpWritten {
    /// The stem of the archive.
    pub archive: String,
    /// The device's name.
    pub device: String,
    /// `flows` lines.
    pub records: u64,
    /// Flows whose source is the device.
    pub device_initiated: u64,
    /// Packets of both directions, as the trailer says.
    pub packets: u64,
    /// Bytes of JSON, before compression.
    pub json_bytes: u64,
    /// Bytes of all parts together.
    pub archive_bytes: u64,
    /// File names of the parts, in order.
    pub parts: Vec<String>,
}

/// The file names a dump is written to.
pub(crate) fn part_names(archive: &str, parts: u32) -> Vec<String> {
    match parts {
        1 => vec![format!("{archive}.tar.gz")],
        _ => (0..parts).map(|part| format!("{archive}.tar.gz{part:02}")).collect(),
    }
}

/// Writes the dump of `archive` into `directory`; `replay` makes the device anew for each pass.
pub(crate) fn write<'p, E: From<io::Error>>(
    archive: &str,
    name: &str,
    parts: u32,
    directory: &Path,
    replay: impl Fn() -> Result<Device<'p>, E>,
) -> Result<DumpWritten, E> {
    let mut measured = Measure(0);
    play(replay()?, &mut measured)?;
    let json_bytes = measured.0;

    let parts = part_names(archive, parts);
    let whole = match parts.as_slice() {
        [only] => directory.join(only),
        _ => directory.join(unsplit_name(archive)),
    };
    let file = fs::OpenOptions::new().write(true).create_new(true).open(&whole)?;
    // No file name and no time in the gzip header; "unknown" instead of this operating system.
    let mut gzip = GzBuilder::new().mtime(0).operating_system(255).write(file, Compression::new(6));
    gzip.write_all(header(archive, json_bytes)?.as_bytes())?;
    let totals = play(replay()?, &mut gzip)?;
    // Pad the entry, then end the archive with two empty blocks.
    let padding = json_bytes.next_multiple_of(TAR_BLOCK) - json_bytes + 2 * TAR_BLOCK;
    gzip.write_all(&vec![0; padding as usize])?;
    gzip.finish()?;
    let archive_bytes = fs::metadata(&whole)?.len();
    if parts.len() > 1 {
        split(&whole, archive_bytes, parts.iter().map(|part| directory.join(part)).collect())?;
    }
    Ok(DumpWritten {
        archive: archive.to_owned(),
        device: name.to_owned(),
        records: totals.flows,
        device_initiated: totals.device_initiated,
        packets: totals.packets,
        json_bytes,
        archive_bytes,
        parts,
    })
}

/// Where a dump lies until it is split.
pub(crate) fn unsplit_name(archive: &str) -> String {
    format!("{archive}.unsplit")
}

/// Lets the device talk itself out, into `sink`.
fn play(mut device: Device<'_>, sink: &mut impl Write) -> io::Result<Totals> {
    let (mut lines, mut totals) = (Lines::default(), Totals::default());
    while let Some(flow) = device.next() {
        totals.add(&flow);
        lines.flow(&flow);
        if lines.as_bytes().len() >= BLOCK {
            sink.write_all(lines.as_bytes())?;
            lines.clear();
        }
    }
    lines.trailer(totals, CAPTURE_END / 1_000);
    sink.write_all(lines.as_bytes())?;
    Ok(totals)
}

/// Counts bytes.
struct Measure(u64);

impl Write for Measure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The header of the one entry: nothing in it depends on when, where or by whom it was written.
fn header(archive: &str, size: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(format!("{archive}.json"))?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime((CAPTURE_END / 1_000) as u64);
    header.set_cksum();
    Ok(header)
}

/// Cuts a file into parts of equal size, the last one taking what is left, and removes it.
fn split(whole: &Path, size: u64, parts: Vec<PathBuf>) -> io::Result<()> {
    let part_size = size.div_ceil(parts.len() as u64);
    let mut rest = fs::File::open(whole)?;
    for part in parts {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(part)?;
        io::copy(&mut (&mut rest).take(part_size), &mut file)?;
    }
    drop(rest);
    fs::remove_file(whole)
}
