//! What must hold for any bytes at all. Each module has a `check` that panics where it does not; `fuzz_targets/` puts it under
//! libFuzzer, `tests/corpus.rs` under the inputs that are kept.

#![forbid(unsafe_code)]

pub mod archive_reader;
pub mod catalogue;
pub mod line_decoder;
pub mod manifest;
pub mod partition_path;
pub mod recipe;

// The integration tests' reading of a line: a tree of serde_json, and nothing of the product's decoder.
#[path = "../../tests/integration/support/oracle.rs"]
mod oracle;
