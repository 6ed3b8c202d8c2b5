//! Publishes a lake in an object store: data first, the manifest last and at once.
//!
//! Nothing can be swapped there, so the manifest is the lake: what it does not list is not in it. The names of data
//! files say their content, so a new lake's objects lie beside those of the one it replaces and never over them, and a
//! reader who goes by the manifest sees the old lake or the new one. Two builds that meet at one target are told apart by
//! the condition under which the manifest is written: that it is still the one, or still absent, that the build found.
//!
//! A store that takes conditional writes for plain ones ([`ObjectStore::honours_conditions`]) decides no race. There a
//! build announces its commit with a claim, and goes on only if nobody else announced one (`claim.rs`).

mod claim;
mod commit;
mod documents;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use flowlake_store::{
    Cancelled, Entry, LakeStore, Location, ObjectStore, Stat, StoreError, Upload, Uploads, unique_name,
};

use self::claim::{COMMIT_TIME, Claim, WRITE_TIME};
use self::commit::{Commit, Outcome};
use self::documents::{Documents, are_leftovers, is_document};
use super::scratch::Scratch;
use super::{PublishError, PublishMode, Target, check_mode, write_manifest};
use crate::layout::{DATA_DIRECTORY, DataPath, NameDigest, REJECTED_DIRECTORY};
use crate::manifest::{LISTS_DIRECTORY, Listing, MANIFEST_FILE, Manifest, Written, is_list};
use crate::read::{ReadError, understand_manifest};

/// Objects of the moment: probes and claims.
pub(crate) const TRANSIENT: &str = ".flowlake-";
/// How long a request may take that only tidies up after a failure.
const TIDY_TIME: Duration = Duration::from_secs(20);
/// Name of the directory of files that wait to be uploaded.
const SPOOL: &str = "flowlake-upload";

/// A lake in the making, for an object store. Files are made in a directory of this machine ([`ObjectStaging::root`]) and
/// uploaded as soon as they are complete. Dropped without [`ObjectStaging::publish`], it takes back what it uploaded.
#[derive(Debug)]
pub struct ObjectStaging {
    store: ObjectStore,
    spool: Scratch,
    before: Before,
    honours_conditions: bool,
    uploads: Uploads,
    /// Tells our manifest from one with the same bytes.
    mark: String,
    /// Small files that are written just before the manifest.
    documents: Vec<(String, Vec<u8>)>,
    /// Paths of those that were written, or may have been.
    documents_written: Vec<String>,
    /// What is to become of the objects that were uploaded, if this goes no further.
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Nobody knows of them.
    TakeBack,
    /// They are part of a lake, or may yet become one.
    Keep,
}

/// What was at the target at the beginning.
#[derive(Debug)]
pub(super) struct Before {
    /// The manifest, as it was read.
    pub(super) manifest: Option<(Vec<u8>, Stat)>,
    /// All objects by path.
    objects: BTreeMap<String, Entry>,
}

/// A lake that was published.
#[derive(Debug)]
pub struct Published {
    /// What could not be tidied up afterwards; the lake is there all the same.
    pub left: Vec<StoreError>,
}

impl ObjectStaging {
    /// Looks at the target and finds out what the store can do. Writes nothing that stays.
    ///
    /// # Errors
    /// When `mode` does not allow what is at the target, or it cannot be read, written and deleted.
    pub fn create(store: &ObjectStore, mode: PublishMode) -> Result<Self, PublishError> {
        let before = Before::look(store, mode)?;
        let honours_conditions = store.honours_conditions()?;
        Ok(Self {
            store: store.clone(),
            spool: Scratch::create(SPOOL)?,
            before,
            honours_conditions,
            uploads: store.uploads(),
            mark: unique_name(),
            documents: Vec::new(),
            documents_written: Vec::new(),
            fate: Fate::TakeBack,
        })
    }

    /// Whether the store decides a race of two builds by itself.
    #[must_use]
    pub fn honours_conditions(&self) -> bool {
        self.honours_conditions
    }

    /// The root of the lake on this machine while it is built.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.spool.root()
    }

    /// Takes a complete file below [`ObjectStaging::root`]: it is uploaded in the background and removed. Waits while many
    /// others are being uploaded. What the store has already is not uploaded again.
    ///
    /// # Errors
    /// When an earlier one cannot be uploaded.
    pub fn add(&self, path: &str, bytes: u64, sha256: &str) -> Result<(), PublishError> {
        Ok(self.uploads.add(Upload {
            path: path.to_owned(),
            file: self.spool.root().join(path),
            bytes,
            sha256: sha256.to_owned(),
            may_be_there: self.before.objects.get(path).is_some_and(|found| found.bytes == bytes),
        })?)
    }

    /// Takes a small file, to be written just before the manifest.
    pub fn add_document(&mut self, path: &str, bytes: Vec<u8>) {
        self.documents.push((path.to_owned(), bytes));
    }

    /// Waits for the uploads, looks whether everything is there, and writes the manifest. Then deletes what only the lake
    /// before listed.
    ///
    /// # Errors
    /// [`PublishError::CommitConflict`] when somebody else wrote a manifest meanwhile. Then, and after most other errors,
    /// the target is what it was, but for objects that no manifest lists. [`PublishError::Unclear`] when the store does not
    /// even tell whether the manifest was written.
    pub fn publish(mut self, manifest: &Manifest) -> Result<Published, PublishError> {
        let Written { text, lists } = write_manifest(manifest, self.spool.root())?;
        for list in &lists {
            self.add(&list.path, list.bytes, &list.sha256)?;
        }
        self.uploads.wait()?;
        let listed = manifest.listed_with(&lists);
        self.check_presence(&listed)?;

        // Uploads of builds that died, and of builds that will not get any further once this one has committed. Whoever may
        // not list them has a lifecycle rule.
        let unfinished = self.store.unfinished_uploads(&is_leftover).ok();
        let outcome = self.commit(&text)?;
        match outcome {
            Outcome::Committed => self.fate = Fate::Keep,
            Outcome::Conflict => return Err(PublishError::CommitConflict { target: self.target() }),
            Outcome::Refused(error) => return Err(error.into()),
            Outcome::Unclear(source) => {
                // The store may still carry out what it did not answer.
                self.fate = Fate::Keep;
                return Err(PublishError::Unclear { target: self.target(), source: Box::new(source) });
            }
        }
        // Only what was there before this build and belongs to no lake any more: a build that began since may have written
        // the rest.
        let old: Vec<String> = self
            .before
            .objects
            .keys()
            .filter(|path| path.as_str() != MANIFEST_FILE && !listed.contains_key(path.as_str()))
            .cloned()
            .collect();
        let store = self.store.uninterrupted(self.store.patience());
        let mut left = self.uploads.cancel().left;
        // Whoever has replaced this lake since may have taken over old files of the same names.
        let is_current =
            |found: &Option<(Vec<u8>, Stat)>| found.as_ref().is_some_and(|(bytes, _)| *bytes == text);
        match store.read(MANIFEST_FILE) {
            Ok(found) if is_current(&found) && !old.is_empty() => left.extend(store.delete(&old).err()),
            Ok(_) => {}
            Err(error) => left.push(error),
        }
        left.extend(unfinished.and_then(|unfinished| store.abort(&unfinished).err()));
        Ok(Published { left })
    }

    /// Writes the documents, and then the manifest.
    fn commit(&mut self, text: &[u8]) -> Result<Outcome, StoreError> {
        if self.honours_conditions && self.documents.is_empty() {
            let until = Instant::now() + self.store.patience();
            return Ok(self.commit_manifest(text, until));
        }
        // Documents take several writes. Two releases that each wrote some would be in each other's way, and whoever gives
        // up could not tell whether the other one's manifest is still to come, listing the same data.
        loop {
            let Some(claim) = Claim::make(&self.store)? else { return Ok(Outcome::Conflict) };
            let until = claim.made() + COMMIT_TIME;
            let outcome = self.commit_alone(text, until);
            claim.withdraw();
            if let Some(outcome) = outcome.transpose() {
                return outcome;
            }
        }
    }

    /// The same for whoever has made sure that nobody else does; `None` when that time was over before the end. Documents
    /// that are written by then are not written again.
    fn commit_alone(&mut self, text: &[u8], until: Instant) -> Result<Option<Outcome>, StoreError> {
        let store = self.store.uninterrupted(WRITE_TIME);
        let undisturbed =
            Commit { store: &store, before: &self.before, text, mark: &self.mark, until }.is_undisturbed()?;
        if !undisturbed {
            return Ok(Some(Outcome::Conflict));
        }
        for (path, bytes) in &self.documents[self.documents_written.len()..] {
            if Instant::now() >= until {
                return Ok(None);
            }
            let documents = Documents {
                store: &store,
                before: &self.before,
                mark: &self.mark,
                conditions: self.honours_conditions,
            };
            self.documents_written.push(path.clone());
            if !documents.write(path, bytes)? {
                self.documents_written.pop();
                return Ok(Some(Outcome::Conflict));
            }
        }
        Ok(Some(self.commit_manifest(text, until)))
    }

    fn commit_manifest(&self, text: &[u8], until: Instant) -> Outcome {
        let Self { before, mark, .. } = self;
        if self.honours_conditions {
            let store = &self.store.uninterrupted(self.store.patience());
            Commit { store, before, text, mark, until }.conditionally()
        } else {
            let store = &self.store.uninterrupted(WRITE_TIME);
            Commit { store, before, text, mark, until }.unconditionally()
        }
    }

    /// Gives up: ends uploads and deletes the objects that were uploaded. What that leaves behind is in the answer.
    #[must_use]
    pub fn abandon(mut self) -> Vec<StoreError> {
        self.take_back()
    }

    fn take_back(&mut self) -> Vec<StoreError> {
        let Cancelled { mut uploaded, mut left } = self.uploads.cancel();
        uploaded.append(&mut self.documents_written);
        if self.fate == Fate::Keep || uploaded.is_empty() {
            return left;
        }
        self.fate = Fate::Keep;
        // Somebody else's lake may list them: the same rows have the same names.
        let store = self.store.uninterrupted(TIDY_TIME);
        match store.read(MANIFEST_FILE) {
            Err(error) => left.push(error),
            Ok(current) => {
                let lake = LakeStore::Objects(store.clone());
                let manifest = match current.map(|(bytes, _)| understand_manifest(&bytes, &lake)).transpose()
                {
                    Ok(manifest) => manifest,
                    // It may list them.
                    Err(ReadError::Store(error)) => {
                        left.push(error);
                        return left;
                    }
                    Err(_) => None,
                };
                let listed = manifest.as_ref().map(Manifest::listed).unwrap_or_default();
                let ours: Vec<String> =
                    uploaded.into_iter().filter(|path| !listed.contains_key(path.as_str())).collect();
                if !ours.is_empty() {
                    left.extend(store.delete(&ours).err());
                }
            }
        }
        left
    }

    fn target(&self) -> Location {
        Location::Objects(self.store.url().clone())
    }

    /// A build that failed, or was replaced, may have deleted what we did not upload again.
    fn check_presence(&self, listed: &Listing<'_>) -> Result<(), PublishError> {
        let mut present = BTreeMap::new();
        for directory in [DATA_DIRECTORY, REJECTED_DIRECTORY, LISTS_DIRECTORY] {
            let objects = self.store.walk(directory)?;
            present.extend(objects.into_iter().map(|object| (object.path, object.bytes)));
        }
        // Documents are written later, by this build.
        for (path, bytes) in listed.iter().filter(|(path, _)| !is_document(path)) {
            if bytes.is_some() && present.get(path.as_ref()) != bytes.as_ref() {
                return Err(PublishError::Vanished { url: self.store.url().join(path).to_string() });
            }
        }
        Ok(())
    }
}

impl Drop for ObjectStaging {
    fn drop(&mut self) {
        let _ = self.take_back();
    }
}

impl Before {
    fn look(store: &ObjectStore, mode: PublishMode) -> Result<Self, PublishError> {
        let target = || Location::Objects(store.url().clone());
        let objects: BTreeMap<String, Entry> =
            store.walk("")?.into_iter().map(|object| (object.path.clone(), object)).collect();
        let manifest = store.read(MANIFEST_FILE)?;
        let parsed = match &manifest {
            None => None,
            Some((bytes, _)) => match understand_manifest(bytes, &LakeStore::Objects(store.clone())) {
                Ok(manifest) => {
                    check_mode(&manifest, mode, target)?;
                    Some(manifest)
                }
                Err(ReadError::Store(error)) => return Err(error.into()),
                Err(_) if mode == PublishMode::Fresh => {
                    return Err(PublishError::TargetHoldsLake { target: target() });
                }
                Err(_) => return Err(PublishError::TargetNotEmpty { target: target() }),
            },
        };
        // Replacing a lake must not cost anybody an object; what a build that died left behind is nobody's.
        let listed = parsed.as_ref().map(Manifest::listed).unwrap_or_default();
        let unknown: Vec<&str> = objects
            .keys()
            .filter(|path| {
                *path != MANIFEST_FILE && !listed.contains_key(path.as_str()) && !is_leftover(path)
            })
            .map(String::as_str)
            .collect();
        if !unknown.is_empty() && !are_leftovers(store, &unknown)? {
            return Err(PublishError::TargetNotEmpty { target: target() });
        }
        Ok(Self { manifest, objects })
    }
}

/// As [`super::look`].
pub(super) fn look(store: &ObjectStore, mode: PublishMode) -> Result<Target, PublishError> {
    let before = Before::look(store, mode)?;
    Ok(match (before.manifest, before.objects.len()) {
        (Some(_), _) => Target::Lake,
        (None, 0) => Target::Empty,
        (None, objects) => Target::Leftovers { objects },
    })
}

/// Whether an object is what a build writes that ends before its time.
fn is_leftover(path: &str) -> bool {
    path.starts_with(TRANSIENT)
        || is_list(path)
        || path.parse::<DataPath>().is_ok_and(|path| path.digest().is_some())
        || path
            .strip_prefix(REJECTED_DIRECTORY)
            .and_then(|rest| rest.strip_prefix('/')?.strip_suffix(".ndjson")?.rsplit_once('-'))
            .is_some_and(|(dump, digest)| !dump.contains('/') && digest.parse::<NameDigest>().is_ok())
}
