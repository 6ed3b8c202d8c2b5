//! The JSON inside a dump, as one stream: decompression and tar, without unpacking anything to disk.
//!
//! Paths inside an archive are never used as paths. Entries other than regular `.json` files are passed over; sizes and
//! counts are checked, because a tar cut off inside an entry would otherwise look like a shorter file.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::bufread::GzDecoder;
use tar::{EntryType, Header};

use crate::catalogue::Limits;
use crate::discover::DumpFormat;
use crate::parts::JoinedParts;

/// Compressed bytes fetched from a file at a time.
const READ_BYTES: usize = 256 << 10;
const TAR_BLOCK: usize = 512;
/// Longest PAX header or long name taken: real ones are a few hundred bytes.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;

type Buffered = BufReader<JoinedParts>;

/// The decompressed stream of a dump.
enum Codec {
    Plain(JoinedParts),
    Gzip(Gzip),
    Zstd(Box<zstd::stream::read::Decoder<'static, Buffered>>),
}

impl Codec {
    fn open(parts: JoinedParts, format: DumpFormat) -> io::Result<Self> {
        let buffered = |parts| BufReader::with_capacity(READ_BYTES, parts);
        Ok(match format {
            DumpFormat::Json => Self::Plain(parts),
            DumpFormat::TarGz | DumpFormat::JsonGz => Self::Gzip(Gzip::new(buffered(parts))),
            DumpFormat::JsonZst => {
                Self::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(buffered(parts))?))
            }
        })
    }

    fn parts(&self) -> &JoinedParts {
        match self {
            Self::Plain(parts) => parts,
            Self::Gzip(gzip) => gzip.parts(),
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

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(parts) => parts.read(buffer),
            Self::Gzip(gzip) => gzip.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

/// A gzip file: one member after the other, and then perhaps zeros, with which tapes and block devices pad files.
enum Gzip {
    Member(Box<GzDecoder<Buffered>>),
    Ended(Box<Buffered>),
    /// Only while one of the others becomes the next.
    Between,
}

impl Gzip {
    fn new(input: Buffered) -> Self {
        Self::Member(Box::new(GzDecoder::new(input)))
    }

    fn parts(&self) -> &JoinedParts {
        match self {
            Self::Member(decoder) => decoder.get_ref().get_ref(),
            Self::Ended(input) => input.get_ref(),
            Self::Between => unreachable!("left by every function that enters it"),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Self::Member(decoder) = self else { return Ok(0) };
            let n = decoder.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let Self::Member(decoder) = std::mem::replace(self, Self::Between) else {
                return Ok(0);
            };
            let mut input = decoder.into_inner();
            let next = next_member(&mut input);
            *self = if matches!(next, Ok(true)) { Self::new(input) } else { Self::Ended(Box::new(input)) };
            next?;
        }
    }
}

/// Whether another member follows; padding is passed over.
fn next_member(input: &mut Buffered) -> io::Result<bool> {
    let mut padded = false;
    loop {
        let available = input.fill_buf()?;
        let zeros = available.iter().take_while(|&&byte| byte == 0).count();
        if available.is_empty() {
            return Ok(false);
        }
        if zeros < available.len() {
            return if padded || zeros > 0 {
                Err(io::Error::new(io::ErrorKind::InvalidData, "there is data behind the zeros at its end"))
            } else {
                Ok(true)
            };
        }
        padded = true;
        input.consume(zeros);
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
    /// More was decompressed than allowed, whatever for.
    TooLarge,
    /// The archive holds no JSON file.
    NoJson,
    /// The caller asked to stop.
    Interrupted,
}

/// The decompressed bytes, counted and interruptible: everything that is read passes here.
struct Decompressed {
    codec: Codec,
    bytes: u64,
    max_bytes: u64,
    interrupted: Option<&'static AtomicBool>,
}

impl Decompressed {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        if self.interrupted.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(ArchiveError::Interrupted);
        }
        loop {
            match self.codec.read(buffer) {
                Ok(n) => {
                    self.bytes += n as u64;
                    return if self.bytes > self.max_bytes { Err(ArchiveError::TooLarge) } else { Ok(n) };
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.describe(source)),
            }
        }
    }

    fn describe(&self, source: io::Error) -> ArchiveError {
        let what = self.codec.what();
        match source.kind() {
            io::ErrorKind::UnexpectedEof => ArchiveError::Truncated { what },
            // flate2 and zstd report damage as one of these; anything else came from the file system.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::Other
                if source.raw_os_error().is_none() =>
            {
                ArchiveError::Corrupt { what, source }
            }
            _ => ArchiveError::Io(source),
        }
    }

    /// Fills the buffer as far as the stream goes.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        Ok(filled)
    }

    fn skip(&mut self, mut bytes: u64) -> Result<(), ArchiveError> {
        let mut buffer = [0; 8192];
        while bytes > 0 {
            let wanted = buffer.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            let n = self.read(&mut buffer[..wanted])?;
            if n == 0 {
                return Err(ArchiveError::Truncated { what: "tar entry" });
            }
            bytes -= n as u64;
        }
        Ok(())
    }
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
    /// The last byte handed out, to end the last line of an entry before the next one begins.
    last_byte: u8,
    ended: bool,
}

impl JsonStream {
    pub(crate) fn open(
        parts: JoinedParts,
        format: DumpFormat,
        limits: &Limits,
    ) -> Result<Self, ArchiveError> {
        let codec = Codec::open(parts, format).map_err(ArchiveError::Io)?;
        let tar = (format == DumpFormat::TarGz).then_some(TarState {
            remaining: 0,
            padding: 0,
            entries: 0,
            max_entries: limits.max_archive_entries,
            json_entries: 0,
            last_byte: b'\n',
            ended: false,
        });
        let max_bytes = limits.max_decompressed_bytes;
        Ok(Self { inner: Decompressed { codec, bytes: 0, max_bytes, interrupted: None }, tar })
    }

    pub(crate) fn interrupted_by(&mut self, flag: &'static AtomicBool) {
        self.inner.interrupted = Some(flag);
    }

    pub(crate) fn parts(&self) -> &JoinedParts {
        self.inner.codec.parts()
    }

    /// Reads some bytes of JSON; 0 means that the dump is complete and everything behind it was checked.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let Self { inner, tar } = self;
        let Some(state) = tar else {
            return inner.read(buffer);
        };
        loop {
            if state.ended {
                return Ok(0);
            }
            if state.remaining > 0 {
                let wanted = buffer.len().min(usize::try_from(state.remaining).unwrap_or(usize::MAX));
                let n = inner.read(&mut buffer[..wanted])?;
                if n == 0 {
                    return Err(ArchiveError::Truncated { what: "tar entry" });
                }
                state.remaining -= n as u64;
                state.last_byte = buffer[n - 1];
                return Ok(n);
            }
            inner.skip(std::mem::take(&mut state.padding))?;
            state.next_json_entry(inner)?;
            if state.last_byte != b'\n' && state.remaining > 0 && !buffer.is_empty() {
                state.last_byte = b'\n';
                buffer[0] = b'\n';
                return Ok(1);
            }
        }
    }
}

impl TarState {
    /// Goes to the next `.json` file, or to the end of the archive.
    fn next_json_entry(&mut self, inner: &mut Decompressed) -> Result<(), ArchiveError> {
        let corrupt = |source| ArchiveError::Corrupt { what: "tar header", source };
        let mut extended_size = None;
        let mut extended_name: Option<Vec<u8>> = None;
        loop {
            let mut header = Header::new_old();
            let filled = inner.fill(header.as_mut_bytes())?;
            if filled == 0 {
                self.ended = true;
                return if self.json_entries == 0 { Err(ArchiveError::NoJson) } else { Ok(()) };
            }
            // The end mark. What follows is padding, of any length, or the next of several archives joined to one.
            if header.as_bytes()[..filled].iter().all(|&byte| byte == 0) {
                continue;
            }
            if filled < TAR_BLOCK {
                return Err(ArchiveError::Truncated { what: "tar header" });
            }
            check_sum(&header)?;
            self.entries += 1;
            if self.entries > self.max_entries {
                return Err(ArchiveError::TooManyEntries);
            }
            let kind = header.entry_type();
            let own_size = size_of(&header).map_err(corrupt)?;
            let sparse = || corrupt(io::Error::other("sparse files are not supported"));
            match kind {
                EntryType::XHeader | EntryType::XGlobalHeader => {
                    let records = self.extension(inner, own_size)?;
                    for (key, value) in pax_records(&records).map_err(corrupt)? {
                        if key.starts_with(b"GNU.sparse.") {
                            return Err(sparse());
                        }
                        if !matches!(key, b"size" | b"path") {
                            continue;
                        }
                        // Of all entries that follow: nobody writes this, and readers differ in what they make of it.
                        if kind == EntryType::XGlobalHeader {
                            let text = "a global header with the name or the size of an entry";
                            return Err(corrupt(io::Error::other(text)));
                        }
                        if key == b"path" {
                            extended_name = Some(value.to_vec()).filter(|name| !name.is_empty());
                            continue;
                        }
                        let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                        let no_number = || corrupt(io::Error::other("PAX size is no number"));
                        extended_size = Some(size.ok_or_else(no_number)?);
                    }
                    continue;
                }
                EntryType::GNULongName => {
                    let mut name = self.extension(inner, own_size)?;
                    name.truncate(memchr::memchr(0, &name).unwrap_or(name.len()));
                    extended_name = Some(name);
                    continue;
                }
                // Where a link of the next entry leads.
                EntryType::GNULongLink => {
                    self.extension(inner, own_size)?;
                    continue;
                }
                EntryType::GNUSparse => return Err(sparse()),
                _ => {}
            }
            let is_file = kind.is_file() || kind.is_contiguous();
            let size: u64 = match extended_size.take() {
                // What these state is the size of something else, or nothing: no content follows.
                _ if is_without_content(kind) => 0,
                Some(size) if is_file => size,
                _ => own_size,
            };
            let padding = padding(size);
            let name = extended_name.take().unwrap_or_else(|| header.path_bytes().into_owned());
            if is_file && is_json(&name) {
                self.json_entries += 1;
                self.remaining = size;
                self.padding = padding;
                return Ok(());
            }
            // Directories, links, devices, other files: nothing of ours.
            inner.skip(size.saturating_add(padding))?;
        }
    }

    /// The content of an entry that only extends the next header.
    fn extension(&self, inner: &mut Decompressed, size: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > MAX_EXTENSION_BYTES {
            let source = io::Error::other("an extended header of over 1 MiB");
            return Err(ArchiveError::Corrupt { what: "tar header", source });
        }
        let mut content = vec![0; usize::try_from(size).unwrap_or_default()];
        if inner.fill(&mut content)? < content.len() {
            return Err(ArchiveError::Truncated { what: "tar header" });
        }
        inner.skip(padding(size))?;
        Ok(content)
    }
}

/// Links, devices, directories and pipes.
fn is_without_content(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

/// The size in a header. Of numbers in base 256 the library takes the last eight bytes, whatever stands before them.
fn size_of(header: &Header) -> io::Result<u64> {
    let field = &header.as_bytes()[124..136];
    if field[0] & 0x80 != 0 && (field[0] != 0x80 || field[1..4].iter().any(|&byte| byte != 0)) {
        return Err(io::Error::other("the size of an entry is below zero or has more than 64 bits"));
    }
    header.entry_size().map_err(|_| io::Error::other("the size of an entry is no number"))
}

/// The records of an extended header, `LENGTH KEY=VALUE` and a line feed each. A value may hold line feeds: where a record ends
/// its length tells.
fn pax_records(mut records: &[u8]) -> io::Result<Vec<(&[u8], &[u8])>> {
    let malformed = || io::Error::other("a record of an extended header is malformed");
    let mut found = Vec::new();
    while !records.is_empty() {
        let space = memchr::memchr(b' ', records).ok_or_else(malformed)?;
        let length = std::str::from_utf8(&records[..space]).ok().and_then(|text| text.parse::<usize>().ok());
        let length =
            length.filter(|&length| length > space + 1 && length <= records.len()).ok_or_else(malformed)?;
        let (record, rest) = records.split_at(length);
        let record = record[space + 1..].strip_suffix(b"\n").ok_or_else(malformed)?;
        let equals = memchr::memchr(b'=', record).ok_or_else(malformed)?;
        found.push((&record[..equals], &record[equals + 1..]));
        records = rest;
    }
    Ok(found)
}

/// Bytes from the end of an entry of this size to the next block.
fn padding(size: u64) -> u64 {
    let block = TAR_BLOCK as u64;
    (block - size % block) % block
}

/// Whether an entry's path ends in a `.json` file name that is not a macOS `._` companion.
fn is_json(path: &[u8]) -> bool {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    name.ends_with(b".json") && !name.starts_with(b"._")
}

fn check_sum(header: &Header) -> Result<(), ArchiveError> {
    let bytes = header.as_bytes();
    let sum: u32 =
        bytes[..148].iter().chain(&bytes[156..]).map(|&byte| u32::from(byte)).sum::<u32>() + 8 * 32;
    // The library's own error would show the bytes it could not read.
    match header.cksum() {
        Ok(expected) if expected == sum => Ok(()),
        _ => Err(ArchiveError::Corrupt {
            what: "tar header",
            source: io::Error::other("its checksum does not match"),
        }),
    }
}
