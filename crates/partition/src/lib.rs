//! Files, manifest and publishing: the last stage of a build.
//!
//! Rows arrive as Polars frames and leave as Parquet files, one per device and month, listed in `manifest.json`. This
//! crate exists so that everything a reader of a lake relies on is decided in one place: where a file lies
//! ([`layout`]), which types and encodings it has ([`table`], [`writer`]), how its rows are proved ([`digest`]), where lines
//! are kept that are no rows ([`rejected`]), what the lake says about itself ([`manifest`], [`profile`]), how it appears all at
//! once ([`publish`]), how it is read back ([`read`], [`scan`]), how its rows are written again ([`rewrite`]),
//! how it is checked later ([`verify`]) and how two lakes differ ([`diff`]).
//!
//! A task (one dump) uses [`split`], [`writer`] and [`rejected`]; the build uses [`publish`] once, around all tasks.

#![deny(unsafe_code)]

mod arrow_bridge;
pub mod diff;
pub mod digest;
mod encode;
mod hashing_file;
pub mod layout;
pub mod manifest;
pub mod profile;
pub mod publish;
pub mod read;
pub mod rejected;
pub mod rewrite;
mod row_buffer;
pub mod scan;
mod spill;
pub mod split;
pub mod sums;
pub mod table;
#[cfg(test)]
mod testing;
pub mod verify;
pub mod writer;

pub use encode::{EncodeError, EncodedRowGroup, RowGroup};
pub use spill::SpillError;
