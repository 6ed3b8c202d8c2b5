//! From the bytes of a dump to typed raw rows.
//!
//! A *dump* is what an exporter wrote for one device: newline-delimited JSON, usually in a `tar.gz` that may be split in
//! parts. This crate finds dumps ([`discover()`]), matches them to the devices of a [`Catalogue`], streams them in
//! [`Chunk`]s cut at line ends ([`DumpReader`]) and decodes each chunk to a [`RawBatch`]: a Polars `DataFrame` in the
//! raw schema ([`schema`]) plus what was not a usable flow ([`Rejection`]). It gives no meaning to the values: repairs,
//! filters and derived columns are the next crate's.
//!
//! Reading is a serial stage and decoding a parallel one, so that a single large dump keeps every core busy; nothing here
//! starts a thread or prints.
#![forbid(unsafe_code)]

mod archive;
mod batch;
mod catalogue;
mod decode;
mod direction;
mod discover;
mod error;
mod parts;
mod reader;
pub mod schema;

pub use batch::{ControlTotals, RawBatch, RecordCounts, Rejection, UnknownFields};
pub use catalogue::{Catalogue, Dataset, Device, Limits, MacAddress, read_config};
pub use decode::Decoder;
pub use direction::{DIRECTION, Direction, DirectionSet, Directions};
pub use discover::{Discovery, Dump, DumpFormat, discover};
pub use error::{ConfigError, IngestError, Location};
pub use parts::PartDigest;
pub use reader::{Chunk, DumpReader};
