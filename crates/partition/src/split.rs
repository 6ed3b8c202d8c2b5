//! Cuts a frame by the month of its flow start.
//!
//! Dumps are nearly in order of time, so almost every frame lies in one month, and most of the others are a few long
//! runs: those are passed on or sliced without a copy. Only where months really alternate are rows gathered. Rows keep
//! their order inside each month, because their order in the lake is the order of the dump.

use std::collections::BTreeMap;

use polars::prelude::{DataFrame, DataType, IdxCa, IdxSize, NamedFrom, PolarsError, TimeUnit};

use crate::layout::{LayoutError, Month};
use crate::table::is_utc;

/// Why a frame cannot be cut by month.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// The flow start is not a column of UTC milliseconds without nulls.
    #[error("{column} is no column of UTC milliseconds without nulls")]
    FlowStart {
        /// The column.
        column: String,
    },
    /// A flow start has no month.
    #[error("a value of {column} has no month")]
    Month {
        /// The column.
        column: String,
        /// Why.
        source: LayoutError,
    },
    /// Rows could not be gathered.
    #[error("cannot gather the rows of {month}")]
    Gather {
        /// The month.
        month: Month,
        /// Why.
        source: PolarsError,
    },
}

/// Cuts `frame` by the month of its column `flow_start` (milliseconds, UTC, not null): one frame per month, ascending,
/// rows in their old order. No frame is empty; an empty frame gives none.
///
/// # Errors
/// When the column is missing, of another type, has nulls or holds a time outside the years 0 to 9999.
pub fn split_by_month(frame: DataFrame, flow_start: &str) -> Result<Vec<(Month, DataFrame)>, SplitError> {
    let runs = month_runs(&frame, flow_start)?;
    match runs.as_slice() {
        [] => return Ok(Vec::new()),
        [only] => return Ok(vec![(only.month, frame)]),
        _ => {}
    }

    let mut by_month: BTreeMap<Month, Vec<Run>> = BTreeMap::new();
    for run in runs {
        by_month.entry(run.month).or_default().push(run);
    }
    by_month
        .into_iter()
        .map(|(month, runs)| {
            if let [run] = runs.as_slice() {
                return Ok((month, frame.slice(run.start as i64, run.rows)));
            }
            let rows: Vec<IdxSize> =
                runs.iter().flat_map(|run| run.start as IdxSize..(run.start + run.rows) as IdxSize).collect();
            let part = frame
                .take(&IdxCa::new("rows".into(), rows))
                .map_err(|source| SplitError::Gather { month, source })?;
            Ok((month, part))
        })
        .collect()
}

/// Neighbouring rows of one month.
struct Run {
    month: Month,
    start: usize,
    rows: usize,
}

fn month_runs(frame: &DataFrame, flow_start: &str) -> Result<Vec<Run>, SplitError> {
    let wrong = || SplitError::FlowStart { column: flow_start.to_owned() };
    let column = frame.column(flow_start).map_err(|_| wrong())?;
    if !matches!(column.dtype(), DataType::Datetime(TimeUnit::Milliseconds, zone) if is_utc(zone.as_ref()))
        || column.null_count() > 0
    {
        return Err(wrong());
    }
    let series = column.as_materialized_series();
    let chunks = series.datetime().map_err(|_| wrong())?.physical();
    let month_of = |millis| {
        Month::from_epoch_millis(millis)
            .map_err(|source| SplitError::Month { column: flow_start.to_owned(), source })
    };

    // Most frames lie in one month: minimum and maximum say so in a pass the compiler vectorises.
    let (mut min, mut max) = (i64::MAX, i64::MIN);
    for chunk in chunks.downcast_iter() {
        for &millis in chunk.values().iter() {
            min = min.min(millis);
            max = max.max(millis);
        }
    }
    if frame.height() == 0 {
        return Ok(Vec::new());
    }
    let first = month_of(min)?;
    if first == month_of(max)? {
        return Ok(vec![Run { month: first, start: 0, rows: frame.height() }]);
    }

    let mut runs: Vec<Run> = Vec::new();
    let mut bounds = 0..0;
    let values = chunks.downcast_iter().flat_map(|chunk| chunk.values().iter().copied());
    for (row, millis) in values.enumerate() {
        match runs.last_mut() {
            Some(run) if bounds.contains(&millis) => run.rows += 1,
            _ => {
                let month = month_of(millis)?;
                bounds = month.start_millis()..month.end_millis();
                runs.push(Run { month, start: row, rows: 1 });
            }
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::prelude::{Column, IntoColumn, NamedFrom, Series};
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000;

    /// A frame of times and of their row numbers, in chunks of the given sizes.
    fn frame(millis: &[i64], zone: bool, cut: usize) -> DataFrame {
        let zone = zone.then_some(polars::prelude::TimeZone::UTC);
        let whole = DataFrame::new_infer_height(vec![
            Series::new("start".into(), millis)
                .cast(&DataType::Datetime(TimeUnit::Milliseconds, zone))
                .expect("a timestamp")
                .into_column(),
            Column::new("row".into(), (0..millis.len() as i64).collect::<Vec<_>>()),
        ])
        .expect("same heights");
        let cut = cut.min(millis.len());
        whole.slice(0, cut).vstack(&whole.slice(cut as i64, millis.len() - cut)).expect("same columns")
    }

    fn rows_of(frame: &DataFrame) -> Vec<i64> {
        let rows = frame.column("row").expect("there").as_materialized_series().clone();
        rows.i64().expect("integers").into_no_null_iter().collect()
    }

    proptest! {
        #[test]
        fn every_row_lands_in_its_month_in_order(
            days in prop::collection::vec(17_000i64..17_200, 0..200),
            sorted in any::<bool>(),
            zone in any::<bool>(),
            cut in 0usize..200,
        ) {
            let mut millis: Vec<i64> = days.into_iter().map(|day| day * DAY + 3).collect();
            if sorted {
                millis.sort_unstable();
            }
            let parts = split_by_month(frame(&millis, zone, cut), "start").expect("it splits");
            prop_assert!(parts.is_sorted_by(|a, b| a.0 < b.0));
            let mut seen = 0;
            for (month, part) in &parts {
                let rows = rows_of(part);
                let expected: Vec<i64> = (0..millis.len() as i64)
                    .filter(|&row| month.contains_millis(millis[row as usize]))
                    .collect();
                prop_assert!(!rows.is_empty());
                prop_assert_eq!(&rows, &expected);
                seen += rows.len();
            }
            prop_assert_eq!(seen, millis.len());
        }
    }

    #[test]
    fn columns_that_cannot_decide_a_month_are_refused() {
        let good = frame(&[0, DAY], true, 0);
        assert!(matches!(split_by_month(good.clone(), "end"), Err(SplitError::FlowStart { .. })));
        assert!(matches!(split_by_month(good.clone(), "row"), Err(SplitError::FlowStart { .. })));
        let far = frame(&[0, i64::MAX], true, 0);
        assert!(matches!(split_by_month(far, "start"), Err(SplitError::Month { .. })));
        let mut nulls = good;
        let null = Series::new("start".into(), &[Some(0i64), None])
            .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
            .expect("a timestamp");
        nulls.with_column(null.into_column()).expect("same height");
        assert!(matches!(split_by_month(nulls, "start"), Err(SplitError::FlowStart { .. })));
    }
}
