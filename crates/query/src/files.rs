//! Lets DataFusion read a lake, wherever it lies.
//!
//! It reads through an interface for object stores, behind which this puts the files that the manifest lists: asked what there
//! is, it answers with their paths and sizes, so that nothing is listed anywhere and strays do not exist; asked for bytes, it
//! reads them from the directory, or by way of `flowlake_store`, with the credentials, patience and errors that all commands
//! have. Paths are those below the lake, so nothing above it can be taken for a partition.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use flowlake_partition::manifest::DataFile;
use flowlake_store::{LakeStore, StoreError};
use fs_err as fs;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store_of_datafusion::path::Path;
use object_store_of_datafusion::{
    Attributes, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// The data files of a lake.
pub(crate) struct Files {
    lake: LakeStore,
    /// Size by path.
    bytes: BTreeMap<String, u64>,
    /// The first error, as it was before DataFusion had it.
    failed: Mutex<Option<StoreError>>,
}

impl Files {
    /// Of the URLs that DataFusion sees.
    pub(crate) const SCHEME: &str = "flowlake";

    pub(crate) fn new(lake: &LakeStore, files: &[&DataFile]) -> Self {
        let bytes = files.iter().map(|file| (file.path.clone(), file.bytes)).collect();
        Self { lake: lake.clone(), bytes, failed: Mutex::default() }
    }

    /// The first error that a read ended with.
    pub(crate) fn take_error(&self) -> Option<StoreError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn failed(&self, error: StoreError) -> Error {
        let text = error.to_string();
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        Error::Generic { store: Self::SCHEME, source: text.into() }
    }

    async fn read(&self, path: &str, size: u64, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        match &self.lake {
            LakeStore::Objects(objects) => {
                objects.read_range(path, size, range).await.map_err(|error| self.failed(error))
            }
            LakeStore::Directory(root) => {
                let file = root.join(path);
                let read = tokio::task::spawn_blocking(move || {
                    let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                    let mut bytes = vec![0; length];
                    fs::File::open(file)?.file().read_exact_at(&mut bytes, range.start)?;
                    std::io::Result::Ok(Bytes::from(bytes))
                });
                let read = read.await.unwrap_or_else(|error| Err(error.into()));
                read.map_err(|error| Error::Generic { store: Self::SCHEME, source: error.into() })
            }
        }
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Files").field("lake", &self.lake.name("")).finish_non_exhaustive()
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lake.name("").fmt(f)
    }
}

fn meta(path: &str, size: u64) -> ObjectMeta {
    ObjectMeta {
        location: Path::from(path),
        last_modified: UNIX_EPOCH.into(),
        size,
        e_tag: None,
        version: None,
    }
}

fn refused<T>(operation: &str) -> Result<T> {
    Err(Error::NotSupported { source: format!("a lake that is queried is only read: {operation}").into() })
}

#[async_trait]
impl ObjectStore for Files {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let path = location.as_ref();
        let Some(&size) = self.bytes.get(path) else {
            let source = "the manifest does not list it".into();
            return Err(Error::NotFound { path: path.to_owned(), source });
        };
        let range = match options.range {
            _ if options.head => 0..0,
            None => 0..size,
            Some(GetRange::Bounded(range)) => range.start..range.end.min(size),
            Some(GetRange::Offset(offset)) => offset.min(size)..size,
            Some(GetRange::Suffix(length)) => size.saturating_sub(length)..size,
        };
        let bytes = self.read(path, size, range.clone()).await?;
        let payload = GetResultPayload::Stream(stream::once(async move { Ok(bytes) }).boxed());
        Ok(GetResult { payload, meta: meta(path, size), range, attributes: Attributes::new() })
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.map_or_else(String::new, |prefix| format!("{prefix}/"));
        let files = self.bytes.iter().filter(|(path, _)| path.starts_with(&prefix));
        let files: Vec<_> = files.map(|(path, &size)| Ok(meta(path, size))).collect();
        stream::iter(files).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.map_or_else(String::new, |prefix| format!("{prefix}/"));
        let mut result = ListResult { common_prefixes: Vec::new(), objects: Vec::new() };
        for (path, &size) in self.bytes.iter().filter(|(path, _)| path.starts_with(&prefix)) {
            match path[prefix.len()..].split_once('/') {
                None => result.objects.push(meta(path, size)),
                Some((directory, _)) => {
                    let directory = Path::from(format!("{prefix}{directory}"));
                    // Paths are ordered.
                    if result.common_prefixes.last() != Some(&directory) {
                        result.common_prefixes.push(directory);
                    }
                }
            }
        }
        Ok(result)
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        refused("put")
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        refused("put")
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        stream::once(async { refused("delete") }).boxed()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        refused("copy")
    }
}
