//! Entries of a manifest: in it, or in lists beside it when they are too many for one document.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Sources, data files or warnings. Where a manifest was read from lists, these are still known.
#[derive(Debug, Clone)]
pub struct Entries<T> {
    entries: Vec<T>,
    lists: Vec<ListFile>,
    /// Whether what is in the lists is not here.
    is_outside: bool,
}

/// A file of entries, one JSON object a line, compressed with Zstandard (docs/FORMAT.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListFile {
    /// Path below the lake's root, with `/`.
    pub path: String,
    /// Lines in it.
    pub entries: u64,
    /// Size.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// What stands in a manifest instead of the entries.
#[derive(Serialize, Deserialize)]
struct Index<L> {
    lists: L,
}

impl<T> Entries<T> {
    /// Those that are in these lists, which are not read yet.
    pub(super) fn in_lists(lists: Vec<ListFile>) -> Self {
        Self { entries: Vec::new(), lists, is_outside: true }
    }

    /// Whether what is in the lists is still to be read.
    pub(super) fn is_outside(&self) -> bool {
        self.is_outside
    }

    /// Takes what was in the lists.
    pub(super) fn loaded(&mut self, entries: Vec<T>) {
        self.entries = entries;
        self.is_outside = false;
    }

    /// The lists that they were read from; none if they were in the manifest itself, or were never read.
    #[must_use]
    pub fn lists(&self) -> &[ListFile] {
        &self.lists
    }

    /// Adds one.
    pub fn push(&mut self, entry: T) {
        self.entries.push(entry);
    }

    /// The entries alone.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.entries
    }
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T> From<Vec<T>> for Entries<T> {
    fn from(entries: Vec<T>) -> Self {
        Self { entries, lists: Vec::new(), is_outside: false }
    }
}

impl<T> FromIterator<T> for Entries<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        Vec::from_iter(entries).into()
    }
}

/// Wherever they were.
impl<T: PartialEq> PartialEq for Entries<T> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<T> Deref for Entries<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.entries
    }
}

impl<T> DerefMut for Entries<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.entries
    }
}

impl<'a, T> IntoIterator for &'a Entries<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Entries<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter_mut()
    }
}

impl<T> IntoIterator for Entries<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<T: Serialize> Serialize for Entries<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_outside {
            Index { lists: &self.lists }.serialize(serializer)
        } else {
            self.entries.serialize(serializer)
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("entries, or the lists that hold them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(entries)).map(Entries::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Index::deserialize(MapAccessDeserializer::new(map)).map(|index| Entries::in_lists(index.lists))
    }
}
