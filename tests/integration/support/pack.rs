//! Packing: the forms in which dumps lie about, and what breaks in them.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A gzip file of one member.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A gzip file of several members, cut without regard to lines.
pub(crate) fn gzip_members(bytes: &[u8], members: usize) -> Vec<u8> {
    pieces(bytes, members).into_iter().flat_map(gzip).collect()
}

/// A zstd file of one frame, with a checksum.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("an encoder");
    encoder.include_checksum(true).expect("an option");
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// A tar archive of regular files, by name.
pub(crate) fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).expect("memory takes it");
    }
    builder.into_inner().expect("memory takes it")
}

/// What is published: `<stem>.tar.gz` with one `<stem>.json`.
pub(crate) fn tar_gz(stem: &str, bytes: &[u8]) -> Vec<u8> {
    gzip(&tar(&[(&format!("{stem}.json"), bytes)]))
}

/// Pieces as `split` makes them: of one size, but for the last.
pub(crate) fn pieces(bytes: &[u8], count: usize) -> Vec<&[u8]> {
    let pieces: Vec<&[u8]> = bytes.chunks(bytes.len().div_ceil(count)).collect();
    assert_eq!(pieces.len(), count, "too few bytes for {count} pieces");
    pieces
}
