//! Releases: a lake frozen under a version, with everything that whoever gets it needs to read it, cite it, check it and
//! build it again.
//!
//! A release is a lake: what reads a lake reads a release. Beside the data it has documents, which are pure functions of the
//! manifest and of what the catalogue says about the data set ([`Facts`]), so that the same release has the same bytes
//! whoever makes it: [`card`] for people, [`citation`] for reference managers, [`croissant`] and [`data_package`] for
//! machines, [`rebuild`] for whoever doubts. [`privacy`] is what can be done to identifiers before any of that.

#![forbid(unsafe_code)]

pub mod card;
pub mod citation;
pub mod copy;
pub mod croissant;
pub mod data_package;
mod documents;
mod facts;
pub mod licence;
pub mod privacy;
pub mod rebuild;
#[cfg(test)]
mod sample_facts;
mod terms;

pub use documents::{DocumentFile, documents};
pub use facts::{DeviceFacts, Facts};
