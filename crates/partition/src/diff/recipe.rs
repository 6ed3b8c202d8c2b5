//! What was done to the rows.

use serde::Serialize;

use super::{CountChange, Counts, TextChange, paired, texts};
use crate::manifest::{Manifest, RecipeReference, Selection};

/// What was done to the rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecipeDiff {
    /// Name and digest of the recipe.
    pub reference: Vec<TextChange>,
    /// What was asked for; absent when it is the same.
    pub selection: Option<SelectionChange>,
    /// Rows that rules removed, by rule.
    pub rules: Vec<CountChange>,
    /// Values that repairs changed, by repair.
    pub repairs: Vec<CountChange>,
    /// Values that columns cannot hold, by column and reason.
    pub not_encoded: Vec<NotEncodedChange>,
}

/// What was asked for; absent on a side when all was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SelectionChange {
    /// In A.
    pub a: Option<Selection>,
    /// In B.
    pub b: Option<Selection>,
}

/// Values of one kind that a column cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotEncodedChange {
    /// The column.
    pub column: String,
    /// Kind of the values.
    pub reason: String,
    /// How many there are.
    #[serde(flatten)]
    pub counts: Counts,
}

impl RecipeDiff {
    pub(super) fn is_empty(&self) -> bool {
        let Self { reference, selection, rules, repairs, not_encoded } = self;
        reference.is_empty()
            && selection.is_none()
            && rules.is_empty()
            && repairs.is_empty()
            && not_encoded.is_empty()
    }

    /// Whether the same was done to the rows, whatever the recipe is called and however it is worded.
    pub(super) fn is_immaterial(&self) -> bool {
        let Self { reference: _, selection, rules, repairs, not_encoded } = self;
        selection.is_none() && rules.is_empty() && repairs.is_empty() && not_encoded.is_empty()
    }
}

/// Compares what was done to the rows of two lakes.
pub(super) fn changes(a: &Manifest, b: &Manifest) -> RecipeDiff {
    let RecipeReference { name, digest } = &a.recipe;
    let reference = texts([("name", name, &b.recipe.name), ("digest", digest, &b.recipe.digest)]);
    let selection = (a.selection != b.selection)
        .then(|| SelectionChange { a: a.selection.clone(), b: b.selection.clone() });
    let rules = paired(&a.row_accounting.removed, &b.row_accounting.removed, |removed| &removed.rule);
    let rules = rules.into_iter().filter_map(|(rule, a, b)| {
        CountChange::of(rule, a.map(|removed| removed.rows), b.map(|removed| removed.rows))
    });
    let repairs = paired(&a.repairs, &b.repairs, |repair| &repair.name);
    let repairs = repairs.into_iter().filter_map(|(name, a, b)| {
        CountChange::of(name, a.map(|repair| repair.values), b.map(|repair| repair.values))
    });
    let not_encoded = paired(&a.not_encoded, &b.not_encoded, |entry| (&entry.column, &entry.reason));
    let not_encoded = not_encoded.into_iter().filter_map(|((column, reason), a, b)| {
        let counts = Counts::of(a.map(|entry| entry.values), b.map(|entry| entry.values))?;
        Some(NotEncodedChange { column: column.clone(), reason: reason.clone(), counts })
    });
    RecipeDiff {
        reference,
        selection,
        rules: rules.collect(),
        repairs: repairs.collect(),
        not_encoded: not_encoded.collect(),
    }
}
