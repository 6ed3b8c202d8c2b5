//! Who started a flow: the labelled device or somebody else.

use flowlake_ingest::MacAddress;
use polars::prelude::{Column, IntoColumn, NewChunkedArray, PlSmallStr, PolarsResult, StringChunked};

/// Name of the column.
pub const DIRECTION: &str = "direction";

/// Its values.
pub(crate) const DIRECTION_NAMES: [&str; 4] = ["fromDevice", "toDevice", "both", "neither"];

/// Flows by direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directions {
    /// The source is the device: `fromDevice`.
    pub from_device: u64,
    /// The destination is the device: `toDevice`.
    pub to_device: u64,
    /// Both ends carry the device's MAC address: `both`.
    pub both: u64,
    /// Neither does: `neither`.
    pub neither: u64,
}

impl Directions {
    /// Adds the counts of another batch.
    pub fn add(&mut self, other: Self) {
        self.from_device += other.from_device;
        self.to_device += other.to_device;
        self.both += other.both;
        self.neither += other.neither;
    }
}

/// Tells the direction of each flow from canonical MAC addresses.
pub(crate) fn directions(
    source: &Column,
    destination: &Column,
    device: MacAddress,
) -> PolarsResult<(Column, Directions)> {
    let device = device.to_string();
    let mut counts = Directions::default();
    let (source, destination) = (source.str()?, destination.str()?);
    let names = source.iter().zip(destination.iter()).map(|(source, destination)| {
        let from = source == Some(device.as_str());
        let to = destination == Some(device.as_str());
        let (count, name) = match (from, to) {
            (true, false) => (&mut counts.from_device, DIRECTION_NAMES[0]),
            (false, true) => (&mut counts.to_device, DIRECTION_NAMES[1]),
            (true, true) => (&mut counts.both, DIRECTION_NAMES[2]),
            (false, false) => (&mut counts.neither, DIRECTION_NAMES[3]),
        };
        *count += 1;
        name
    });
    let column = StringChunked::from_iter_values(PlSmallStr::from_static(DIRECTION), names).into_column();
    Ok((column, counts))
}
