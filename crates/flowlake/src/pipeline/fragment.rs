//! What a task says of what it made.
//!
//! A fragment is everything that the manifest needs of one dump. On one machine it stays in memory; otherwise it is a file beside
//! the data. Fragments are merged in the order of dump names, so the manifest is the same wherever the tasks were run.

use flowlake_partition::manifest::{DataFile, Source};
use flowlake_partition::profile::TableProfile;
use flowlake_transform::ColumnEvidence;
use serde::{Deserialize, Serialize};

/// What came of one dump.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fragment {
    /// Its entry in the manifest.
    pub(crate) source: Source,
    /// Its data files, ordered by path.
    pub(crate) files: Vec<DataFile>,
    /// Packets of its valid flows, both directions.
    pub(crate) packets: u64,
    /// The first rejected lines, for error messages.
    pub(crate) first_rejections: Vec<String>,
    /// Values that each repair of the recipe touched.
    pub(crate) repairs: Vec<u64>,
    /// Values that each column of IPv4 addresses as numbers cannot hold.
    pub(crate) not_encoded: Vec<u64>,
    /// What was seen of each field that the recipe drops.
    pub(crate) evidence: Vec<ColumnEvidence>,
    /// What the values of the columns are.
    pub(crate) profile: TableProfile,
}
