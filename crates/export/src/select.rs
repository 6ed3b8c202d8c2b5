//! Which data files are exported, and into which files.

use std::collections::BTreeSet;

use flowlake_partition::manifest::{DataFile, Manifest};
use flowlake_partition::scan::{ScanError, check_path};

use crate::format::Encoding;

/// What to export: values of one kind are alternatives, kinds must all hold, and a kind without values holds for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Device classes.
    pub classes: Vec<String>,
    /// Months, `YYYY-MM`.
    pub months: Vec<String>,
    /// Devices.
    pub devices: Vec<String>,
}

/// Why nothing can be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelectionError {
    /// The lake has no row of this class, month or device.
    #[error("the lake has no {kind} `{value}`")]
    Unknown {
        /// `class`, `month` or `device`.
        kind: &'static str,
        /// The value asked for.
        value: String,
        /// Those it has, in order.
        known: Vec<String>,
    },
    /// Each value is known, but nothing is of all kinds at once.
    #[error("the lake has no rows of {asked_for} together")]
    Nothing {
        /// What was asked for, in words.
        asked_for: String,
        /// Months in which there are rows of the classes and devices asked for.
        months: Vec<String>,
    },
    /// The manifest lists something that is no data file.
    #[error("the manifest is damaged")]
    Entry(#[from] ScanError),
    /// The manifest lists a data file more than once.
    #[error("the manifest is damaged: it lists {path} twice")]
    Duplicate {
        /// Path below the lake's root.
        path: String,
    },
    /// The manifest's sum of rows is not that of its data files.
    #[error("the manifest is damaged: its total is {total} rows, its data files have {listed}")]
    Totals {
        /// `totals.rows`.
        total: u64,
        /// Sum over the files.
        listed: u64,
    },
}

/// A file to be written: all selected rows of a device and month, in the order of the lake.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputFile<'a> {
    pub(crate) device: &'a str,
    pub(crate) month: &'a str,
    /// In order of their numbers.
    pub(crate) data_files: Vec<&'a DataFile>,
}

impl<'a> OutputFile<'a> {
    /// Its name. Devices are slugs, so it is one too.
    #[must_use]
    pub fn name(&self, encoding: Encoding) -> String {
        format!("{}_{}{}", self.device, self.month, encoding.extension())
    }

    /// The data files whose rows it will have, in order of their numbers.
    #[must_use]
    pub fn data_files(&self) -> &[&'a DataFile] {
        &self.data_files
    }

    /// Rows it will have.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.data_files.iter().map(|file| file.rows).sum()
    }
}

/// Values of one kind that are asked for.
#[derive(Clone, Copy)]
struct Filter<'a> {
    kind: &'static str,
    values: &'a [String],
    of_file: fn(&DataFile) -> &str,
}

impl Filter<'_> {
    fn holds(&self, file: &DataFile) -> bool {
        self.values.is_empty() || self.values.iter().any(|value| value == (self.of_file)(file))
    }
}

/// The files that a selection of a lake becomes, ordered by device, then month. A lake without rows becomes none.
///
/// # Errors
/// [`SelectionError`] when a value is none of the lake's or nothing is left, and when the manifest lists what cannot be.
pub fn select<'a>(
    manifest: &'a Manifest,
    selection: &Selection,
) -> Result<Vec<OutputFile<'a>>, SelectionError> {
    let class = Filter { kind: "class", values: &selection.classes, of_file: |file| &file.device_class };
    let month = Filter { kind: "month", values: &selection.months, of_file: |file| &file.month };
    let device = Filter { kind: "device", values: &selection.devices, of_file: |file| &file.device_name };
    let filters = [class, month, device];
    for Filter { kind, values, of_file } in filters {
        let known: BTreeSet<&str> = manifest.files.iter().map(of_file).collect();
        if let Some(value) = values.iter().find(|value| !known.contains(value.as_str())) {
            let known = known.into_iter().map(str::to_owned).collect();
            return Err(SelectionError::Unknown { kind, value: value.clone(), known });
        }
    }

    let selected = manifest.files.iter().filter(|file| filters.iter().all(|filter| filter.holds(file)));
    let mut selected: Vec<&DataFile> = selected.collect();
    for file in &selected {
        check_path(file)?;
    }
    // Numbers have five digits and stand before the digests, so paths of a device and month are in their order.
    let order = |file: &&'a DataFile| (file.device_name.as_str(), file.month.as_str(), file.path.as_str());
    selected.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
    if let Some(twice) = selected.windows(2).find(|pair| order(&pair[0]) == order(&pair[1])) {
        return Err(SelectionError::Duplicate { path: twice[0].path.clone() });
    }
    let asked_for: Vec<String> = filters
        .iter()
        .filter(|filter| !filter.values.is_empty())
        .map(|filter| format!("{} {}", filter.kind, filter.values.join(" or ")))
        .collect();
    if asked_for.is_empty() {
        let (total, listed) = (manifest.totals.rows, manifest.files.iter().map(|file| file.rows).sum());
        if total != listed {
            return Err(SelectionError::Totals { total, listed });
        }
    } else if selected.is_empty() {
        let of_other_months = manifest.files.iter().filter(|file| class.holds(file) && device.holds(file));
        let months: BTreeSet<&str> = of_other_months.map(|file| file.month.as_str()).collect();
        return Err(SelectionError::Nothing {
            asked_for: asked_for.join(", "),
            months: months.into_iter().map(str::to_owned).collect(),
        });
    }
    let outputs =
        selected.chunk_by(|a, b| (&a.device_name, &a.month) == (&b.device_name, &b.month)).map(|files| {
            OutputFile { device: &files[0].device_name, month: &files[0].month, data_files: files.to_vec() }
        });
    Ok(outputs.collect())
}
