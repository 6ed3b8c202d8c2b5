//! The threads that wait for the network.

use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// Two are enough to keep some dozens of requests going: they hash and encrypt, and wait for the rest of the time.
const THREADS: usize = 2;

/// The runtime of all stores of this process, made when it is first asked for.
///
/// # Errors
/// When the system gives no threads.
pub(crate) fn handle() -> io::Result<Handle> {
    static RUNTIME: OnceLock<Result<Runtime, (io::ErrorKind, String)>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        // Without this there is no TLS at all; whoever installed another provider before may keep it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("flowlake-store")
            .enable_all()
            .build()
            .map_err(|error| (error.kind(), error.to_string()))
    });
    match runtime {
        Ok(runtime) => Ok(runtime.handle().clone()),
        Err((kind, text)) => Err(io::Error::new(*kind, text.clone())),
    }
}
