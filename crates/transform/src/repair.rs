//! Repairs: values exporters write in a way that does not say what it means.
//!
//! A repair replaces a value by what it means and is counted over the rows kept, so that a reader of a lake knows how
//! many values in it differ from the dump. docs/input-format.md has the evidence for each.

use polars::prelude::{
    DataFrame, DataType, Expr, Int64Chunked, IntoColumn, NewChunkedArray, PlSmallStr, PolarsResult, col, lit,
    when,
};

use crate::kernels::{AddressRepairs, canonical_ip, canonical_mac, text_field, text_field_of_first};

/// Prefix of columns that hold repaired values beside the raw ones; no raw field starts so.
pub(crate) const REPAIRED: &str = "repaired:";

/// What `::` opposite an IPv4 address is.
pub(crate) const UNSPECIFIED: &str = "0.0.0.0";

/// A repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// The stray `:` behind MAC addresses is dropped; upper case and `-` become lower case and `:`.
    MacTrailingColon,
    /// IPv6 addresses are written as RFC 5952 has them.
    Ipv6Canonical,
    /// `::` opposite an IPv4 address is 0.0.0.0.
    Ipv4Unspecified,
    /// Durations become integer milliseconds, whatever unit they were written in.
    DurationMilliseconds,
    /// An empty flow end reason means that the flow closed normally.
    FlowEndReasonClosed,
}

impl Repair {
    /// Every repair, in the order of the manifest.
    pub const ALL: [Self; 5] = [
        Self::MacTrailingColon,
        Self::Ipv6Canonical,
        Self::Ipv4Unspecified,
        Self::DurationMilliseconds,
        Self::FlowEndReasonClosed,
    ];

    /// Name in recipes and manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MacTrailingColon => "macTrailingColon",
            Self::Ipv6Canonical => "ipv6Canonical",
            Self::Ipv4Unspecified => "ipv4Unspecified",
            Self::DurationMilliseconds => "durationMilliseconds",
            Self::FlowEndReasonClosed => "flowEndReasonClosed",
        }
    }

    /// The repair of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|repair| repair.name() == name)
    }
}

/// Name of the column that holds the repaired values of a field.
pub(crate) fn repaired(field: &str) -> String {
    format!("{REPAIRED}{field}")
}

/// Columns with repaired values, for all fields a repair of the recipe can touch.
pub(crate) fn repaired_columns(repairs: &[Repair]) -> Vec<Expr> {
    let mut columns = Vec::new();
    if repairs.contains(&Repair::MacTrailingColon) {
        for mac in ["sourceMacAddress", "destinationMacAddress"] {
            let kernel = |column: polars::prelude::Column| canonical_mac(&column);
            columns.push(col(mac).map(kernel, text_field).alias(repaired(mac)));
        }
    }
    let addresses = AddressRepairs {
        canonical: repairs.contains(&Repair::Ipv6Canonical),
        unspecified: repairs.contains(&Repair::Ipv4Unspecified),
    };
    if addresses.canonical || addresses.unspecified {
        for (address, other) in
            [("sourceIPv4Address", "destinationIPv4Address"), ("destinationIPv4Address", "sourceIPv4Address")]
        {
            let kernel = move |columns: &mut [polars::prelude::Column]| {
                canonical_ip(&columns[0], &columns[1], addresses)
            };
            columns.push(
                col(address).map_many(kernel, &[col(other)], text_field_of_first).alias(repaired(address)),
            );
        }
    }
    if repairs.contains(&Repair::DurationMilliseconds) {
        columns.push(elapsed().alias(repaired("flowDurationMilliseconds")));
        columns.push(reverse_delta().alias(repaired("reverseFlowDeltaMilliseconds")));
    }
    if repairs.contains(&Repair::FlowEndReasonClosed) {
        let reason = col("flowEndReason");
        let closed = when(reason.clone().eq(lit(""))).then(lit("closed")).otherwise(reason);
        columns.push(closed.alias(repaired("flowEndReason")));
    }
    columns
}

/// How many values a repair changed in a frame with [`repaired_columns`].
pub(crate) fn touched(repair: Repair, flows: &DataFrame) -> PolarsResult<u64> {
    match repair {
        Repair::MacTrailingColon => {
            let [a, b] =
                ["sourceMacAddress", "destinationMacAddress"].map(|mac| texts_changed(flows, mac, |_| true));
            Ok(a? + b?)
        }
        Repair::Ipv6Canonical | Repair::Ipv4Unspecified => {
            let unspecified = repair == Repair::Ipv4Unspecified;
            let [a, b] = ["sourceIPv4Address", "destinationIPv4Address"]
                .map(|address| texts_changed(flows, address, |now| (now == UNSPECIFIED) == unspecified));
            Ok(a? + b?)
        }
        Repair::DurationMilliseconds => {
            let [a, b] = ["flowDurationMilliseconds", "reverseFlowDeltaMilliseconds"].map(
                |field| -> PolarsResult<u64> {
                    let (written, now) =
                        (flows.column(field)?.i64()?, flows.column(&repaired(field))?.i64()?);
                    let changed = written.iter().zip(now.iter()).filter(|(written, now)| {
                        written.zip(*now).is_some_and(|(written, now)| written != now.wrapping_mul(1000))
                    });
                    Ok(changed.count() as u64)
                },
            );
            Ok(a? + b?)
        }
        Repair::FlowEndReasonClosed => texts_changed(flows, "flowEndReason", |_| true),
    }
}

/// How many texts of a field are now another one, of which `counts` holds.
fn texts_changed(flows: &DataFrame, field: &str, counts: impl Fn(&str) -> bool) -> PolarsResult<u64> {
    let (written, now) = (flows.column(field)?.str()?, flows.column(&repaired(field))?.str()?);
    let changed = written.iter().zip(now.iter()).filter(|(written, now)| {
        written.zip(*now).is_some_and(|(written, now)| written != now && counts(now))
    });
    Ok(changed.count() as u64)
}

/// Milliseconds from a flow's start to its end. Written durations agree with it to a millisecond, in one unit or the
/// other; where they do not, the two times are what the other columns say.
fn elapsed() -> Expr {
    col("flowEndMilliseconds").cast(DataType::Int64) - col("flowStartMilliseconds").cast(DataType::Int64)
}

/// The reverse delta in milliseconds. Its unit is the written duration's, told by comparing that with the times: the name
/// of the field and the number alone cannot tell. Where that does not decide, the unit is the one under which the first
/// reverse packet is not after the last packet.
fn reverse_delta() -> Expr {
    let duration = "flowDurationMilliseconds";
    let delta = "reverseFlowDeltaMilliseconds";
    let kernel = move |columns: &mut [polars::prelude::Column]| {
        let delta = columns[0].i64()?;
        let duration = columns[1].i64()?;
        let elapsed = columns[2].i64()?;
        let millis =
            delta.iter().zip(duration.iter()).zip(elapsed.iter()).map(|((delta, duration), elapsed)| {
                delta.map(|delta| delta_millis(delta, duration, elapsed.unwrap_or_default()))
            });
        Ok(Int64Chunked::from_iter_options(PlSmallStr::EMPTY, millis).into_column())
    };
    let output = |_: &polars::prelude::Schema, fields: &[polars::prelude::Field]| {
        Ok(polars::prelude::Field::new(fields[0].name().clone(), DataType::Int64))
    };
    col(delta).map_many(kernel, &[col(duration), elapsed()], output)
}

/// `delta` and `duration` as written, in thousandths; `elapsed` in milliseconds.
fn delta_millis(delta: i64, duration: Option<i64>, elapsed: i64) -> i64 {
    // A number in seconds has its milliseconds in the thousandths.
    let as_seconds = delta;
    let as_millis = (delta + 500).div_euclid(1000);
    let (seconds_agree, millis_agree) = duration.map_or((false, false), |duration| {
        let difference = (duration - elapsed * 1000).abs();
        ((duration - elapsed).abs() <= 1, difference <= 1000)
    });
    match (seconds_agree, millis_agree) {
        (true, false) => as_seconds,
        (false, true) => as_millis,
        _ if as_seconds <= elapsed + 1 => as_seconds,
        // Where neither fits, milliseconds are the lesser error.
        _ => as_millis,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_the_reverse_delta_is_that_of_the_duration() {
        assert_eq!(delta_millis(217, Some(1_799_999), 1_799_999), 217, "0.217 s beside 1799.999 s");
        assert_eq!(delta_millis(217_000, Some(1_799_999_000), 1_799_999), 217, "217 ms beside 1799999 ms");
        assert_eq!(delta_millis(1, Some(1), 1), 1, "0.001 beside 0.001: seconds");
        assert_eq!(
            delta_millis(1000, Some(1000), 1),
            1,
            "1 beside 1: milliseconds, for a second would be too long"
        );
        assert_eq!(delta_millis(0, Some(0), 0), 0);
        assert_eq!(delta_millis(250, None, 3000), 250, "no duration: seconds fit");
        assert_eq!(delta_millis(250_000, None, 3000), 250, "no duration: only milliseconds fit");
    }
}
