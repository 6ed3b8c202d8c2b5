//! The JSON inside a dump, as one stream: decompression and tar, without unpacking anything to disk.
//!
//! Paths inside an archive are never used as paths. Entries other than regular `.json` files are passed over; sizes and
//! counts are checked, because a tar cut off inside an entry would otherwise look like a shorter file.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use tar::{EntryType, Header, PaxExtensions};

use crate::discover::DumpFormat;
use crate::parts::JoinedParts;

/// Compressed bytes fetched from a file at a time.
const READ_BYTES: usize = 256 << 10;
const TAR_BLOCK: usize = 512;
/// Longest PAX header taken: real ones are a few hundred bytes.
const MAX_PAX_BYTES: u64 = 1 << 20;

/// The decompressed stream of a dump.
pub(crate) enum Decompressed {
    Plain(JoinedParts),
    Gzip(Box<MultiGzDecoder<BufReader<JoinedParts>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<JoinedParts>>>),
}

impl Decompressed {
    fn open(parts: JoinedParts, format: DumpFormat) -> io::Result<Self> {
        Ok(match format {
            DumpFormat::Json => Self::Plain(parts),
            DumpFormat::TarGz | DumpFormat::JsonGz => Self::Gzip(Box::new(MultiGzDecoder::new(
                BufReader::with_capacity(READ_BYTES, parts),
            ))),
            DumpFormat::JsonZst => {
                let buffered = BufReader::with_capacity(READ_BYTES, parts);
                Self::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(buffered)?))
            }
        })
    }

    fn parts(&self) -> &JoinedParts {
        match self {
            Self::Plain(parts) => parts,
            Self::Gzip(decoder) => decoder.get_ref().get_ref(),
            Self::Zstd(decoder) => decoder.get_ref().get_ref(),
        }
    }

    /// What is being decompressed, for error messages.
    fn what(&self) -> &'static str {
        match self {
            Self::Plain(_) => "file",
            Self::Gzip(_) => "gzip stream",
            Self::Zstd(_) => "zstd stream",
        }
    }
}

impl Read for Decompressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(parts) => parts.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// Why a dump's JSON cannot be read on.
#[derive(Debug)]
pub(crate) enum ArchiveError {
    /// The file system failed.
    Io(io::Error),
    /// The data ends inside `what`.
    Truncated { what: &'static str },
    /// `what` is damaged.
    Corrupt { what: &'static str, source: io::Error },
    /// The archive has more entries than allowed.
    TooManyEntries,
    /// The archive holds no JSON file.
    NoJson,
}

/// The JSON of a dump: the decompressed stream itself, or the `.json` entries of the tar inside it, joined.
pub(crate) struct JsonStream {
    inner: Decompressed,
    tar: Option<TarState>,
}

struct TarState {
    /// Bytes left of the JSON entry being read.
    remaining: u64,
    /// Padding behind it.
    padding: u64,
    entries: u64,
    max_entries: u64,
    json_entries: u64,
    ended: bool,
}

impl JsonStream {
    pub(crate) fn open(
        parts: JoinedParts,
        format: DumpFormat,
        max_entries: u64,
    ) -> Result<Self, ArchiveError> {
        let inner = Decompressed::open(parts, format).map_err(ArchiveError::Io)?;
        let tar = (format == DumpFormat::TarGz).then_some(TarState {
            remaining: 0,
            padding: 0,
            entries: 0,
            max_entries,
            json_entries: 0,
            ended: false,
        });
        Ok(Self { inner, tar })
    }

    pub(crate) fn parts(&self) -> &JoinedParts {
        self.inner.parts()
    }

    /// Reads some bytes of JSON; 0 means that the dump is complete and everything behind it was checked.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let Self { inner, tar } = self;
        let Some(state) = tar else {
            return read_some(inner, buffer);
        };
        loop {
            if state.ended {
                return Ok(0);
            }
            if state.remaining > 0 {
                let wanted = buffer
                    .len()
                    .min(usize::try_from(state.remaining).unwrap_or(usize::MAX));
                let n = read_some(inner, &mut buffer[..wanted])?;
                if n == 0 {
                    return Err(ArchiveError::Truncated { what: "tar entry" });
                }
                state.remaining -= n as u64;
                return Ok(n);
            }
            skip(inner, std::mem::take(&mut state.padding))?;
            state.next_json_entry(inner)?;
        }
    }
}

impl TarState {
    /// Goes to the next `.json` file, or to the end of the archive.
    fn next_json_entry(&mut self, inner: &mut Decompressed) -> Result<(), ArchiveError> {
        let mut pax_size = None;
        loop {
            let mut header = Header::new_old();
            let filled = fill(inner, header.as_mut_bytes())?;
            if filled == 0 || header.as_bytes().iter().all(|&byte| byte == 0) {
                // The end mark, or an archive written without one. Reading on lets gzip check its own trailer.
                let mut rest = [0; 8192];
                while read_some(inner, &mut rest)? > 0 {}
                self.ended = true;
                return if self.json_entries == 0 {
                    Err(ArchiveError::NoJson)
                } else {
                    Ok(())
                };
            }
            if filled < TAR_BLOCK {
                return Err(ArchiveError::Truncated { what: "tar header" });
            }
            check_sum(&header)?;
            self.entries += 1;
            if self.entries > self.max_entries {
                return Err(ArchiveError::TooManyEntries);
            }
            let corrupt = |source| ArchiveError::Corrupt {
                what: "tar header",
                source,
            };
            let kind = header.entry_type();
            let size = match (kind.is_file(), pax_size.take()) {
                (true, Some(size)) => size,
                _ => header.entry_size().map_err(corrupt)?,
            };
            let padding = size.next_multiple_of(TAR_BLOCK as u64) - size;
            match kind {
                EntryType::XHeader => {
                    if size > MAX_PAX_BYTES {
                        return Err(corrupt(io::Error::other("PAX header of over 1 MiB")));
                    }
                    let mut records = vec![0; usize::try_from(size).unwrap_or_default()];
                    if fill(inner, &mut records)? < records.len() {
                        return Err(ArchiveError::Truncated { what: "tar header" });
                    }
                    for record in PaxExtensions::new(&records) {
                        let record = record.map_err(corrupt)?;
                        if record.key_bytes() == b"size" {
                            let size = record.value().ok().and_then(|text| text.parse().ok());
                            pax_size =
                                Some(size.ok_or_else(|| corrupt(io::Error::other("PAX size is no number")))?);
                        }
                    }
                    skip(inner, padding)?;
                }
                EntryType::GNUSparse => {
                    return Err(corrupt(io::Error::other("sparse files are not supported")));
                }
                _ if kind.is_file() && is_json(&header.path_bytes()) => {
                    self.json_entries += 1;
                    self.remaining = size;
                    self.padding = padding;
                    return Ok(());
                }
                // Directories, links, devices, long names, other files: nothing of ours.
                _ => skip(inner, size.saturating_add(padding))?,
            }
        }
    }
}

/// Whether an entry's path ends in a `.json` file name that is not a macOS `._` companion.
fn is_json(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    // A name longer than the header's 100 bytes is cut there; its `.json` is in a long-name entry before it.
    let named_json = name.ends_with(b".json") || path.len() >= 100;
    named_json && !name.starts_with(b"._")
}

fn check_sum(header: &Header) -> Result<(), ArchiveError> {
    let bytes = header.as_bytes();
    let sum: u32 = bytes[..148]
        .iter()
        .chain(&bytes[156..])
        .map(|&byte| u32::from(byte))
        .sum::<u32>()
        + 8 * 32;
    match header.cksum() {
        Ok(expected) if expected == sum => Ok(()),
        Ok(_) => Err(ArchiveError::Corrupt {
            what: "tar header",
            source: io::Error::other("its checksum does not match"),
        }),
        Err(source) => Err(ArchiveError::Corrupt {
            what: "tar header",
            source,
        }),
    }
}

fn skip(inner: &mut Decompressed, mut bytes: u64) -> Result<(), ArchiveError> {
    let mut buffer = [0; 8192];
    while bytes > 0 {
        let wanted = buffer.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
        let n = read_some(inner, &mut buffer[..wanted])?;
        if n == 0 {
            return Err(ArchiveError::Truncated { what: "tar entry" });
        }
        bytes -= n as u64;
    }
    Ok(())
}

/// Fills the buffer as far as the stream goes.
fn fill(inner: &mut Decompressed, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read_some(inner, &mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

fn read_some(inner: &mut Decompressed, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
    loop {
        match inner.read(buffer) {
            Ok(n) => return Ok(n),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => {
                let what = inner.what();
                return Err(match source.kind() {
                    io::ErrorKind::UnexpectedEof => ArchiveError::Truncated { what },
                    // flate2 and zstd report damage as one of these; anything else came from the file system.
                    io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other
                        if source.raw_os_error().is_none() =>
                    {
                        ArchiveError::Corrupt { what, source }
                    }
                    _ => ArchiveError::Io(source),
                });
            }
        }
    }
}
