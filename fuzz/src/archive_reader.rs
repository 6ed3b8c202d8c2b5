//! The reader of archives, with readers of whole files as oracle.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use flowlake_ingest::{Dump, DumpFormat, DumpReader, IngestError, Limits};
use flowlake_store::{Entry, EntryKind, LakeStore};
use fs_err as fs;

/// What a dump may hold here, so that a bomb is one.
const MAX_BYTES: u64 = 1 << 20;

/// Whatever the bytes, reading ends: with the JSON that other readers of the format find there, or with an error that names the
/// dump; and the size of the chunks and where the file is split make no difference. The first byte tells the format and the
/// second where the file is split.
///
/// # Panics
/// When it is otherwise.
pub fn check(data: &[u8]) {
    let [format, split, data @ ..] = data else { return };
    let format = [DumpFormat::TarGz, DumpFormat::Json, DumpFormat::JsonGz, DumpFormat::JsonZst]
        [usize::from(format % 4)];
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let at = data.len() * usize::from(*split) / 256;
    let whole = read(directory.path(), format, &[data], 1 << 20);
    assert_same(&whole, &read(directory.path(), format, &[data], 1000));
    assert_same(&whole, &read(directory.path(), format, &[&data[..at], &data[at..]], 1 << 20));
    if let (Ok(found), Some(expected)) = (&whole, elsewhere(format, data)) {
        assert!(*found == expected, "{format:?}: {} bytes, elsewhere {}", found.len(), expected.len());
    }
}

fn assert_same(one: &Result<Vec<u8>, String>, other: &Result<Vec<u8>, String>) {
    match (one, other) {
        (Ok(one), Ok(other)) => assert!(one == other, "{} bytes, and {}", one.len(), other.len()),
        // They name the part and the offset in it, which differ.
        (Err(one), Err(other)) => assert!(one.contains("fuzz") && other.contains("fuzz"), "{one}; {other}"),
        (one, other) => panic!("{:?} and {:?}", one.as_ref().map(Vec::len), other.as_ref().map(Vec::len)),
    }
}

fn read(
    directory: &std::path::Path,
    format: DumpFormat,
    parts: &[&[u8]],
    chunk_bytes: usize,
) -> Result<Vec<u8>, String> {
    let entries = parts.iter().enumerate().map(|(number, bytes)| {
        let path = format!("fuzz.{number}");
        fs::write(directory.join(&path), bytes).expect("it can be written");
        Entry { path, kind: EntryKind::File, bytes: bytes.len() as u64, version: None }
    });
    let dump = Dump {
        name: "fuzz".to_owned(),
        format,
        parts: entries.collect(),
        input: LakeStore::Directory(directory.to_owned()),
    };
    let limits = Limits {
        max_decompressed_bytes: MAX_BYTES,
        max_line_bytes: MAX_BYTES,
        max_archive_entries: 50,
        ..Limits::default()
    };
    let read_all = || -> Result<Vec<u8>, IngestError> {
        let mut reader = DumpReader::with_chunk_bytes(&dump, &limits, chunk_bytes)?;
        let mut bytes = Vec::new();
        let mut lines = 0;
        while let Some(chunk) = reader.next_chunk(Vec::new())? {
            assert_eq!((chunk.offset, chunk.first_line), (bytes.len() as u64, lines + 1));
            assert_eq!(chunk.bytes().last(), Some(&b'\n'), "a chunk ends with a line");
            lines += chunk.bytes().iter().filter(|&&byte| byte == b'\n').count() as u64;
            bytes.extend_from_slice(chunk.bytes());
        }
        Ok(bytes)
    };
    read_all().map_err(|error| error.to_string())
}

/// The same JSON as others read it; `None` where they refuse or are of another mind about what is legal.
fn elsewhere(format: DumpFormat, data: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    match format {
        DumpFormat::Json => bytes.extend_from_slice(data),
        DumpFormat::JsonGz => {
            MultiGzDecoder::new(data).read_to_end(&mut bytes).ok()?;
        }
        DumpFormat::JsonZst => bytes = zstd::stream::decode_all(data).ok()?,
        DumpFormat::TarGz => {
            let mut archive = Vec::new();
            MultiGzDecoder::new(data).read_to_end(&mut archive).ok()?;
            let mut archive = tar::Archive::new(&archive[..]);
            // Further archives behind the end mark are read as well.
            archive.set_ignore_zeros(true);
            for entry in archive.entries().ok()? {
                let mut entry = entry.ok()?;
                let name = entry.path_bytes().into_owned();
                let file = name.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
                if !entry.header().entry_type().is_file()
                    || !file.ends_with(b".json")
                    || file.starts_with(b".")
                {
                    continue;
                }
                if !bytes.is_empty() && !bytes.ends_with(b"\n") && entry.size() > 0 {
                    bytes.push(b'\n');
                }
                entry.read_to_end(&mut bytes).ok()?;
            }
        }
    }
    if bytes.last().is_some_and(|&byte| byte != b'\n') {
        bytes.push(b'\n');
    }
    Some(bytes)
}
