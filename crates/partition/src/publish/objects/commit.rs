//! The one write that makes a lake: how it is made, and how it is found out whether it was made.

use std::time::{Duration, Instant};

use flowlake_store::{Condition, ObjectStore, Put, StoreError};

use super::Before;
use crate::manifest::MANIFEST_FILE;

/// How often a manifest is written whose fate is not clear.
const TRIES: u32 = 8;

/// A manifest on its way.
pub(super) struct Commit<'a> {
    pub(super) store: &'a ObjectStore,
    pub(super) before: &'a Before,
    pub(super) text: &'a [u8],
    pub(super) mark: &'a str,
    /// After which no write is begun any more.
    pub(super) until: Instant,
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is the manifest of the lake.
    Committed,
    /// Somebody else's is.
    Conflict,
    /// It was not written, and will not be.
    Refused(StoreError),
    /// It may have been written, or be written yet.
    Unclear(StoreError),
}

/// Whose manifest is at the target.
enum Found {
    Ours,
    /// What was there at the beginning.
    Before,
    Others,
}

impl Commit<'_> {
    /// Writes the manifest if the one that was found is still there. A lost answer, and a refusal that may be the answer to
    /// our own write that was carried out twice, are resolved by looking who is there now.
    pub(super) fn conditionally(&self) -> Outcome {
        let version = self.before.manifest.as_ref().map(|(_, stat)| stat.entry.version.as_ref());
        let condition = match version {
            None => Condition::Absent,
            Some(Some(version)) => Condition::Is(version),
            // A store that honours conditions gives versions; one that gave none for this object leaves only the look.
            Some(None) => return self.unconditionally(),
        };
        self.write(condition)
    }

    /// Writes the manifest after looking, and looks again. Only for whoever has made sure that nobody else does the same.
    pub(super) fn unconditionally(&self) -> Outcome {
        match self.look() {
            Ok(Found::Before) => self.write(Condition::Any),
            Ok(Found::Ours) => Outcome::Committed,
            Ok(Found::Others) => Outcome::Conflict,
            Err(error) => Outcome::Refused(error),
        }
    }

    /// Whether the target still has the manifest that it had at the beginning, or still none.
    pub(super) fn is_undisturbed(&self) -> Result<bool, StoreError> {
        Ok(matches!(self.look()?, Found::Before))
    }

    fn write(&self, condition: Condition<'_>) -> Outcome {
        let mut unanswered = None;
        let mut tries = 0;
        loop {
            match self.store.put(MANIFEST_FILE, self.text.to_vec(), condition, self.mark) {
                Ok(Put::Written) if condition != Condition::Any => return Outcome::Committed,
                // Without a condition somebody else may have written over it already.
                Ok(Put::Written | Put::Refused) => {}
                // Only the store itself can say that it has not written, and will not.
                Err(error) if error.may_pass() || !error.answered => unanswered = Some(error),
                Err(error) => {
                    return match unanswered {
                        None => Outcome::Refused(error),
                        Some(_) => Outcome::Unclear(error),
                    };
                }
            }
            match self.look() {
                Ok(Found::Ours) => return Outcome::Committed,
                Ok(Found::Others) => return Outcome::Conflict,
                Ok(Found::Before) => {}
                Err(error) => return Outcome::Unclear(error),
            }
            tries += 1;
            if tries == TRIES || Instant::now() >= self.until {
                // Refused every time although nothing has changed: somebody is writing there all the while.
                return unanswered.map_or(Outcome::Conflict, Outcome::Unclear);
            }
            pause(tries);
        }
    }

    fn look(&self) -> Result<Found, StoreError> {
        let found = self.store.read(MANIFEST_FILE)?;
        Ok(match (&found, &self.before.manifest) {
            // The same bytes may be somebody else's, where the store keeps marks.
            (Some((bytes, stat)), _)
                if bytes == self.text && stat.mark.as_deref().is_none_or(|mark| mark == self.mark) =>
            {
                Found::Ours
            }
            (Some((bytes, stat)), Some((old_bytes, old))) if bytes == old_bytes && stat.mark == old.mark => {
                Found::Before
            }
            (None, None) => Found::Before,
            _ => Found::Others,
        })
    }
}

/// Growing, up to some seconds.
fn pause(tries: u32) {
    std::thread::sleep(Duration::from_millis(50).saturating_mul(1 << tries.min(6)));
}
