//! A build: plan the tasks, run them, commit once.
//!
//! One task is one dump. Tasks share nothing, and what a task makes depends only on the dump, the configuration and the
//! version of this program, so they can run in any order and on any number of threads; [`commit`] puts what they made
//! together in a fixed order.

pub(crate) mod commit;
pub(crate) mod fragment;
pub(crate) mod job;
pub(crate) mod lane;
pub(crate) mod memory;
pub(crate) mod plan;
pub(crate) mod plan_file;
pub(crate) mod pool;
pub(crate) mod task;
