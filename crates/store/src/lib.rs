//! Where bytes lie: a directory of this machine, or a prefix in an object store.
//!
//! Everything a build reads or writes away from its own scratch space passes this crate, so that the rest of the program
//! knows neither HTTP nor credentials. [`Location`] is what a user names, [`LakeStore`] is the place opened for reading,
//! and [`ObjectStore`] is the same with what only object stores can do: uploads, conditional writes, deletion.
//!
//! All functions block. A small runtime of its own does the waiting, and several requests of one call go on at
//! a time. What a retry can cure is retried with growing pauses, up to the limits of [`StoreOptions`]; every other error
//! is a [`StoreError`] that names the operation, the URL and the cause, and never holds a credential.
#![forbid(unsafe_code)]

mod aws;
mod connect;
mod directory;
mod error;
mod http;
mod location;
mod objects;
mod options;
mod orphans;
mod reader;
mod runtime;
mod store;
mod upload;
mod waiting;

#[doc(hidden)]
pub use connect::Endpoint;
pub use error::{Cause, ErrorKind, StoreError};
pub use location::{Location, LocationError, ObjectUrl, Scheme};
pub use objects::{Condition, ObjectStore, Put, Stat, UnfinishedUploads, unique_name};
pub use options::{OptionsError, StoreOptions};
pub use store::{Entry, EntryKind, LakeStore, Version};
pub use upload::{Cancelled, DIGEST_ATTRIBUTE, Upload, Uploads};
