//! One module a subcommand.

pub(crate) mod build;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod distributed;
pub(crate) mod docs;
pub(crate) mod dry_run;
pub(crate) mod export;
pub(crate) mod files;
pub(crate) mod inspect;
pub(crate) mod query;
pub(crate) mod rebuild;
pub(crate) mod recipe;
pub(crate) mod release;
pub(crate) mod sample;
pub(crate) mod verify;
