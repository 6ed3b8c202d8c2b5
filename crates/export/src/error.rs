//! What can go wrong while files are written.

use std::io;
use std::path::PathBuf;

use flowlake_partition::scan::ScanError;

/// Why an export cannot be made. What was written by then is unfinished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A data file cannot be read, or does not hold the rows that the manifest says.
    #[error("cannot export device {device}, month {month}")]
    Read {
        /// The device.
        device: String,
        /// The month.
        month: String,
        /// Why; names the data file.
        source: Box<ScanError>,
    },
    /// A file cannot be written, or its form has no word for a value.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody asked for it to stop.
    #[error("interrupted")]
    Interrupted,
}
