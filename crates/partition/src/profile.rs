//! Profiles: what the values of the columns are, so that who reads the manifest knows what is in a lake.
//!
//! Values are counted row group by row group where they are encoded, and summed up over a dump and over all dumps. Whatever
//! is kept of them is independent of order and cut: ranges, exact sums, counts of values that are exact or given up
//! altogether, and [`Sketch`]es. So a profile is the same whatever the number of threads, and a verifier that reads other
//! pieces finds it again.

mod number;
mod text;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float64Type, Int32Type, Int64Type, TimestampMillisecondType,
};
use arrow_array::{Array, ArrayRef};
use flowlake_sketch::Sketch;
use serde::{Deserialize, Serialize};

use self::number::{Floats, Integers};
use self::text::Texts;
use crate::layout::{date_text, timestamp_text};
use crate::manifest::{ColumnType, DataFile, Profile, ProfileValue};

/// Profiles of the columns of a table, in their order. Written and read again, it is the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableProfile {
    columns: Vec<ColumnProfile>,
}

/// What was counted of one column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ColumnProfile {
    data_type: ColumnType,
    rows: u64,
    nulls: u64,
    values: Values,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Values {
    Integers(Integers),
    Floats(Floats),
    Texts(Texts),
}

impl TableProfile {
    /// Of columns of these types, without rows.
    #[must_use]
    pub fn new(types: impl IntoIterator<Item = ColumnType>) -> Self {
        Self { columns: types.into_iter().map(ColumnProfile::new).collect() }
    }

    /// Counts values of a column, which must have its type.
    pub(crate) fn count(&mut self, column: usize, values: &ArrayRef) {
        self.columns[column].count(values);
    }

    /// Adds rows that were counted elsewhere, of a table with the same columns.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.columns.len(), other.columns.len());
        for (sum, part) in self.columns.iter_mut().zip(&other.columns) {
            sum.merge(part);
        }
    }

    /// What it comes to, for the manifest: one a column.
    #[must_use]
    pub fn summaries(&self) -> Vec<Profile> {
        self.columns.iter().map(ColumnProfile::summary).collect()
    }
}

/// Profiles of the partition columns `month` and `deviceClass`, which are in no file.
#[must_use]
pub fn partition_profiles(files: &[DataFile]) -> [Profile; 2] {
    let of = |value: fn(&DataFile) -> &str| {
        let mut texts = Texts::default();
        let rows = files.iter().fold(0_u64, |rows, file| {
            texts.add(value(file), file.rows);
            rows.saturating_add(file.rows)
        });
        texts.summary(Profile::default(), rows)
    };
    [of(|file| &file.month), of(|file| &file.device_class)]
}

impl ColumnProfile {
    fn new(data_type: ColumnType) -> Self {
        let values = match data_type {
            ColumnType::String => Values::Texts(Texts::default()),
            ColumnType::Float64 => Values::Floats(Floats::default()),
            ColumnType::Int32 | ColumnType::Int64 | ColumnType::Date | ColumnType::TimestampMillis => {
                Values::Integers(Integers::default())
            }
        };
        Self { data_type, rows: 0, nulls: 0, values }
    }

    fn count(&mut self, array: &ArrayRef) {
        self.rows += array.len() as u64;
        self.nulls += array.null_count() as u64;
        match (&mut self.values, self.data_type) {
            (Values::Texts(texts), _) => texts.count(array.as_string_view()),
            (Values::Floats(floats), _) => floats.count(&present::<Float64Type>(array)),
            (Values::Integers(integers), ColumnType::Int32) => integers.count(&present::<Int32Type>(array)),
            (Values::Integers(integers), ColumnType::Date) => integers.count(&present::<Date32Type>(array)),
            (Values::Integers(integers), ColumnType::TimestampMillis) => {
                integers.count(&present::<TimestampMillisecondType>(array));
            }
            (Values::Integers(integers), _) => integers.count(&present::<Int64Type>(array)),
        }
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.nulls += other.nulls;
        match (&mut self.values, &other.values) {
            (Values::Integers(a), Values::Integers(b)) => a.merge(b),
            (Values::Floats(a), Values::Floats(b)) => a.merge(b),
            (Values::Texts(a), Values::Texts(b)) => a.merge(b),
            _ => debug_assert!(false, "profiles of different types"),
        }
    }

    fn summary(&self) -> Profile {
        let profile = Profile { nulls: self.nulls, ..Profile::default() };
        match &self.values {
            Values::Texts(texts) => texts.summary(profile, self.rows),
            Values::Floats(floats) => floats.summary(profile),
            Values::Integers(integers) => {
                let count = self.rows - self.nulls;
                if count == 0 {
                    return profile;
                }
                let value = |value: i64| match self.data_type {
                    ColumnType::Date => ProfileValue::Text(date_text(value)),
                    ColumnType::TimestampMillis => ProfileValue::Text(timestamp_text(value)),
                    _ => ProfileValue::Integer(value),
                };
                let is_number = matches!(self.data_type, ColumnType::Int32 | ColumnType::Int64);
                Profile {
                    min: Some(value(integers.min)),
                    max: Some(value(integers.max)),
                    mean: is_number.then(|| integers.sum as f64 / count as f64),
                    ..profile
                }
            }
        }
    }
}

/// The values of a column that are not null.
fn present<T: ArrowPrimitiveType>(array: &ArrayRef) -> std::borrow::Cow<'_, [T::Native]> {
    let array = array.as_primitive::<T>();
    let values: &[T::Native] = array.values();
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => values.into(),
        Some(nulls) => {
            // Without a branch: nulls of real columns follow no pattern.
            let mut present = values.to_vec();
            let mut len = 0;
            for (value, valid) in values.iter().zip(nulls.iter()) {
                present[len] = *value;
                len += usize::from(valid);
            }
            present.truncate(len);
            present.into()
        }
    }
}

#[cfg(test)]
mod tests;
