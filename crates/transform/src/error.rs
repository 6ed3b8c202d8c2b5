//! What can go wrong while rows are transformed.

/// A batch that could not be transformed: a defect of the recipe's plan or of this program, never of the input.
#[derive(Debug, thiserror::Error)]
#[error("recipe {recipe}: cannot {step}")]
pub struct TransformError {
    /// The recipe's name.
    pub recipe: String,
    /// What was being done.
    pub step: &'static str,
    /// What Polars says.
    #[source]
    pub source: polars::error::PolarsError,
}

/// Fingerprints of flows that could not be put on disk or looked up there.
#[derive(Debug, thiserror::Error)]
#[error("cannot use a temporary file in {}", directory.display())]
pub struct SeenError {
    /// Where.
    pub directory: std::path::PathBuf,
    /// Why; a full disk shows up here.
    #[source]
    pub source: std::io::Error,
}
