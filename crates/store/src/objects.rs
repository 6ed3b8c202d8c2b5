//! A prefix of an object store.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as ObjectPath;
use object_store::{
    Attribute, Attributes, GetOptions, GetResult, ObjectMeta, ObjectStore as Library, PutMode, PutOptions,
    PutPayload, UpdateVersion,
};
use tokio::runtime::Handle;

use crate::connect::{Clients, Endpoint, connect};
use crate::error::{ErrorKind, StoreError, was_tried_again};
use crate::location::ObjectUrl;
use crate::options::StoreOptions;
use crate::orphans::{Orphans, UnfinishedUpload};
use crate::reader::{self, ObjectReader};
use crate::runtime;
use crate::store::{Entry, EntryKind, MAX_WHOLE_BYTES, Version, too_large};
use crate::upload::{DIGEST_ATTRIBUTE, Uploads};

/// A prefix in a bucket, with everything that only object stores can do. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ObjectStore(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) url: ObjectUrl,
    pub(crate) options: StoreOptions,
    /// How long a call may take, if that is limited.
    pub(crate) limit: Option<Duration>,
    pub(crate) handle: Handle,
    pub(crate) clients: Clients,
}

/// What a store says about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Path, size and version.
    pub entry: Entry,
    /// SHA-256 of its bytes, hexadecimal, where [`DIGEST_ATTRIBUTE`] tells.
    pub sha256: Option<String>,
    /// The mark given to [`ObjectStore::put`], if any.
    pub mark: Option<String>,
    /// When it was written, by the clock of the store, in seconds since 1970.
    pub written_seconds: i64,
}

/// What has to be so for an object to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// Nothing.
    Any,
    /// There is no such object.
    Absent,
    /// It has this content.
    Is(&'a Version),
}

/// What came of a write with a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It was written.
    Written,
    /// The store says that the condition does not hold. Whoever writes without knowing what became of an earlier try has to
    /// look: the object in the way may be their own.
    Refused,
}

/// Multipart uploads that were begun.
#[derive(Debug)]
pub struct UnfinishedUploads(Vec<UnfinishedUpload>);

/// User metadata with the mark of whoever wrote an object.
/// Without punctuation: Azure wants names that are identifiers, and others' servers drop headers with underscores.
const MARK_ATTRIBUTE: &str = "flowlakemark";

/// The pause before another try: growing, and bounded. Several that failed together should not come back together.
#[expect(clippy::disallowed_methods, reason = "it spreads pauses, and reaches no lake")]
pub(crate) fn backoff(tries: usize) -> Duration {
    let most = Duration::from_secs(15);
    let base = Duration::from_millis(100).saturating_mul(1 << tries.min(10)).min(most);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    base / 2 + base.mul_f64(f64::from(nanos % 1000) / 2000.0)
}

/// Some servers tell an object twice while others are written beside it.
fn ordered(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries.dedup_by(|a, b| a.path == b.path);
    entries
}

impl ObjectStore {
    pub(crate) fn connect(url: &ObjectUrl, options: &StoreOptions) -> Result<Self, StoreError> {
        Self::connect_to(url, options, None)
    }

    /// A prefix at a server of the caller's choice. Programs go where the environment says: see
    /// [`LakeStore::open`](crate::LakeStore::open).
    ///
    /// # Errors
    /// When the store cannot be addressed.
    #[doc(hidden)]
    pub fn at_endpoint(
        url: &ObjectUrl,
        options: &StoreOptions,
        endpoint: &Endpoint,
    ) -> Result<Self, StoreError> {
        Self::connect_to(url, options, Some(endpoint))
    }

    fn connect_to(
        url: &ObjectUrl,
        options: &StoreOptions,
        endpoint: Option<&Endpoint>,
    ) -> Result<Self, StoreError> {
        let handle =
            runtime::handle().map_err(|error| StoreError::from_io("connect to", url.to_string(), &error))?;
        let clients = handle.block_on(connect(url, options, endpoint))?;
        Ok(Self(Arc::new(Inner { url: url.clone(), options: options.clone(), limit: None, handle, clients })))
    }

    /// A store in memory, for tests.
    #[must_use]
    pub fn in_memory(options: StoreOptions) -> Self {
        let store: Arc<dyn Library> = Arc::new(object_store::memory::InMemory::new());
        let clients =
            Clients { read: Arc::clone(&store), write: Arc::clone(&store), once: store, orphans: None };
        let Ok(handle) = runtime::handle() else { unreachable!("a test has threads") };
        Self(Arc::new(Inner { url: ObjectUrl::of_memory(), options, limit: None, handle, clients }))
    }

    /// The same store at another prefix, `below` this one.
    #[must_use]
    pub fn below(&self, below: &str) -> Self {
        let Inner { url, options, limit, handle, clients } = &*self.0;
        Self(Arc::new(Inner {
            url: url.join(below),
            options: options.clone(),
            limit: *limit,
            handle: handle.clone(),
            clients: clients.clone(),
        }))
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &ObjectUrl {
        &self.0.url
    }

    pub(crate) fn options(&self) -> &StoreOptions {
        &self.0.options
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.0.handle
    }

    pub(crate) fn reading(&self) -> &Arc<dyn Library> {
        &self.0.clients.read
    }

    pub(crate) fn writing(&self) -> &Arc<dyn Library> {
        &self.0.clients.write
    }

    pub(crate) fn orphans(&self) -> Option<&Orphans> {
        self.0.clients.orphans.as_deref()
    }

    fn failed(
        &self,
        operation: &'static str,
        path: &str,
    ) -> impl Fn(object_store::Error) -> StoreError + use<> {
        let url = self.url().join(path).to_string();
        move |error| StoreError::new(operation, &url, &error)
    }

    fn entry_of(&self, meta: &ObjectMeta) -> Option<Entry> {
        let version = Version { e_tag: meta.e_tag.clone(), version: meta.version.clone() };
        let known = version.e_tag.is_some() || version.version.is_some();
        Some(Entry {
            path: self.url().below(&meta.location)?,
            kind: EntryKind::File,
            bytes: meta.size,
            version: known.then_some(version),
        })
    }

    /// Asks again where the library does not: after an answer that began well and broke off, and after a lost one to a
    /// request that it takes for one that must not be carried out twice.
    async fn again<T>(
        &self,
        operation: &'static str,
        path: &str,
        ask: impl AsyncFn() -> object_store::Result<T>,
    ) -> Result<T, StoreError> {
        let mut tries = 0;
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let given_up = was_tried_again(&error);
            let error = self.failed(operation, path)(error);
            if given_up || !error.may_pass() || tries == self.options().retries {
                return Err(error);
            }
            tries += 1;
            tokio::time::sleep(backoff(tries)).await;
        }
    }

    pub(crate) fn files(&self) -> Result<Vec<Entry>, StoreError> {
        let list = self
            .again("list", "", async || self.reading().list_with_delimiter(Some(self.url().prefix())).await);
        let list = self.wait("list", "", list)?;
        let entries = list.objects.iter().filter_map(|meta| self.entry_of(meta));
        Ok(ordered(entries.filter(|entry| !entry.path.is_empty()).collect()))
    }

    /// All objects whose paths begin with the directory `below`, ordered by path.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn walk(&self, below: &str) -> Result<Vec<Entry>, StoreError> {
        let prefix = self.url().object(below);
        let entries = self.wait("list", below, async {
            let list = async || self.reading().list(Some(&prefix)).try_collect::<Vec<ObjectMeta>>().await;
            let list = self.again("list", below, list).await?;
            Ok(list.iter().filter_map(|meta| self.entry_of(meta)).collect())
        })?;
        Ok(ordered(entries))
    }

    /// What the store says about an object, or `None`.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn stat(&self, path: &str) -> Result<Option<Stat>, StoreError> {
        self.wait("look at", path, self.stat_async(path))
    }

    pub(crate) async fn stat_async(&self, path: &str) -> Result<Option<Stat>, StoreError> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        match self.reading().get_opts(&self.url().object(path), options).await {
            Ok(result) => Ok(self.stat_of(path, &result)),
            Err(error) => self.absent_or("look at", path, &error),
        }
    }

    /// What the store says about several objects, in their order; asks for some of them at a time.
    ///
    /// # Errors
    /// The first one.
    pub fn stat_all(&self, paths: &[&str]) -> Result<Vec<Option<Stat>>, StoreError> {
        const AT_A_TIME: usize = 32;
        self.wait(
            "look at",
            "",
            stream::iter(paths.iter().map(|path| self.stat_async(path))).buffered(AT_A_TIME).try_collect(),
        )
    }

    /// A missing bucket is an error; a missing object is not.
    fn absent_or<T>(
        &self,
        operation: &'static str,
        path: &str,
        error: &object_store::Error,
    ) -> Result<Option<T>, StoreError> {
        let error = StoreError::new(operation, self.url().join(path).to_string(), error);
        if error.kind == ErrorKind::NotFound { Ok(None) } else { Err(error) }
    }

    fn stat_of(&self, path: &str, result: &GetResult) -> Option<Stat> {
        let attribute = |name: &'static str| {
            result.attributes.get(&Attribute::Metadata(name.into())).map(|value| value.to_string())
        };
        let mut entry = self.entry_of(&result.meta)?;
        // The library gives the path as it was asked for; ours is the one the caller knows.
        path.clone_into(&mut entry.path);
        Some(Stat {
            entry,
            sha256: attribute(DIGEST_ATTRIBUTE),
            mark: attribute(MARK_ATTRIBUTE),
            written_seconds: result.meta.last_modified.timestamp(),
        })
    }

    /// The whole of an object that is known to be small, with what the store says about it; `None` where there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(&self, path: &str) -> Result<Option<(Vec<u8>, Stat)>, StoreError> {
        let object = self.url().object(path);
        let read = async || {
            let result = self.reading().get_opts(&object, GetOptions::default()).await?;
            if result.meta.size > MAX_WHOLE_BYTES {
                return Ok(Err(result.meta.size));
            }
            let stat = self.stat_of(path, &result);
            let bytes = result.bytes().await?;
            Ok(Ok(stat.map(|stat| (bytes.to_vec(), stat))))
        };
        match self.wait("read", path, self.again("read", path, read)) {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(bytes)) => {
                let url = self.url().join(path).to_string();
                Err(StoreError::of_kind("read", url, ErrorKind::NotSupported, too_large(bytes)))
            }
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn reader(&self, entry: &Entry) -> ObjectReader {
        ObjectReader::new(self, entry)
    }

    /// A range of an object of a known size, for callers with a runtime of their own: it is read on the threads of this crate.
    /// A range that breaks off is asked for again from where it did.
    ///
    /// # Errors
    /// When it cannot be read, or the object has another size.
    pub async fn read_range(&self, path: &str, bytes: u64, range: Range<u64>) -> Result<Bytes, StoreError> {
        let lost = |error: tokio::task::JoinError| {
            let url = self.url().join(path).to_string();
            StoreError::of_kind("read", url, ErrorKind::Other, error.to_string())
        };
        reader::range(self, path, bytes, range).await.map_err(lost)?
    }

    pub(crate) fn fetch(&self, entry: &Entry) -> Result<File, StoreError> {
        let url = self.url().join(&entry.path).to_string();
        let local = |error: std::io::Error| {
            let directory = std::env::temp_dir().display().to_string();
            StoreError::from_io("keep a copy in", directory, &error)
        };
        let mut file = tempfile::tempfile().map_err(local)?;
        if let Err(error) = std::io::copy(&mut self.reader(entry), &mut file) {
            return Err(match StoreError::inside(&error) {
                Some(_) => error.downcast::<StoreError>().unwrap_or_else(local),
                None => local(error),
            });
        }
        let bytes = file.stream_position().map_err(local)?;
        if bytes != entry.bytes {
            let text = format!("it has {} bytes, {bytes} came", entry.bytes);
            return Err(StoreError::of_kind("read", url, ErrorKind::Other, text));
        }
        file.seek(SeekFrom::Start(0)).map_err(local)?;
        Ok(file)
    }

    /// Writes a small object if a condition holds, with a mark that [`Stat::mark`] gives back. Tries once: whether a try
    /// whose answer was lost was carried out, only the caller can find out.
    ///
    /// # Errors
    /// Any but the store's word that the condition does not hold.
    pub fn put(
        &self,
        path: &str,
        bytes: Vec<u8>,
        condition: Condition<'_>,
        mark: &str,
    ) -> Result<Put, StoreError> {
        let mode = match condition {
            Condition::Any => PutMode::Overwrite,
            Condition::Absent => PutMode::Create,
            Condition::Is(version) => PutMode::Update(UpdateVersion {
                e_tag: version.e_tag.clone(),
                version: version.version.clone(),
            }),
        };
        let attributes: Attributes =
            [(Attribute::Metadata(MARK_ATTRIBUTE.into()), mark.to_owned())].into_iter().collect();
        let options = PutOptions { mode, attributes, ..PutOptions::default() };
        let object = self.url().object(path);
        let put = async {
            let put = self.0.clients.once.put_opts(&object, PutPayload::from(bytes), options);
            put.await.map_err(self.failed("write", path))
        };
        match self.wait("write", path, put) {
            Ok(_) => Ok(Put::Written),
            Err(error) => match error.kind {
                ErrorKind::Exists | ErrorKind::Changed => Ok(Put::Refused),
                // What is gone does not have the content that it should have.
                ErrorKind::NotFound if matches!(condition, Condition::Is(_)) => Ok(Put::Refused),
                _ => Err(error),
            },
        }
    }

    /// As [`ObjectStore::put`], until there is an answer: for writes of which it does not matter how often they are carried
    /// out.
    ///
    /// # Errors
    /// As for [`ObjectStore::put`], the last of several.
    pub fn put_until_answered(
        &self,
        path: &str,
        bytes: &[u8],
        condition: Condition<'_>,
        mark: &str,
    ) -> Result<Put, StoreError> {
        let mut tries = 0;
        loop {
            match self.put(path, bytes.to_vec(), condition, mark) {
                Err(error) if error.may_pass() && tries < self.options().retries => {
                    tries += 1;
                    self.pause("write", backoff(tries))?;
                }
                result => return result,
            }
        }
    }

    /// Deletes objects; those that are not there are no error.
    ///
    /// # Errors
    /// The first one. Other objects may be deleted or not.
    pub fn delete(&self, paths: &[String]) -> Result<(), StoreError> {
        let objects: Vec<ObjectPath> = paths.iter().map(|path| self.url().object(path)).collect();
        let delete = async || {
            let objects = stream::iter(objects.clone().into_iter().map(Ok)).boxed();
            let mut deleted = self.writing().delete_stream(objects);
            while let Some(result) = deleted.next().await {
                match result {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        self.wait("delete objects below", "", self.again("delete objects below", "", delete))
    }

    /// Uploads of objects that are `wanted`, by their paths, which nobody has completed yet, as far as the store tells.
    ///
    /// # Errors
    /// When it does not, for want of permission above all.
    pub fn unfinished_uploads(&self, wanted: &dyn Fn(&str) -> bool) -> Result<UnfinishedUploads, StoreError> {
        let Some(orphans) = self.orphans() else { return Ok(UnfinishedUploads(Vec::new())) };
        self.wait("list the unfinished uploads of", "", async {
            let uploads = orphans.below(self.url().prefix()).await;
            let mut uploads = uploads.map_err(self.failed("list the unfinished uploads of", ""))?;
            uploads.retain(|upload| {
                let object = ObjectPath::parse(&upload.key).ok();
                object.and_then(|object| self.url().below(&object)).is_some_and(|path| wanted(&path))
            });
            Ok(UnfinishedUploads(uploads))
        })
    }

    /// Aborts uploads; those that are gone are no error.
    ///
    /// # Errors
    /// The first one.
    pub fn abort(&self, uploads: &UnfinishedUploads) -> Result<(), StoreError> {
        let Some(orphans) = self.orphans() else { return Ok(()) };
        self.wait("abort unfinished uploads of", "", async {
            orphans.abort(&uploads.0).await.map_err(self.failed("abort unfinished uploads of", ""))
        })
    }

    /// Uploads of files to this place, in the background.
    #[must_use]
    pub fn uploads(&self) -> Uploads {
        Uploads::new(self)
    }

    /// Whether the store carries out conditional writes as such, rather than writing whatever the condition: found out with
    /// an object named `.flowlake-probe-…`, which is deleted again.
    ///
    /// # Errors
    /// When nothing can be written or deleted here at all.
    pub fn honours_conditions(&self) -> Result<bool, StoreError> {
        let path = format!(".flowlake-probe-{}", unique_name());
        let nobodys = Version {
            e_tag: Some("\"00000000000000000000000000000000\"".to_owned()),
            version: Some("1".to_owned()),
        };
        let put = |condition| match self.put_until_answered(&path, b"probe\n", condition, "probe") {
            Err(error) if error.kind == ErrorKind::NotSupported => Ok(Put::Written),
            result => result,
        };
        let found = put(Condition::Any).and_then(|_| {
            Ok(put(Condition::Absent)? == Put::Refused && put(Condition::Is(&nobodys))? == Put::Refused)
        });
        let deleted = self.delete(&[path]);
        let found = found?;
        deleted.map(|()| found)
    }
}

/// A name that no other process and no other call has, anywhere: for objects of the moment, never for anything that stays.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "for names that do not stay")]
pub fn unique_name() -> String {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    // Where an address lies in memory differs from process to process.
    let here = std::ptr::from_ref(&CALLS).addr();
    format!("{nanos:x}-{:x}-{here:x}-{call:x}", std::process::id())
}
