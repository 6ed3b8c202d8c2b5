//! What can go wrong, and where.

use std::fmt;
use std::io;

use flowlake_store::StoreError;

/// A place in a text file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file, as the user named it.
    pub file: String,
    /// Line number, from 1; absent when the whole file is meant.
    pub line: Option<usize>,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// A configuration file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}{message}", location.as_ref().map(|location| format!("{location}: ")).unwrap_or_default())]
pub struct ConfigError {
    /// Where; absent when the message says it.
    pub location: Option<Location>,
    /// What is wrong and what is expected.
    pub message: String,
}

impl ConfigError {
    /// An error at a byte offset of a file's text.
    #[must_use]
    pub fn at(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let line = text.as_bytes()[..offset.min(text.len())].iter().filter(|&&b| b == b'\n').count() + 1;
        Self::located(Location { file: file.to_owned(), line: Some(line) }, message)
    }

    /// An error about a file as a whole.
    #[must_use]
    pub fn whole(file: &str, message: impl Into<String>) -> Self {
        Self::located(Location { file: file.to_owned(), line: None }, message)
    }

    fn located(location: Location, message: impl Into<String>) -> Self {
        Self { location: Some(location), message: message.into() }
    }

    /// A file that cannot be read; the I/O error names it.
    #[must_use]
    pub fn unreadable(error: &io::Error) -> Self {
        Self { location: None, message: error.to_string() }
    }

    /// An error of the TOML parser: unknown keys, wrong types, syntax.
    #[must_use]
    pub fn toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().trim().replace('\n', ", ");
        match error.span() {
            Some(span) => Self::at(file, text, span.start, message),
            None => Self::whole(file, message),
        }
    }
}

/// An input that cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// An I/O error; the source names the path.
    #[error("cannot read the input")]
    Io(#[source] io::Error),
    /// The input cannot be listed or read where it is.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An input holds parts of a split archive with a gap in their numbers.
    #[error("dump {dump}: part {missing} is missing in {input}")]
    PartMissing {
        /// The dump.
        dump: String,
        /// File name of the part that is not there.
        missing: String,
        /// Where the others are.
        input: String,
    },
    /// The same dump is present in two forms.
    #[error("dump {dump} is there twice: {first} and {second}")]
    DumpTwice {
        /// The dump.
        dump: String,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// The compressed data ends too early.
    #[error("dump {dump}: {what} ends too early, in part {part} at byte {offset}")]
    Truncated {
        /// The dump.
        dump: String,
        /// What was being read: `gzip stream`, `tar entry`, …
        what: &'static str,
        /// File name of the part.
        part: String,
        /// Offset in that part, compressed bytes.
        offset: u64,
    },
    /// The compressed data is damaged.
    #[error("dump {dump}: damaged {what}, found in part {part} near byte {offset}")]
    Corrupt {
        /// The dump.
        dump: String,
        /// What was being read.
        what: &'static str,
        /// File name of the part.
        part: String,
        /// Offset in that part, compressed bytes.
        offset: u64,
        /// What the decompressor says.
        #[source]
        source: io::Error,
    },
    /// An archive holds no JSON file.
    #[error("dump {dump}: the archive holds no .json file")]
    NoJson {
        /// The dump.
        dump: String,
    },
    /// So much of a dump is unusable that it is another kind of file.
    #[error("dump {dump}: more than {limit} {what} are rejected; the first: {first}")]
    TooManyRejected {
        /// The dump.
        dump: String,
        /// The limit.
        limit: u64,
        /// What there is too much of: lines, or bytes of them.
        what: &'static str,
        /// The key under `[limits]` that raises it.
        key: &'static str,
        /// Line, offset and reason of the first one.
        first: String,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Decoded columns do not fit together: a defect of this program.
    #[error("cannot build a data frame from decoded columns")]
    Columns(#[from] polars::error::PolarsError),
    /// A limit was passed.
    #[error("dump {dump}: {what} is above the limit of {limit} ({at})")]
    Limit {
        /// The dump.
        dump: String,
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// Where: a line or an offset.
        at: String,
        /// The key under `[limits]` that raises it.
        key: &'static str,
    },
}

impl IngestError {
    /// A line longer than `max_line_bytes`; `offset` is that of its beginning, in decompressed bytes of the dump.
    pub(crate) fn line_too_long(dump: &str, limit: u64, line: u64, offset: u64) -> Self {
        Self::Limit {
            dump: dump.to_owned(),
            what: "a line's length in bytes",
            limit,
            at: format!("line {line}, byte {offset}"),
            key: "max_line_bytes",
        }
    }

    /// More rejected lines than `max_rejected_lines`, a number that no dump with a few bad lines comes near.
    #[must_use]
    pub fn too_many_rejected(dump: &str, limit: u64, first: &str) -> Self {
        let (what, key) = ("lines", "max_rejected_lines");
        Self::TooManyRejected { dump: dump.to_owned(), limit, what, key, first: first.to_owned() }
    }

    /// More bytes of rejected lines than `max_rejected_bytes`: they are kept word for word, so they take as much disk.
    #[must_use]
    pub fn too_many_rejected_bytes(dump: &str, limit: u64, first: &str) -> Self {
        let (what, key) = ("bytes of lines", "max_rejected_bytes");
        Self::TooManyRejected { dump: dump.to_owned(), limit, what, key, first: first.to_owned() }
    }

    /// What a person can do about it, if there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Truncated { part, .. } => Some(format!(
                "compare the size of {part} with its publisher's; if the archive is split, a later part may be missing"
            )),
            Self::Corrupt { .. } => Some(
                "the damage is there or before: compare every part with its publisher's size and digest, and fetch again \
                 what differs"
                    .to_owned(),
            ),
            Self::Limit { key, .. } => Some(format!(
                "if the dump is genuine, raise `{key}` under [limits] in the catalogue"
            )),
            Self::PartMissing { .. } => {
                Some("parts are joined before decompression: all must be there".to_owned())
            }
            Self::DumpTwice { .. } => Some("keep one of them in the input directory".to_owned()),
            Self::TooManyRejected { key, .. } => Some(format!(
                "is this a dump of flows? If it is, raise `{key}` under [limits] in the catalogue"
            )),
            Self::Store(error) => error.hint(),
            Self::Interrupted | Self::Io(_) | Self::NoJson { .. } | Self::Columns(_) => None,
        }
    }
}

impl IngestError {
    /// An error met while bytes were read, as that of the store they came from where it is one.
    pub(crate) fn from_read(error: io::Error) -> Self {
        match StoreError::inside(&error) {
            Some(_) => match error.downcast::<StoreError>() {
                Ok(error) => Self::Store(error),
                Err(error) => Self::Io(error),
            },
            None => Self::Io(error),
        }
    }
}
