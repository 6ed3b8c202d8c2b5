//! Reads an object from its beginning to its end, several ranges ahead.
//!
//! A store answers a request after some tens of milliseconds and then sends at the pace of one connection. With a few
//! ranges asked for ahead, reading is as fast as the network, and what waits in memory is bounded by their number.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::Range;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, GetRange};
use tokio::task::JoinHandle;

use crate::error::{ErrorKind, StoreError, was_tried_again};
use crate::objects::{ObjectStore, backoff};
use crate::store::Entry;

/// The bytes of an object, in order.
pub(crate) struct ObjectReader {
    store: ObjectStore,
    source: Source,
    bytes: u64,
    /// Offset of the next range to ask for.
    next: u64,
    /// Ranges asked for, in order.
    ahead: VecDeque<JoinHandle<Result<Bytes, StoreError>>>,
    /// What is left of the range being read.
    current: Bytes,
}

/// Which content is read.
#[derive(Debug, Clone)]
struct Source {
    object: ObjectPath,
    url: String,
    bytes: u64,
    e_tag: Option<String>,
}

impl ObjectReader {
    pub(crate) fn new(store: &ObjectStore, entry: &Entry) -> Self {
        let source = Source {
            object: store.url().object(&entry.path),
            url: store.url().join(&entry.path).to_string(),
            bytes: entry.bytes,
            e_tag: entry.version.as_ref().and_then(|version| version.e_tag.clone()),
        };
        Self {
            store: store.clone(),
            source,
            bytes: entry.bytes,
            next: 0,
            ahead: VecDeque::new(),
            current: Bytes::new(),
        }
    }

    /// Asks for ranges until there are as many ahead as there may be.
    fn ask_ahead(&mut self) {
        let options = self.store.options();
        while self.next < self.bytes && self.ahead.len() <= options.ranges_ahead {
            let end = self.bytes.min(self.next + options.range_bytes as u64);
            let range = self.next..end;
            self.next = end;
            let (store, source) = (self.store.clone(), self.source.clone());
            self.ahead.push_back(
                self.store.handle().spawn(async move { read_range(&store, &source, range).await }),
            );
        }
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            self.ask_ahead();
            let Some(range) = self.ahead.pop_front() else { return Ok(0) };
            let lost = |error: tokio::task::JoinError| {
                StoreError::of_kind("read", &self.source.url, ErrorKind::Other, error.to_string())
            };
            let bytes = self.store.wait("read", "", async { range.await.map_err(lost)? });
            self.current = bytes.map_err(StoreError::into_io)?;
            self.ask_ahead();
        }
        let n = buffer.len().min(self.current.len());
        buffer[..n].copy_from_slice(&self.current.split_to(n));
        Ok(n)
    }
}

impl Drop for ObjectReader {
    fn drop(&mut self) {
        for range in &self.ahead {
            range.abort();
        }
    }
}

/// Begins to read a range of an object of `bytes` bytes.
pub(crate) fn range(
    store: &ObjectStore,
    path: &str,
    bytes: u64,
    range: Range<u64>,
) -> JoinHandle<Result<Bytes, StoreError>> {
    let source = Source {
        object: store.url().object(path),
        url: store.url().join(path).to_string(),
        bytes,
        e_tag: None,
    };
    let store = store.clone();
    store.handle().clone().spawn(async move { read_range(&store, &source, range).await })
}

/// Reads a range whole. Where an answer breaks off, the rest is asked for from there: bytes that came are never asked for
/// again, so that a bad line makes reading slow but does not end it.
async fn read_range(store: &ObjectStore, source: &Source, range: Range<u64>) -> Result<Bytes, StoreError> {
    let mut got: Vec<u8> = Vec::with_capacity((range.end - range.start) as usize);
    let mut tries = 0;
    let begun = Instant::now();
    loop {
        let from = range.start + got.len() as u64;
        if from >= range.end {
            return Ok(got.into());
        }
        let before = got.len();
        let error = match read_some(store, source, from..range.end, &mut got).await {
            Ok(()) if range.start + got.len() as u64 == range.end => return Ok(got.into()),
            Ok(()) => object_store::Error::Generic {
                store: "object store",
                source: format!("the answer ends at byte {}", range.start + got.len() as u64).into(),
            },
            Err(error) => error,
        };
        let given_up = was_tried_again(&error) && got.len() == before;
        let error = StoreError::new("read", &source.url, &error);
        let hopeless = given_up
            || matches!(
                error.kind,
                ErrorKind::NotFound
                    | ErrorKind::NoBucket
                    | ErrorKind::Permission
                    | ErrorKind::NoCredentials
                    | ErrorKind::BadCredentials
                    | ErrorKind::WrongRegion { .. }
                    | ErrorKind::ClockSkew
                    | ErrorKind::Tls
                    | ErrorKind::Changed
                    | ErrorKind::NotSupported
            );
        // Whatever brings us further is no failed try.
        tries = if got.len() > before { 0 } else { tries + 1 };
        let options = store.options();
        if hopeless || tries > options.retries || tries > 0 && begun.elapsed() > options.retry_timeout {
            return Err(match error.kind {
                ErrorKind::Changed => StoreError::of_kind(
                    "read",
                    &source.url,
                    ErrorKind::Changed,
                    "it was replaced or removed while it was read",
                ),
                _ => error,
            });
        }
        tokio::time::sleep(if tries == 0 { Duration::ZERO } else { backoff(tries) }).await;
    }
}

/// Adds to `got` what one answer brings.
async fn read_some(
    store: &ObjectStore,
    source: &Source,
    range: Range<u64>,
    got: &mut Vec<u8>,
) -> Result<(), object_store::Error> {
    let wanted = (range.end - range.start) as usize;
    // Some servers answer a range that is all there is as if none had been asked for, and the library takes that for an
    // error.
    let whole = range == (0..source.bytes);
    let options = GetOptions { range: (!whole).then_some(GetRange::Bounded(range)), ..GetOptions::default() };
    let answer = store.reading().get_opts(&source.object, options).await?;
    // Looked at here rather than asked for as a condition: there are servers that forget the range then.
    if answer.meta.size != source.bytes || differ(source.e_tag.as_deref(), answer.meta.e_tag.as_deref()) {
        return Err(object_store::Error::Precondition {
            path: source.object.to_string(),
            source: "another size or entity tag".into(),
        });
    }
    let mut stream = answer.into_stream();
    let end = got.len() + wanted;
    while let Some(bytes) = stream.next().await {
        let bytes = bytes?;
        // More than was asked for is not believed.
        got.extend_from_slice(&bytes[..bytes.len().min(end - got.len())]);
    }
    Ok(())
}

/// Whether two entity tags tell two contents apart. Lists of some stores give them without the quotes.
fn differ(listed: Option<&str>, found: Option<&str>) -> bool {
    match (listed, found) {
        (Some(listed), Some(found)) => listed.trim_matches('"') != found.trim_matches('"'),
        _ => false,
    }
}
