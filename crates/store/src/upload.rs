//! Uploads files while others are still being made.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fs_err as fs;
use object_store::path::Path as ObjectPath;
use object_store::{
    Attribute, Attributes, MultipartUpload, PutMode, PutMultipartOptions, PutOptions, PutPayload,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::error::{ErrorKind, StoreError};
use crate::http::count_begun_uploads;
use crate::objects::{ObjectStore, backoff};

/// User metadata of an object with the SHA-256 of its bytes, hexadecimal. The bytes are checked against a digest in the
/// signed request when they are uploaded, and an object written anew loses it: so it tells the content without reading it.
pub const DIGEST_ATTRIBUTE: &str = "flowlakesha256";

/// Files that are being uploaded or wait for it, before whoever makes them has to wait.
const MOST_FILES: usize = 16;
/// A file that failed is tried again from its beginning, beside the retries of each request.
const TRIES: u32 = 3;
/// How long an answer is waited for that nobody needs any more: once a store has said that it has written an object, the
/// object can be deleted, and does not come after its deletion.
const LAST_WORD_TIME: Duration = Duration::from_secs(2);
/// What aborting an upload may take.
const TIDY_TIME: Duration = Duration::from_secs(20);
/// Memory is counted in these.
const UNIT_BYTES: usize = 1024;

/// A file to be uploaded.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its path below the place.
    pub path: String,
    /// Where it is now. Removed once it is uploaded.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
    /// Whether the store may have it already: then it is asked, and the file uploaded only if it has not.
    pub may_be_there: bool,
}

/// Uploads going on.
#[derive(Debug)]
pub struct Uploads {
    store: ObjectStore,
    files: Arc<Semaphore>,
    state: Arc<State>,
    cancel: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    /// Memory for parts, in [`UNIT_BYTES`].
    memory: Arc<Semaphore>,
    done: Mutex<Done>,
}

#[derive(Debug, Default)]
struct Done {
    uploaded: Vec<String>,
    failure: Option<StoreError>,
    /// What could not be tidied up.
    left: Vec<StoreError>,
}

/// What became of uploads that were cancelled.
#[derive(Debug)]
pub struct Cancelled {
    /// Paths of objects that were written, and of those that may have been: nobody waited for the answer, or there was
    /// none.
    pub uploaded: Vec<String>,
    /// Unfinished uploads that could not be aborted.
    pub left: Vec<StoreError>,
}

/// How an upload ends other than well.
enum Stop {
    Failed(StoreError),
    Cancelled,
    /// Cancelled, and the store may carry it out all the same.
    CancelledOnItsWay,
}

impl Uploads {
    pub(crate) fn new(store: &ObjectStore) -> Self {
        let units = store.options().upload_bytes().div_ceil(UNIT_BYTES).max(1);
        let (cancel, _) = watch::channel(false);
        Self {
            store: store.clone(),
            files: Arc::new(Semaphore::new(MOST_FILES)),
            state: Arc::new(State { memory: Arc::new(Semaphore::new(units)), done: Mutex::default() }),
            cancel,
        }
    }

    /// Begins an upload; waits while there are too many.
    ///
    /// # Errors
    /// That of an earlier one: the build cannot succeed then.
    pub fn add(&self, upload: Upload) -> Result<(), StoreError> {
        let permit = self
            .store
            .wait("write", &upload.path, async { Ok(Arc::clone(&self.files).acquire_owned().await) })?;
        if let Some(failure) = self.done().failure.take() {
            return Err(failure);
        }
        let (store, state, mut cancelled) =
            (self.store.clone(), Arc::clone(&self.state), self.cancel.subscribe());
        self.store.handle().spawn(async move {
            let result = run(&store, &state, &upload, &mut cancelled).await;
            let mut done = state.done.lock().unwrap_or_else(PoisonError::into_inner);
            match result {
                Ok(true) => done.uploaded.push(upload.path),
                Ok(false) | Err(Stop::Cancelled) => {}
                Err(Stop::CancelledOnItsWay) => done.uploaded.push(upload.path),
                Err(Stop::Failed(error)) => {
                    if error.may_pass() {
                        done.uploaded.push(upload.path);
                    }
                    done.failure.get_or_insert(error);
                }
            }
            drop(done);
            drop(permit);
        });
        Ok(())
    }

    /// Waits for all; gives the paths of the objects that were written.
    ///
    /// # Errors
    /// That of the first one that failed. The others are there or not; [`Uploads::cancel`] tells.
    pub fn wait(&self) -> Result<Vec<String>, StoreError> {
        let all = u32::try_from(MOST_FILES).unwrap_or(u32::MAX);
        drop(self.store.wait("write to", "", async { Ok(self.files.acquire_many(all).await) })?);
        let mut done = self.done();
        match done.failure.take() {
            Some(failure) => Err(failure),
            None => Ok(done.uploaded.clone()),
        }
    }

    /// Ends all uploads, aborting those that are unfinished on the server too.
    #[must_use]
    pub fn cancel(&self) -> Cancelled {
        // Nobody may be listening: then there is nothing to cancel.
        let _ = self.cancel.send(true);
        // Each of them ends soon, and by itself.
        let all = u32::try_from(MOST_FILES).unwrap_or(u32::MAX);
        drop(self.store.handle().block_on(self.files.acquire_many(all)));
        let mut done = self.done();
        Cancelled { uploaded: std::mem::take(&mut done.uploaded), left: std::mem::take(&mut done.left) }
    }

    fn done(&self) -> std::sync::MutexGuard<'_, Done> {
        self.state.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Uploads a file unless it is there; whether it was uploaded.
async fn run(
    store: &ObjectStore,
    state: &State,
    upload: &Upload,
    cancelled: &mut watch::Receiver<bool>,
) -> Result<bool, Stop> {
    let object = store.url().object(&upload.path);
    let url = store.url().join(&upload.path).to_string();
    let is_there = async || match store.stat_async(&upload.path).await {
        Ok(Some(stat)) => stat.entry.bytes == upload.bytes && stat.sha256.as_deref() == Some(&upload.sha256),
        _ => false,
    };
    let mut tries = 0;
    let uploaded = loop {
        if *cancelled.borrow() {
            return Err(Stop::Cancelled);
        }
        if (tries > 0 || upload.may_be_there) && is_there().await {
            break tries > 0;
        }
        let file =
            File { upload, object: &object, url: &url, store, state, completing: AtomicBool::new(false) };
        let mut failure = match file.send(cancelled).await {
            Ok(()) => break true,
            Err(Stop::Failed(failure)) => failure,
            Err(cancelled) => return Err(cancelled),
        };
        tries += 1;
        // An upload that somebody aborted, because they took it for their own, is not found.
        let worth_it = failure.may_pass() || failure.kind == ErrorKind::NotFound;
        if tries >= TRIES || !worth_it {
            // The answer may be all that was lost.
            if worth_it && is_there().await {
                break true;
            }
            failure.operation = "write";
            return Err(Stop::Failed(failure));
        }
        tokio::time::sleep(backoff(tries as usize)).await;
    };
    // It is in the store; that it takes room here too until the end is no failure.
    let _ = fs::remove_file(&upload.file);
    Ok(uploaded)
}

/// One try.
struct File<'a> {
    upload: &'a Upload,
    object: &'a ObjectPath,
    url: &'a str,
    store: &'a ObjectStore,
    state: &'a State,
    /// Whether the last step of a multipart upload was asked for.
    completing: AtomicBool,
}

impl File<'_> {
    async fn send(&self, cancelled: &mut watch::Receiver<bool>) -> Result<(), Stop> {
        let part_bytes = self.part_bytes();
        if self.upload.bytes <= part_bytes as u64 {
            let (part, _permit) = self.part(0, self.upload.bytes as usize).await?;
            let options = PutOptions {
                mode: PutMode::Overwrite,
                attributes: self.attributes(),
                ..PutOptions::default()
            };
            let mut put = pin!(self.store.writing().put_opts(self.object, PutPayload::from(part), options));
            return tokio::select! {
                put = &mut put => put.map(|_| ()).map_err(|error| self.failed(&error)),
                () = asked_to_end(cancelled) => {
                    let _ = tokio::time::timeout(LAST_WORD_TIME, put).await;
                    Err(Stop::CancelledOnItsWay)
                }
            };
        }
        let options = PutMultipartOptions { attributes: self.attributes(), ..PutMultipartOptions::default() };
        let (begun, asked) =
            count_begun_uploads(self.store.writing().put_multipart_opts(self.object, options)).await;
        let result = match begun {
            Ok(mut multipart) => {
                let parts = {
                    let mut parts = pin!(self.send_parts(&mut *multipart, part_bytes));
                    tokio::select! {
                        parts = &mut parts => parts,
                        () = asked_to_end(cancelled) => {
                            if self.completing.load(Ordering::Relaxed) {
                                let _ = tokio::time::timeout(LAST_WORD_TIME, parts).await;
                                Err(Stop::CancelledOnItsWay)
                            } else {
                                Err(Stop::Cancelled)
                            }
                        }
                    }
                };
                if parts.is_err() {
                    self.tidy(async { multipart.abort().await }).await;
                }
                parts
            }
            Err(error) => Err(self.failed(&error)),
        };
        if asked > 1 || result.is_err() {
            // Some of those asked for may have been begun without our being told.
            if let Some(orphans) = self.store.orphans() {
                self.tidy(orphans.abort_all(self.object)).await;
            }
        }
        result
    }

    async fn send_parts(&self, multipart: &mut dyn MultipartUpload, part_bytes: usize) -> Result<(), Stop> {
        let mut parts = JoinSet::new();
        let mut offset = 0;
        while offset < self.upload.bytes {
            let bytes = (self.upload.bytes - offset).min(part_bytes as u64) as usize;
            let (part, permit) = self.part(offset, bytes).await?;
            let sent = multipart.put_part(PutPayload::from(part));
            parts.spawn(async move {
                let result = sent.await;
                drop(permit);
                result
            });
            offset += bytes as u64;
            while let Some(sent) = parts.try_join_next() {
                self.check(sent)?;
            }
        }
        while let Some(sent) = parts.join_next().await {
            self.check(sent)?;
        }
        self.completing.store(true, Ordering::Relaxed);
        multipart.complete().await.map(|_| ()).map_err(|error| self.failed(&error))
    }

    fn check(&self, sent: Result<object_store::Result<()>, tokio::task::JoinError>) -> Result<(), Stop> {
        match sent {
            Ok(result) => result.map_err(|error| self.failed(&error)),
            Err(error) => Err(self.failed(&object_store::Error::JoinError { source: error })),
        }
    }

    /// A piece of the file, once there is memory for it.
    async fn part(&self, offset: u64, bytes: usize) -> Result<(Bytes, OwnedSemaphorePermit), Stop> {
        let all = self.store.options().upload_bytes().div_ceil(UNIT_BYTES).max(1);
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES).clamp(1, all)).unwrap_or(u32::MAX);
        let permit =
            Arc::clone(&self.state.memory).acquire_many_owned(units).await.map_err(|_| Stop::Cancelled)?;
        let part = read_part(&self.upload.file, offset, bytes).map_err(|error| {
            let path = self.upload.file.display().to_string();
            Stop::Failed(StoreError::of_kind("read", path, ErrorKind::Configuration, error.to_string()))
        })?;
        Ok((part, permit))
    }

    /// A store takes no more than 10,000 parts of an object.
    fn part_bytes(&self) -> usize {
        let least = usize::try_from(self.upload.bytes.div_ceil(9_000)).unwrap_or(usize::MAX);
        self.store.options().part_bytes.max(least)
    }

    fn attributes(&self) -> Attributes {
        [(Attribute::Metadata(DIGEST_ATTRIBUTE.into()), self.upload.sha256.clone())].into_iter().collect()
    }

    fn failed(&self, error: &object_store::Error) -> Stop {
        Stop::Failed(StoreError::new("write", self.url, error))
    }

    /// Tidies up after a failure, for a while: whoever pressed Ctrl-C does not wait for minutes.
    async fn tidy(&self, work: impl Future<Output = object_store::Result<()>>) {
        let error = match tokio::time::timeout(TIDY_TIME, work).await {
            Ok(Ok(()) | Err(object_store::Error::NotFound { .. })) => return,
            Ok(Err(error)) => error,
            Err(_) => object_store::Error::Generic { store: "object store", source: "timed out".into() },
        };
        let error = StoreError::new("abort the unfinished upload of", self.url, &error);
        self.state.done.lock().unwrap_or_else(PoisonError::into_inner).left.push(error);
    }
}

/// Ends when everything is to end.
async fn asked_to_end(cancelled: &mut watch::Receiver<bool>) {
    let _ = cancelled.wait_for(|&cancelled| cancelled).await;
}

fn read_part(file: &Path, offset: u64, bytes: usize) -> std::io::Result<Bytes> {
    let mut file = fs::File::open(file)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut part = vec![0; bytes];
    file.read_exact(&mut part)?;
    Ok(part.into())
}
