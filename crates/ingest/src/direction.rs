//! Who started a flow: the labelled device or somebody else.
//!
//! That is told by the MAC addresses while a line is decoded, because half of a dump's flows are of no use to a recipe that
//! only keeps those of the device: they are checked and counted like all others, but get no row.

use polars_arrow::array::View;

use crate::catalogue::MacAddress;

/// Column of a [`RawBatch`](crate::RawBatch) with the direction's name.
pub const DIRECTION: &str = "direction";

/// Which end of a flow is the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The source is.
    FromDevice,
    /// The destination is.
    ToDevice,
    /// Both ends carry the device's MAC address.
    Both,
    /// Neither does.
    Neither,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::FromDevice, Self::ToDevice, Self::Both, Self::Neither];

    /// Name in recipes and columns.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::FromDevice => "fromDevice",
            Self::ToDevice => "toDevice",
            Self::Both => "both",
            Self::Neither => "neither",
        }
    }

    /// The direction of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|direction| direction.name() == name)
    }
}

/// Flows by direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Directions {
    /// [`Direction::FromDevice`].
    pub from_device: u64,
    /// [`Direction::ToDevice`].
    pub to_device: u64,
    /// [`Direction::Both`].
    pub both: u64,
    /// [`Direction::Neither`].
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

    /// Flows of one direction.
    #[must_use]
    pub fn count(self, direction: Direction) -> u64 {
        match direction {
            Direction::FromDevice => self.from_device,
            Direction::ToDevice => self.to_device,
            Direction::Both => self.both,
            Direction::Neither => self.neither,
        }
    }

    pub(crate) fn count_one(&mut self, direction: Direction) {
        *match direction {
            Direction::FromDevice => &mut self.from_device,
            Direction::ToDevice => &mut self.to_device,
            Direction::Both => &mut self.both,
            Direction::Neither => &mut self.neither,
        } += 1;
    }
}

/// Some directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DirectionSet(u8);

impl DirectionSet {
    /// Adds a direction.
    pub fn insert(&mut self, direction: Direction) {
        self.0 |= 1 << direction as u8;
    }

    /// Whether a direction is in it.
    #[must_use]
    pub fn contains(self, direction: Direction) -> bool {
        self.0 >> (direction as u8) & 1 == 1
    }
}

impl FromIterator<Direction> for DirectionSet {
    fn from_iter<T: IntoIterator<Item = Direction>>(directions: T) -> Self {
        let mut set = Self::default();
        directions.into_iter().for_each(|direction| set.insert(direction));
        set
    }
}

/// Addresses remembered.
const SLOTS: usize = 16;

/// Tells directions; remembers what it said of the addresses of one interner.
pub(crate) struct DirectionTeller {
    device: MacAddress,
    known: [Option<(View, bool)>; SLOTS],
}

impl DirectionTeller {
    pub(crate) fn new(device: MacAddress) -> Self {
        Self { device, known: [None; SLOTS] }
    }

    /// The direction of a flow between two MAC addresses, interned in `text`.
    #[inline]
    pub(crate) fn tell(&mut self, source: View, destination: View, text: &[u8]) -> Direction {
        match (self.is_device(source, text), self.is_device(destination, text)) {
            (true, false) => Direction::FromDevice,
            (false, true) => Direction::ToDevice,
            (true, true) => Direction::Both,
            (false, false) => Direction::Neither,
        }
    }

    #[inline]
    fn is_device(&mut self, address: View, text: &[u8]) -> bool {
        // MAC addresses are longer than what fits into a view, so the offset tells them apart.
        let slot = address.offset as usize / 16 % SLOTS;
        match self.known[slot] {
            Some((known, is_device)) if known == address => is_device,
            _ => {
                let bytes = &text[address.offset as usize..][..address.length as usize];
                let parsed = std::str::from_utf8(bytes).ok().and_then(MacAddress::parse_exported);
                let is_device = parsed == Some(self.device);
                self.known[slot] = Some((address, is_device));
                is_device
            }
        }
    }
}
