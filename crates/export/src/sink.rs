//! Where text goes: a file, with or without compression. The same text gives the same bytes on every machine and day.

use std::io::{self, Write};

use flate2::GzBuilder;
use flate2::write::GzEncoder;
use fs_err as fs;

use crate::format::Compression;

/// Text of addresses and numbers: higher levels take several times as long for a few percent.
const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// "Unknown": the default is the system this was compiled on.
const GZIP_OPERATING_SYSTEM: u8 = 255;

/// A file being written.
pub(crate) enum Sink {
    Plain(fs::File),
    Gzip(GzEncoder<fs::File>),
    Zstd(zstd::Encoder<'static, fs::File>),
}

impl Sink {
    pub(crate) fn new(file: fs::File, compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(file),
            Compression::Gzip => {
                let header = GzBuilder::new().mtime(0).operating_system(GZIP_OPERATING_SYSTEM);
                Self::Gzip(header.write(file, flate2::Compression::new(GZIP_LEVEL)))
            }
            Compression::Zstd => {
                let mut encoder = zstd::Encoder::new(file, ZSTD_LEVEL)?;
                // gzip has one always: a damaged copy is noticed by whoever unpacks it.
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Ends the file; its size in bytes.
    pub(crate) fn finish(self) -> io::Result<u64> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        Ok(file.metadata()?.len())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}
