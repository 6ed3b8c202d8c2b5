//! The rows of a lake in forms that ask for no Parquet reader: CSV, NDJSON and Arrow, one file a device and month.
//!
//! Data sets of flows have been handed out as such files, and tools that read nothing else are not going away. An export
//! is made from a lake and never the other way round: what it cannot say (the manifest, digests, units) stays behind.
//!
//! [`select()`] tells which data files become which files, [`export`] writes them into a directory. Both only read the lake.
//! Rows are proved against the manifest while they are read (`flowlake_partition::scan`), because whoever gets an export
//! has nothing to prove them with.

#![forbid(unsafe_code)]

mod arrow;
mod csv;
mod error;
mod format;
mod ndjson;
mod run;
mod select;
mod sink;
pub mod text;

pub use error::ExportError;
pub use format::{Compression, Encoding, Format, UnsupportedCompression};
pub use run::{ExportOptions, Written, export};
pub use select::{OutputFile, Selection, SelectionError, select};
