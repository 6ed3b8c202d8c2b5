//! Evidence: what a build saw of the fields it leaves out.
//!
//! A reason such as "constant" is a claim about the data. Each build counts the field's values over the rows it keeps and
//! checks the claim. Counting is exact up to a number of distinct values; beyond it the number of distinct values is
//! estimated (HyperLogLog) and the count of the most frequent value is a lower bound. Counts of batches and of dumps are
//! merged in a fixed order, so the same input gives the same evidence.

use std::collections::HashMap;
use std::hash::Hash;

use flowlake_ingest::schema::{FIELDS, Kind, field_index};
use flowlake_sketch::Sketch;
use polars::prelude::{Column, PolarsResult};
use polars_arrow::temporal_conversions::timestamp_ms_to_datetime;
use serde::{Deserialize, Serialize};

use crate::kernels::flag_letters;
use crate::recipe::Claim;

/// Distinct values counted exactly.
const EXACT_VALUES: usize = 1024;
/// Values counted exactly within a batch, before it is merged: more than a chunk usually holds, so that a value that is
/// frequent there is seen however many others came before it.
const BATCH_VALUES: usize = 16_384;
/// Characters shown of a value.
const MAX_VALUE_CHARS: usize = 64;
/// Rows a value below which the values of a field count as noise.
const NOISE_ROWS_PER_VALUE: u64 = 2;

/// Counts of one field. Written and read again, they are the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ColumnEvidence {
    field: String,
    rows: u64,
    nulls: u64,
    values: Values,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Values {
    Numbers(Counts<i64>),
    Texts(Counts<String>),
}

/// What evidence comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceSummary {
    /// Rows looked at.
    pub rows: u64,
    /// Rows without a value.
    pub nulls: u64,
    /// Distinct values, nulls not counted.
    pub distinct: u64,
    /// Whether `distinct` is an estimate and the count of the most frequent value a lower bound.
    pub distinct_is_estimate: bool,
    /// The most frequent value; the first one met if several are.
    pub most_frequent: Option<MostFrequentValue>,
}

/// The most frequent value of a field.
#[derive(Debug, Clone, PartialEq)]
pub struct MostFrequentValue {
    /// The value as text.
    pub value: String,
    /// Rows that hold it.
    pub rows: u64,
    /// Their share of all rows, 0 to 1.
    pub share: f64,
}

impl ColumnEvidence {
    /// Nothing seen yet of a raw field.
    #[must_use]
    pub fn new(field: &str) -> Self {
        let text = field_index(field).is_some_and(|i| FIELDS[i].kind.is_text());
        let values = if text { Values::Texts(Counts::default()) } else { Values::Numbers(Counts::default()) };
        Self { field: field.to_owned(), rows: 0, nulls: 0, values }
    }

    /// The field's name.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Counts a raw column.
    ///
    /// # Errors
    /// When the column has not the type of the raw schema.
    pub fn count(&mut self, column: &Column) -> PolarsResult<()> {
        self.rows += column.len() as u64;
        self.nulls += column.null_count() as u64;
        // Timestamps are counted as the numbers behind them.
        let column = column.to_physical_repr();
        match &mut self.values {
            Values::Numbers(all) => {
                let mut counts = Counts::default();
                // Values come in long runs: a run costs one look-up.
                let mut run = (0, 0);
                for value in column.i64()?.iter().flatten() {
                    if value == run.0 {
                        run.1 += 1;
                    } else {
                        counts.add(&run.0, run.1);
                        run = (value, 1);
                    }
                }
                counts.add(&run.0, run.1);
                all.merge(&counts);
            }
            Values::Texts(all) => {
                let mut counts = Counts::default();
                let mut run = ("", 0);
                for value in column.str()?.iter().flatten() {
                    if value == run.0 {
                        run.1 += 1;
                    } else {
                        counts.add(run.0, run.1);
                        run = (value, 1);
                    }
                }
                counts.add(run.0, run.1);
                all.merge(&counts);
            }
        }
        Ok(())
    }

    /// Adds what came later of the same field.
    pub fn merge(&mut self, later: &Self) {
        self.rows += later.rows;
        self.nulls += later.nulls;
        match (&mut self.values, &later.values) {
            (Values::Numbers(a), Values::Numbers(b)) => a.merge(b),
            (Values::Texts(a), Values::Texts(b)) => a.merge(b),
            // Both come from `new` with the same field name, which fixes the type.
            _ => debug_assert!(false, "evidence of different types"),
        }
    }

    /// What it comes to.
    #[must_use]
    pub fn summary(&self) -> EvidenceSummary {
        let kind = field_index(&self.field).map(|i| FIELDS[i].kind);
        let (distinct, is_estimate, top) = match &self.values {
            Values::Numbers(counts) => {
                let top = counts.top().map(|(value, rows)| (number_text(*value, kind), rows));
                (counts.distinct(), counts.sketch.is_some(), top)
            }
            Values::Texts(counts) => {
                let top = counts.top().map(|(value, rows)| (shortened(value), rows));
                (counts.distinct(), counts.sketch.is_some(), top)
            }
        };
        EvidenceSummary {
            rows: self.rows,
            nulls: self.nulls,
            distinct,
            distinct_is_estimate: is_estimate,
            most_frequent: top.map(|(value, rows)| MostFrequentValue {
                value,
                rows,
                share: rows as f64 / self.rows as f64,
            }),
        }
    }
}

impl EvidenceSummary {
    /// What the evidence shows of a claim, in words.
    #[must_use]
    pub fn finding(&self, claim: Claim) -> String {
        let (top, share) = self.most_frequent.as_ref().map_or((0, 0.0), |value| (value.rows, value.share));
        match claim {
            Claim::Constant | Claim::NotInProduct => format!("{} distinct values were seen", self.distinct),
            Claim::NearConstant { min_share } => format!(
                "its most frequent value has {:.3} % of the rows, not {:.3} %",
                share * 100.0,
                min_share * 100.0
            ),
            Claim::Noise => format!(
                "beside the most frequent value, {} rows hold only {} values",
                self.rows - self.nulls - top,
                self.distinct.saturating_sub(1)
            ),
        }
    }

    /// Whether it contradicts a claim. Without rows nothing is contradicted.
    #[must_use]
    pub fn contradicts(&self, claim: Claim) -> bool {
        let top = self.most_frequent.as_ref().map_or(0, |value| value.rows);
        match claim {
            Claim::Constant => self.distinct > 1,
            Claim::NearConstant { min_share } => {
                let share = self.most_frequent.as_ref().map_or(1.0, |value| value.share);
                share < min_share
            }
            Claim::Noise => {
                let others = self.rows - self.nulls - top;
                let other_values = self.distinct.saturating_sub(1);
                others > NOISE_ROWS_PER_VALUE * other_values
            }
            Claim::NotInProduct => false,
        }
    }
}

/// Text of a manifest, not of a megabyte.
fn shortened(value: &str) -> String {
    match value.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// A number as exporters write it: hexadecimal and flags in their own form.
fn number_text(value: i64, kind: Option<Kind>) -> String {
    match kind {
        Some(Kind::Hex(_)) => format!("0x{value:x}"),
        Some(Kind::TcpFlags) => flag_letters(value as u8),
        Some(Kind::Thousandths) => format!("{}.{:03}", value / 1000, value % 1000),
        Some(Kind::Timestamp) => timestamp_ms_to_datetime(value).format("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        _ => value.to_string(),
    }
}

/// Counts by value, in the order in which values were first met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    from = "Written<T>",
    into = "Written<T>",
    bound(serialize = "T: Serialize + Clone", deserialize = "T: Deserialize<'de> + Clone")
)]
struct Counts<T: Eq + Hash> {
    index: HashMap<T, usize>,
    entries: Vec<(T, u64)>,
    /// There once more than [`EXACT_VALUES`] values were met.
    sketch: Option<Sketch>,
}

/// [`Counts`] without what follows from the rest.
#[derive(Serialize, Deserialize)]
struct Written<T> {
    entries: Vec<(T, u64)>,
    sketch: Option<Sketch>,
}

impl<T: Eq + Hash> From<Counts<T>> for Written<T> {
    fn from(Counts { entries, sketch, .. }: Counts<T>) -> Self {
        Self { entries, sketch }
    }
}

impl<T: Eq + Hash + Clone> From<Written<T>> for Counts<T> {
    fn from(Written { entries, sketch }: Written<T>) -> Self {
        let index = entries.iter().enumerate().map(|(i, (value, _))| (value.clone(), i)).collect();
        Self { index, entries, sketch }
    }
}

impl<T: Eq + Hash> Default for Counts<T> {
    fn default() -> Self {
        Self { index: HashMap::new(), entries: Vec::new(), sketch: None }
    }
}

impl<T: Eq + Hash + Clone + Sketched> Counts<T> {
    fn add<Q>(&mut self, value: &Q, rows: u64)
    where
        T: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = T> + Sketched + ?Sized,
    {
        if rows == 0 {
            return;
        }
        if let Some(&i) = self.index.get(value) {
            self.entries[i].1 += rows;
        } else if self.entries.len() < BATCH_VALUES {
            self.index.insert(value.to_owned(), self.entries.len());
            self.entries.push((value.to_owned(), rows));
        } else {
            value.insert_into(self.sketch());
        }
    }

    /// The sketch, made of all values met so far when it is first needed.
    fn sketch(&mut self) -> &mut Sketch {
        let entries = &self.entries;
        self.sketch.get_or_insert_with(|| {
            let mut sketch = Sketch::default();
            for (value, _) in entries {
                value.insert_into(&mut sketch);
            }
            sketch
        })
    }

    fn merge(&mut self, later: &Self) {
        let mut least = None;
        for (value, rows) in &later.entries {
            if self.entries.len() < EXACT_VALUES || self.index.contains_key(value) {
                self.add(value, *rows);
                least = None;
            } else {
                // The value with the fewest rows makes room: one that leads later on must not be lost because the dumps
                // before had enough others.
                let (i, fewest) = *least.get_or_insert_with(|| self.least());
                let out = if *rows > fewest { &self.entries[i].0 } else { value }.clone();
                out.insert_into(self.sketch());
                if *rows > fewest {
                    self.index.remove(&out);
                    self.index.insert(value.clone(), i);
                    self.entries[i] = (value.clone(), *rows);
                    least = None;
                }
            }
        }
        if let Some(sketch) = &later.sketch {
            self.sketch().merge(sketch);
        }
        // Values taken up after the sketch was made are in the table only.
        if let Some(sketch) = &mut self.sketch {
            for (value, _) in &self.entries {
                value.insert_into(sketch);
            }
        }
    }

    /// Position and rows of the last of the values with the fewest rows.
    fn least(&self) -> (usize, u64) {
        let rows = self.entries.iter().map(|(_, rows)| *rows).enumerate();
        rows.min_by_key(|(i, rows)| (*rows, std::cmp::Reverse(*i))).unwrap_or_default()
    }

    fn distinct(&self) -> u64 {
        self.sketch.as_ref().map_or(self.entries.len() as u64, Sketch::estimate)
    }

    /// The first of the most frequent values.
    fn top(&self) -> Option<(&T, u64)> {
        let most = self.entries.iter().map(|(_, rows)| *rows).max()?;
        self.entries.iter().find(|(_, rows)| *rows == most).map(|(value, rows)| (value, *rows))
    }
}

/// What a sketch can be made of.
trait Sketched {
    fn insert_into(&self, sketch: &mut Sketch);
}

impl Sketched for i64 {
    fn insert_into(&self, sketch: &mut Sketch) {
        sketch.insert_number(*self);
    }
}

impl Sketched for str {
    fn insert_into(&self, sketch: &mut Sketch) {
        sketch.insert_text(self);
    }
}

impl Sketched for String {
    fn insert_into(&self, sketch: &mut Sketch) {
        sketch.insert_text(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::IntoColumn;

    fn numbers(values: impl Iterator<Item = Option<i64>>) -> Column {
        polars::prelude::Int64Chunked::from_iter(values).into_column()
    }

    #[test]
    fn a_value_that_comes_late_and_leads_is_found() {
        let mut all = ColumnEvidence::new("reverseOctetTotalCount");
        for first in [0, 5_000] {
            let values: Vec<i64> =
                (first..first + 1_200).chain(std::iter::repeat_n(7_000_000, 10_801)).collect();
            let mut batch = ColumnEvidence::new("reverseOctetTotalCount");
            batch.count(&Column::new("reverseOctetTotalCount".into(), values)).expect("numbers");
            all.merge(&batch);
        }
        let found = all.summary().most_frequent.expect("there are values");
        assert_eq!((found.value.as_str(), found.rows), ("7000000", 21_602));
    }

    #[test]
    fn few_values_are_counted_exactly() {
        let mut evidence = ColumnEvidence::new("vlanId");
        evidence.count(&numbers([Some(5), Some(5), None, Some(7), Some(5)].into_iter())).expect("numbers");
        let mut later = ColumnEvidence::new("vlanId");
        later.count(&numbers([Some(7), Some(7), Some(7)].into_iter())).expect("numbers");
        evidence.merge(&later);
        let summary = evidence.summary();
        assert_eq!((summary.rows, summary.nulls, summary.distinct), (8, 1, 2));
        assert!(!summary.distinct_is_estimate);
        let top = summary.most_frequent.clone().expect("a value");
        assert_eq!((top.value.as_str(), top.rows, top.share), ("0x7", 4, 0.5));
        assert!(summary.contradicts(Claim::Constant));
        assert!(summary.contradicts(Claim::NearConstant { min_share: 0.51 }));
        assert!(!summary.contradicts(Claim::NearConstant { min_share: 0.5 }));
    }

    #[test]
    fn many_values_are_estimated_within_five_standard_errors() {
        for count in [1025_i64, 5000, 20_000, 300_000] {
            let mut whole = ColumnEvidence::new("tcpSequenceNumber");
            let rows = (0..count).flat_map(|i| [Some(0), Some(i * 7919)]);
            whole.count(&numbers(rows)).expect("numbers");
            let summary = whole.summary();
            assert!(summary.distinct_is_estimate);
            let error = (summary.distinct as f64 - count as f64).abs() / count as f64;
            assert!(error < 5.0 * 0.01625, "{count}: {}", summary.distinct);
            assert_eq!(summary.most_frequent.as_ref().map(|top| top.rows), Some(count as u64 + 1));
            assert!(!summary.contradicts(Claim::Noise));
        }
    }

    #[test]
    fn merging_counts_what_counting_at_once_does() {
        let rows: Vec<_> = (0..10_000).map(|i| Some(i % 3000)).collect();
        let mut whole = ColumnEvidence::new("silkAppLabel");
        whole.count(&numbers(rows.iter().copied())).expect("numbers");
        let mut merged = ColumnEvidence::new("silkAppLabel");
        for part in rows.chunks(777) {
            let mut evidence = ColumnEvidence::new("silkAppLabel");
            evidence.count(&numbers(part.iter().copied())).expect("numbers");
            merged.merge(&evidence);
        }
        let (whole, merged) = (whole.summary(), merged.summary());
        assert_eq!(whole.rows, merged.rows);
        // The same set of values gives the same registers, however it was cut.
        assert_eq!(whole.distinct, merged.distinct);
    }

    #[test]
    fn a_value_that_leads_only_later_is_not_lost() {
        // A dump of nothing but TCP first: the value that stands for "not TCP" comes with the second.
        let mut first = ColumnEvidence::new("tcpSequenceNumber");
        first.count(&numbers((1..5000).map(Some))).expect("numbers");
        let mut second = ColumnEvidence::new("tcpSequenceNumber");
        second
            .count(&numbers((0..90_000).map(|i| Some(if i % 100 == 1 { 10_000 + i } else { 0 }))))
            .expect("numbers");
        first.merge(&second);
        let summary = first.summary();
        let top = summary.most_frequent.clone().expect("a value");
        assert_eq!((top.value.as_str(), top.rows), ("0x0", 89_100));
        assert!(
            !summary.contradicts(Claim::Noise)
                && !summary.contradicts(Claim::NearConstant { min_share: 0.9 })
        );
        assert_eq!(summary.rows, 94_999);
        assert!(summary.distinct.abs_diff(5900) < 500, "{}", summary.distinct);
    }

    #[test]
    fn values_are_shown_as_they_were_written() {
        let shown = |field: &str, value: i64| {
            let mut evidence = ColumnEvidence::new(field);
            evidence.count(&numbers([Some(value)].into_iter())).expect("numbers");
            evidence.summary().most_frequent.expect("a value").value
        };
        assert_eq!(shown("reverseFlowDeltaMilliseconds", 20), "0.020");
        assert_eq!(shown("unionTCPFlags", 0x12), "AS");
        assert_eq!(shown("flowEndMilliseconds", 1_561_451_789_747), "2019-06-25 08:36:29.747");
        assert_eq!(shown("tcpSequenceNumber", 0xbeef), "0xbeef");
    }

    #[test]
    fn nothing_contradicts_nothing() {
        let summary = ColumnEvidence::new("collectorName").summary();
        for claim in [Claim::Constant, Claim::NearConstant { min_share: 1.0 }, Claim::Noise] {
            assert!(!summary.contradicts(claim));
        }
    }
}
