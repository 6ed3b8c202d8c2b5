//! What can go wrong when a sample is made, each with the file or the device it concerns.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a sample could not be made.
///
/// The text never repeats its source: print the chain to show both.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SampleError {
    /// The profiles are not valid: not TOML, an unknown key, a value out of range, or a name that leads nowhere.
    #[error("{file}:{line}: {message}")]
    Profiles {
        /// The name the text was handed over under.
        file: String,
        /// The line in that text, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A device belongs to a class that the profiles do not describe.
    #[error("no profile for class '{class}' of device '{device}' in {file}")]
    UnknownClass {
        /// The device's name.
        device: String,
        /// Its class.
        class: String,
        /// Where the profiles came from.
        file: String,
    },
    /// A device cannot be given a dump: its description is unusable.
    #[error("device '{device}': {reason}")]
    Device {
        /// The device's name.
        device: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The scale is not a number of flows that can be written.
    #[error("scale {scale} is out of range: give a number above 0, at most {max}")]
    Scale {
        /// The scale asked for.
        scale: f64,
        /// The largest that is accepted.
        max: f64,
    },
    /// The output directory holds something, and a sample never overwrites.
    #[error("the output directory '{path}' is not empty: give a new or an empty one", path = path.display())]
    OutputNotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The file system refused; the source names the path and the cause.
    #[error("failed to write the sample into '{path}'", path = path.display())]
    Write {
        /// The output directory.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The catalogue of the sample could not be put into TOML.
    #[error("failed to spell the sample's catalogue as TOML")]
    Catalogue(#[from] toml::ser::Error),
}
