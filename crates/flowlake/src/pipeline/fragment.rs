//! What a task says of what it made.
//!
//! A fragment is everything that the manifest needs of one dump. On one machine it stays in memory; otherwise it is a file beside
//! the data. Fragments are merged in the order of dump names, so the manifest is the same wherever the tasks were run.

use flowlake_partition::manifest::{DataFile, Source};
use flowlake_partition::profile::TableProfile;
use flowlake_partition::scan::check_path;
use flowlake_transform::{ColumnEvidence, Recipe};
use serde::{Deserialize, Serialize};

use super::plan::Task;

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

impl Fragment {
    /// Whether it can be what a task leaves: it speaks of the task's dump and device, and its numbers agree.
    pub(crate) fn fits(&self, task: &Task, recipe: &Recipe) -> bool {
        let Self { source, files, repairs, not_encoded, evidence, .. } = self;
        let removed: u64 = source.removed.iter().map(|rule| rule.rows).sum();
        let of_the_device =
            |(name, class): (&str, &str)| name == task.device.name && class == task.device.class;
        source.dump == task.dump.name
            && of_the_device((&source.device, &source.device_class))
            && files.iter().all(|file| of_the_device((&file.device_name, &file.device_class)))
            && files.iter().all(|file| check_path(file).is_ok())
            && source.kept == files.iter().map(|file| file.rows).sum::<u64>()
            && source.read == source.kept + removed + source.rejected
            && repairs.len() == recipe.repairs.len()
            && not_encoded.len() == recipe.ipv4_columns().len()
            && evidence.len() == recipe.dropped.len()
    }
}
