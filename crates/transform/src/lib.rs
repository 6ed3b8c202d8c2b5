//! From raw rows to what they mean.
//!
//! A [`Recipe`] is a TOML file that says which rows and columns a lake holds. [`Transformer`] turns it, for one dump, into
//! Polars lazy expressions and applies them batch by batch: repairs, filter rules, derived columns. Everything that is
//! changed, removed or left out is counted while it passes, and the counts of batches add up: [`FlowBatch`] and
//! [`ColumnEvidence`] know how.
#![forbid(unsafe_code)]

mod duplicates;
mod error;
mod evidence;
mod kernels;
mod plan;
mod recipe;
mod repair;
mod seen;
mod transformer;

pub use duplicates::Fingerprint;
pub use error::{SeenError, TransformError};
pub use evidence::{ColumnEvidence, EvidenceSummary, MostFrequentValue};
pub use plan::{OutputColumn, OutputType};
pub use recipe::{
    Claim, Condition, Derivation, DroppedField, FLOW_START, FLOW_START_HELPER, Fill, FilterRule, IpFamily,
    LookupTable, OutputSpec, Recipe, Role, TimePart, Value,
};
pub use repair::Repair;
pub use seen::SeenFlows;
pub use transformer::{FlowBatch, Labels, Screened, Transformer};
