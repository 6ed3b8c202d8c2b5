//! How often each text comes, as long as that is worth knowing.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use arrow_array::{Array, StringViewArray};

use serde::{Deserialize, Serialize};

use super::Sketch;
use crate::manifest::{MostFrequent, Profile, ProfileValue};

/// Distinct values counted exactly, and their bytes together.
const EXACT_VALUES: usize = 1024;
const EXACT_BYTES: usize = 1 << 17;
/// Most frequent values shown.
const TOP_VALUES: usize = 5;
/// Characters shown of a value.
const MAX_VALUE_CHARS: usize = 64;
/// Bytes of text that is in its view and nowhere else.
const MAX_INLINE_VIEW_LEN: u32 = 12;
/// Rows for each slot in which rows of a value are counted together, and the fewest and most slots, as powers of two.
const ROWS_PER_SLOT_BITS: u32 = 4;
const SLOT_BITS: std::ops::RangeInclusive<u32> = 6..=12;

/// The texts of a column. What it holds is a function of the set of values and their rows: a limit is passed or not
/// whatever the order they came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Texts {
    Exact {
        rows: BTreeMap<Box<str>, u64>,
        bytes: usize,
    },
    /// More values than are counted.
    Many {
        sketch: Sketch,
        min: Box<str>,
        max: Box<str>,
    },
}

impl Default for Texts {
    fn default() -> Self {
        Self::Exact { rows: BTreeMap::new(), bytes: 0 }
    }
}

/// A value, by its view, and how often it came since it was last added up.
#[derive(Clone, Copy, Default)]
struct Slot {
    view: u128,
    row: usize,
    rows: u64,
}

impl Texts {
    pub(super) fn count(&mut self, values: &StringViewArray) {
        // Equal views are equal values, and within an array a value mostly has one view.
        let bits = values.len().max(1).ilog2().saturating_sub(ROWS_PER_SLOT_BITS);
        let bits = bits.clamp(*SLOT_BITS.start(), *SLOT_BITS.end());
        let mut slots = vec![Slot::default(); 1 << bits];
        let nulls = values.nulls().filter(|nulls| nulls.null_count() > 0);
        if nulls.is_none() && has_many(values) {
            self.add(values.value(0), 1);
            self.give_up();
        }
        for (row, &view) in values.views().iter().enumerate() {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            if let Self::Many { .. } = self {
                // Nothing to count together any more.
                self.add(values.value(row), 1);
                continue;
            }
            let slot = &mut slots[hash(view, bits)];
            if slot.view == view && slot.rows > 0 {
                slot.rows += 1;
                continue;
            }
            if slot.rows > 0 {
                self.add(values.value(slot.row), slot.rows);
            }
            *slot = Slot { view, row, rows: 1 };
        }
        for slot in slots.into_iter().filter(|slot| slot.rows > 0) {
            self.add(values.value(slot.row), slot.rows);
        }
    }

    /// Adds rows that hold a value.
    pub(super) fn add(&mut self, value: &str, more: u64) {
        match self {
            Self::Exact { rows, bytes } => {
                if let Some(rows) = rows.get_mut(value) {
                    *rows = rows.saturating_add(more);
                    return;
                }
                *bytes += value.len();
                rows.insert(value.into(), more);
                if rows.len() > EXACT_VALUES || *bytes > EXACT_BYTES {
                    self.give_up();
                }
            }
            Self::Many { sketch, min, max } => {
                sketch.insert_text(value);
                if is_less(value, min) {
                    *min = value.into();
                } else if is_less(max, value) {
                    *max = value.into();
                }
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match other {
            Self::Exact { rows, .. } => rows.iter().for_each(|(value, rows)| self.add(value, *rows)),
            Self::Many { sketch: others, min, max } => {
                self.give_up();
                self.add(min, 1);
                self.add(max, 1);
                match self {
                    Self::Many { sketch, .. } => sketch.merge(others),
                    // There was nothing before.
                    Self::Exact { .. } => *self = other.clone(),
                }
            }
        }
    }

    /// Stops counting; values are estimated from here on. Without values there is nothing to give up.
    fn give_up(&mut self) {
        if let Self::Exact { rows, .. } = self
            && let (Some((min, _)), Some((max, _))) = (rows.first_key_value(), rows.last_key_value())
        {
            let mut sketch = Sketch::default();
            rows.keys().for_each(|value| sketch.insert_text(value));
            *self = Self::Many { sketch, min: min.clone(), max: max.clone() };
        }
    }

    pub(super) fn summary(&self, profile: Profile, all_rows: u64) -> Profile {
        let text = |value: &str| Some(ProfileValue::Text(shortened(value)));
        match self {
            Self::Exact { rows, .. } => {
                let mut top: Vec<(&str, u64)> = rows.iter().map(|(value, rows)| (&**value, *rows)).collect();
                top.sort_by_key(|(value, rows)| (Reverse(*rows), *value));
                let top = top.iter().take(TOP_VALUES).map(|(value, rows)| MostFrequent {
                    value: shortened(value),
                    rows: *rows,
                    share: (*rows as f64 / all_rows as f64 * 1e6).round() / 1e6,
                });
                Profile {
                    min: rows.first_key_value().and_then(|(min, _)| text(min)),
                    max: rows.last_key_value().and_then(|(max, _)| text(max)),
                    distinct: Some(rows.len() as u64),
                    distinct_is_estimate: Some(false),
                    top_values: Some(top.collect()),
                    ..profile
                }
            }
            Self::Many { sketch, min, max } => Profile {
                min: text(min),
                max: text(max),
                distinct: Some(sketch.estimate()),
                distinct_is_estimate: Some(true),
                ..profile
            },
        }
    }
}

/// Whether the first values tell that there are more than are counted exactly: of nearly unique text, none is then counted
/// in vain.
fn has_many(values: &StringViewArray) -> bool {
    const BITS: u32 = 16;
    let mut seen = [0_u64; 1 << (BITS - 6)];
    // Text in its view differs if the view does; elsewhere it may lie twice.
    let in_view = |view: &&u128| **view as u32 <= MAX_INLINE_VIEW_LEN;
    for view in values.views().iter().take(2 * EXACT_VALUES).filter(in_view) {
        let hash = hash(*view, BITS);
        seen[hash >> 6] |= 1 << (hash & 63);
    }
    // Values that share a bit are missed, so there are at least as many.
    seen.iter().map(|word| word.count_ones() as usize).sum::<usize>() > EXACT_VALUES
}

/// So many bits that tell views apart.
fn hash(view: u128, bits: u32) -> usize {
    let mixed = ((view ^ (view >> 64)) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - bits)) as usize
}

/// Whether a text comes before another. Their first bytes mostly tell, as a number.
fn is_less(a: &str, b: &str) -> bool {
    match (a.as_bytes().first_chunk(), b.as_bytes().first_chunk()) {
        (Some(first_a), Some(first_b)) if first_a != first_b => {
            u64::from_be_bytes(*first_a) < u64::from_be_bytes(*first_b)
        }
        _ => a < b,
    }
}

/// Text of a manifest, not of a megabyte.
fn shortened(value: &str) -> String {
    match value.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
