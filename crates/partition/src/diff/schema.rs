//! Columns: which came, went, moved or mean something else.

use std::collections::BTreeSet;

use serde::Serialize;

use super::paired;
use crate::manifest::{Column, DroppedColumn, Manifest, Schema};

/// Columns and dropped columns that are not the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaDiff {
    /// Columns of the files and of directories, by name.
    pub columns: Vec<ColumnChange>,
    /// Raw fields that are dropped in one only, or for other reasons, by name.
    pub dropped_columns: Vec<DroppedChange>,
    /// Columns of both whose profiles differ, which they do wherever rows do. By name.
    pub profiles: Vec<String>,
    /// Dropped columns of both whose evidence differs. By name.
    pub evidence: Vec<String>,
}

/// A column that only one has, or that is not the same in both.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnChange {
    /// Its name.
    pub name: String,
    /// What of it differs, in the order of keys in the manifest: none when only one has it. `place` is file or directory,
    /// `position` that it moved among the columns of both.
    pub differs: Vec<&'static str>,
    /// What it is in A; absent when A has no such column.
    pub a: Option<ColumnSide>,
    /// What it is in B; absent when B has no such column.
    pub b: Option<ColumnSide>,
}

/// What a column is on one side.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ColumnSide {
    /// Where its values are.
    pub place: ColumnPlace,
    /// Which one of its place it is, from 1.
    pub position: usize,
    /// Its entry in the manifest, without the profile.
    #[serde(flatten)]
    pub column: Column,
}

/// Where the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ColumnPlace {
    /// In the files.
    File,
    /// In the names of directories.
    Directory,
}

/// A raw field that is dropped in one only, or for another reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedChange {
    /// The raw field.
    pub name: String,
    /// Why it is in A; absent when it is not.
    pub a: Option<DroppedReason>,
    /// Why it is in B; absent when it is not.
    pub b: Option<DroppedReason>,
}

/// Why a raw field is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedReason {
    /// Kind of reason.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
}

impl SchemaDiff {
    pub(super) fn is_empty(&self) -> bool {
        let Self { columns, dropped_columns, profiles, evidence } = self;
        columns.is_empty() && dropped_columns.is_empty() && profiles.is_empty() && evidence.is_empty()
    }
}

/// Compares columns and dropped columns of two lakes.
pub(super) fn changes(a: &Manifest, b: &Manifest) -> SchemaDiff {
    let (columns_of_a, columns_of_b) = (placed(&a.schema), placed(&b.schema));
    let pairs = paired(&columns_of_a, &columns_of_b, |column| column.column.name.as_str());
    let moved = moved(pairs.iter().filter_map(|(_, a, b)| a.zip(*b)));

    let mut columns = Vec::new();
    let mut profiles = Vec::new();
    for &(name, a, b) in &pairs {
        let differs = a.zip(b).map(|(a, b)| differing(a, b, &moved)).unwrap_or_default();
        if a.is_none() || b.is_none() || !differs.is_empty() {
            let (a, b) = (a.map(Placed::side), b.map(Placed::side));
            columns.push(ColumnChange { name: name.to_owned(), differs, a, b });
        }
        if let (Some(a), Some(b)) = (a, b)
            && a.column.profile != b.column.profile
        {
            profiles.push(name.to_owned());
        }
    }

    let mut dropped_columns = Vec::new();
    let mut evidence = Vec::new();
    for (name, a, b) in paired(&a.dropped_columns, &b.dropped_columns, |column| &column.name) {
        if let (Some(a), Some(b)) = (a, b)
            && a.evidence != b.evidence
        {
            evidence.push(name.clone());
        }
        let (a, b) = (a.map(dropped_reason), b.map(dropped_reason));
        if a != b {
            dropped_columns.push(DroppedChange { name: name.clone(), a, b });
        }
    }
    SchemaDiff { columns, dropped_columns, profiles, evidence }
}

/// A column and where it is.
struct Placed<'a> {
    place: ColumnPlace,
    /// From 1.
    position: usize,
    column: &'a Column,
}

impl Placed<'_> {
    fn side(&self) -> ColumnSide {
        let column = Column { profile: None, ..self.column.clone() };
        ColumnSide { place: self.place, position: self.position, column }
    }
}

fn placed(schema: &Schema) -> Vec<Placed<'_>> {
    let Schema { columns, partition_by } = schema;
    let places = [(ColumnPlace::File, columns), (ColumnPlace::Directory, partition_by)];
    let columns = places.into_iter().flat_map(|(place, columns)| {
        let numbered = columns.iter().enumerate();
        numbered.map(move |(i, column)| Placed { place, position: i + 1, column })
    });
    columns.collect()
}

fn differing(a: &Placed<'_>, b: &Placed<'_>, moved: &BTreeSet<Position>) -> Vec<&'static str> {
    // Taken apart by name: a key that is new cannot be forgotten here.
    let Column { name: _, data_type, unit, nullable, role, description, source, derivation, profile: _ } =
        a.column;
    let other = b.column;
    let keys = [
        ("place", a.place != b.place),
        ("position", moved.contains(&(a.place, a.position))),
        ("type", *data_type != other.data_type),
        ("unit", *unit != other.unit),
        ("nullable", *nullable != other.nullable),
        ("role", *role != other.role),
        ("description", *description != other.description),
        ("source", *source != other.source),
        ("derivation", *derivation != other.derivation),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

fn dropped_reason(column: &DroppedColumn) -> DroppedReason {
    let DroppedColumn { name: _, reason, detail, evidence: _ } = column;
    DroppedReason { reason: reason.clone(), detail: detail.clone() }
}

/// Where a column is in A.
type Position = (ColumnPlace, usize);

/// Which columns of A moved: as few as possible, so that one that is put to the front does not move all others. They are those
/// outside of the longest sequence that both sides have in the same order; of several such sequences the one whose names come
/// first, which is the same from either side.
fn moved<'a>(common: impl Iterator<Item = (&'a Placed<'a>, &'a Placed<'a>)>) -> BTreeSet<Position> {
    // A column that changed its place did not move within one.
    let mut common: Vec<_> = common.filter(|(a, b)| a.place == b.place).collect();
    common.sort_by_key(|(a, _)| (a.place, a.position));
    let follows = |next: usize, before: usize| {
        let at = |(a, b): (&Placed<'_>, &Placed<'_>)| ((a.place, a.position), (b.place, b.position));
        let (next, before) = (at(common[next]), at(common[before]));
        next.0 > before.0 && next.1 > before.1
    };
    // How long the longest sequence is that begins with each.
    let mut length = vec![1_usize; common.len()];
    for i in (0..common.len()).rev() {
        let rest = (i + 1..common.len()).filter(|&next| follows(next, i)).map(|next| length[next]);
        length[i] += rest.max().unwrap_or(0);
    }
    let mut moved: BTreeSet<Position> = common.iter().map(|(a, _)| (a.place, a.position)).collect();
    let mut last = None;
    for wanted in (1..=length.iter().copied().max().unwrap_or(0)).rev() {
        let next = (0..common.len())
            .filter(|&i| length[i] == wanted && last.is_none_or(|last| follows(i, last)))
            .min_by_key(|&i| common[i].0.column.name.as_str());
        if let Some(i) = next {
            let a = common[i].0;
            moved.remove(&(a.place, a.position));
        }
        last = next;
    }
    moved
}
