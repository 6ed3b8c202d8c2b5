//! From raw rows to what they mean.
//!
//! A [`Recipe`] is a TOML file that says which rows and columns a lake holds. [`Transformer`] turns it, for one dump, into
//! Polars lazy expressions and applies them batch by batch: repairs, filter rules, derived columns. Everything that is
//! changed, removed or left out is counted while it passes, and the counts of batches add up: [`FlowBatch`] and
//! [`ColumnEvidence`] know how.
#![forbid(unsafe_code)]

mod error;
mod evidence;
mod kernels;
mod plan;
mod recipe;
mod repair;
mod transformer;

pub use error::TransformError;
pub use evidence::{ColumnEvidence, EvidenceSummary, MostFrequentValue};
pub use plan::{OutputColumn, OutputType};
pub use recipe::{
    Claim, Derivation, DroppedField, FLOW_START, FilterRule, LookupTable, OutputSpec, Recipe, Role,
};
pub use repair::Repair;
pub use transformer::{FlowBatch, Transformer};
