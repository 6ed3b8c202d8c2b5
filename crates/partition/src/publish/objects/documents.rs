//! The small files of a release that have names anybody could give: README.md and the like.
//!
//! Names of data files say their content, so nobody can write others over them. These cannot, so they are written last, just
//! before the manifest, and like it on the condition that nobody else has been there since the beginning.

use flowlake_store::{Condition, ObjectStore, Put, StoreError};

use super::Before;
use crate::layout::{DATA_DIRECTORY, REJECTED_DIRECTORY};
use crate::manifest::RELEASE_DOCUMENTS;

/// Whether this lies where neither data nor rejected lines do.
pub(super) fn is_document(path: &str) -> bool {
    ![DATA_DIRECTORY, REJECTED_DIRECTORY].contains(&path.split('/').next().unwrap_or_default())
}

/// Whether all of these were left behind by releases that did not end well: they have names of documents, and ours bear a mark.
pub(super) fn are_leftovers(store: &ObjectStore, paths: &[&str]) -> Result<bool, StoreError> {
    let may_be = |path: &str| {
        RELEASE_DOCUMENTS.contains(&path)
            || path.strip_prefix("config/").is_some_and(|rest| rest.ends_with(".toml"))
    };
    if !paths.iter().all(|path| may_be(path)) {
        return Ok(false);
    }
    Ok(store
        .stat_all(paths)?
        .iter()
        .flatten()
        .all(|stat| stat.mark.as_deref().is_some_and(|mark| !mark.is_empty())))
}

/// Documents on their way.
pub(super) struct Documents<'a> {
    pub(super) store: &'a ObjectStore,
    pub(super) before: &'a Before,
    pub(super) mark: &'a str,
    /// Whether the store honours conditions; if not, nobody else is writing there now.
    pub(super) conditions: bool,
}

impl Documents<'_> {
    /// Writes a document; `false` when somebody else has since the beginning.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> Result<bool, StoreError> {
        let version = self.before.objects.get(path).map(|entry| entry.version.as_ref());
        let condition = match version {
            _ if !self.conditions => Condition::Any,
            None => Condition::Absent,
            Some(Some(version)) => Condition::Is(version),
            Some(None) => Condition::Any,
        };
        match self.store.put_until_answered(path, bytes, condition, self.mark)? {
            Put::Written => Ok(true),
            // Perhaps by ourselves, and the answer was lost.
            Put::Refused => {
                let found = self.store.stat(path)?;
                Ok(found.is_some_and(|stat| stat.mark.as_deref() == Some(self.mark)))
            }
        }
    }
}
