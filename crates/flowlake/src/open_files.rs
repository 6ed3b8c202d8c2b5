//! How many files this process may have open at a time.
//!
//! Whoever runs out of them half-way cannot even list the directory that has to be cleared away, so it is looked at before
//! anything is touched.

use std::io;

use rlimit::Resource;

use crate::exit::{Exit, Failure};

/// What any command may need beside what grows with its threads: files of the system, of the runtime, of connections, and of
/// directories within directories when something is cleared away.
const LEAST: u64 = 32;

/// What a thread may need: the dump it reads, or the connections it comes by, the files it writes and those in which rows wait.
const OF_A_JOB: u64 = 8;

/// Raises the limit as far as one may oneself, and refuses one that is too low for any command.
pub(crate) fn prepare() -> Result<(), Failure> {
    // A shell's limit is meant for programs that cannot use more; the system's is the one that counts.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    check(LEAST, "")
}

/// Refuses a limit that is too low for so many threads.
pub(crate) fn enough_for(jobs: usize) -> Result<(), Failure> {
    check(LEAST + OF_A_JOB * jobs as u64, ", or give fewer --jobs")
}

fn check(needed: u64, or: &str) -> Result<(), Failure> {
    let allowed: io::Result<(u64, u64)> = Resource::NOFILE.get();
    match allowed {
        Ok((allowed, _)) if allowed < needed => {
            let message =
                format!("no more than {allowed} files may be open at a time, and {needed} may be needed");
            Err(Failure::message(Exit::Usage, message)
                .hint(format!("raise the limit, as with `ulimit -n {needed}`{or}")))
        }
        _ => Ok(()),
    }
}
