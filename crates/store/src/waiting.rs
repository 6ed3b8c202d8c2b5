//! How long a caller waits: until there is an answer, until somebody interrupts, or until a limit.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{ErrorKind, StoreError};
use crate::objects::{Inner, ObjectStore};

/// How often a caller who waits looks up. A signal handler cannot wake anybody.
const LOOK_UP: Duration = Duration::from_millis(100);

impl ObjectStore {
    /// The same store for work that an interruption must not end, such as a commit or what follows an interruption. Each call
    /// takes no longer than `limit`; what a store does after that is not known.
    #[must_use]
    pub fn uninterrupted(&self, limit: Duration) -> Self {
        let mut options = self.options().clone();
        options.interrupted = None;
        Self(Arc::new(Inner {
            url: self.url().clone(),
            options,
            limit: Some(limit),
            handle: self.handle().clone(),
            clients: self.0.clients.clone(),
        }))
    }

    /// How long to try for what must not fail at the first disturbance.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.options().retry_timeout
    }

    /// Waits for the result of some work.
    pub(crate) fn wait<T>(
        &self,
        operation: &'static str,
        path: &str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let failed =
            |kind, text: &str| StoreError::of_kind(operation, self.url().join(path).to_string(), kind, text);
        let begun = Instant::now();
        self.handle().block_on(async {
            let mut work = pin!(work);
            loop {
                if let Ok(result) = tokio::time::timeout(LOOK_UP, &mut work).await {
                    return result;
                }
                if self.options().interrupted.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
                    return Err(failed(ErrorKind::Interrupted, "interrupted"));
                }
                if self.0.limit.is_some_and(|limit| begun.elapsed() >= limit) {
                    return Err(failed(ErrorKind::Timeout, "no answer in time"));
                }
            }
        })
    }

    /// Waits without doing anything.
    pub(crate) fn pause(&self, operation: &'static str, time: Duration) -> Result<(), StoreError> {
        self.wait(operation, "", async {
            tokio::time::sleep(time).await;
            Ok(())
        })
    }
}
