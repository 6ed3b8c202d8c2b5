//! Numbers that differ.

use serde::Serialize;

/// How many there are on each side, where these are not as many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// How many in A; absent when it is not counted there.
    pub a: Option<u64>,
    /// How many in B; absent when it is not counted there.
    pub b: Option<u64>,
    /// How many more B has.
    pub difference: i128,
}

/// A number that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CountChange {
    /// What is counted.
    pub name: String,
    /// How many there are.
    #[serde(flatten)]
    pub counts: Counts,
}

impl Counts {
    /// `None` when both are the same.
    pub(super) fn of(a: Option<u64>, b: Option<u64>) -> Option<Self> {
        let difference = i128::from(b.unwrap_or(0)) - i128::from(a.unwrap_or(0));
        (a != b).then_some(Self { a, b, difference })
    }
}

impl CountChange {
    /// `None` when both are the same.
    pub(super) fn of(name: &str, a: Option<u64>, b: Option<u64>) -> Option<Self> {
        Some(Self { counts: Counts::of(a, b)?, name: name.to_owned() })
    }
}

/// Those of some numbers that differ.
pub(super) fn differing<const N: usize>(counts: [(&str, u64, u64); N]) -> Vec<CountChange> {
    counts.into_iter().filter_map(|(name, a, b)| CountChange::of(name, Some(a), Some(b))).collect()
}
