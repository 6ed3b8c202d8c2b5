//! Who may commit, where the store does not decide it.
//!
//! A build that wants to commit writes an object of its own, a claim, and then lists all claims. If it sees none but its
//! own, it commits; else it takes its claim back, waits for a time that is not the same for everybody, and tries again.
//! Of two builds at least one writes its claim before the other lists, so no two can both see none: that needs a store
//! whose lists show every object that was written before, and no clock. A claim of a process that died would stop
//! everybody, so one that is a minute older than our own, by the clock of the store, does not count: whoever holds a
//! claim ends well before that ([`COMMIT_TIME`]), one way or the other.

use std::time::{Duration, Instant};

use flowlake_store::{Condition, ObjectStore, StoreError, unique_name};

/// Beginning of the names of claims.
const PREFIX: &str = ".flowlake-commit-claim-";
/// Age at which a claim counts no more.
const STALE_SECONDS: i64 = 60;
/// How long whoever holds a claim may go on beginning to write. A write may take [`WRITE_TIME`] more.
pub(super) const COMMIT_TIME: Duration = Duration::from_secs(25);
/// How long a single write under a claim may take.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(20);
/// How long to try to be the only one: longer than a dead claim counts.
const PATIENCE: Duration = Duration::from_secs(90);

/// The right to commit, until it is withdrawn.
pub(super) struct Claim {
    store: ObjectStore,
    path: String,
    made: Instant,
}

impl Claim {
    /// Waits for the right to commit; `None` when others were in the way all the time.
    pub(super) fn make(store: &ObjectStore) -> Result<Option<Self>, StoreError> {
        let begun = Instant::now();
        let mut tries = 0;
        loop {
            let claim = Self {
                store: store.clone(),
                path: format!("{PREFIX}{}", unique_name()),
                made: Instant::now(),
            };
            let written = store.put_until_answered(&claim.path, b"claim\n", Condition::Any, "claim");
            match written.and_then(|_| claim.is_alone()) {
                Ok(true) => return Ok(Some(claim)),
                Ok(false) => claim.withdraw(),
                Err(error) => {
                    claim.withdraw();
                    return Err(error);
                }
            }
            if begun.elapsed() > PATIENCE {
                return Ok(None);
            }
            tries += 1;
            std::thread::sleep(jittered(tries));
        }
    }

    fn is_alone(&self) -> Result<bool, StoreError> {
        let claims = self.store.walk("")?;
        let claims: Vec<&str> =
            claims.iter().map(|entry| entry.path.as_str()).filter(|path| path.starts_with(PREFIX)).collect();
        let stats = self.store.stat_all(&claims)?;
        let own = stats.iter().flatten().find(|stat| stat.entry.path == self.path);
        // Not even our own: the list does not show what was written, so it proves nothing.
        let Some(own) = own else { return Ok(false) };
        Ok(stats
            .iter()
            .flatten()
            .filter(|stat| stat.entry.path != self.path)
            .all(|other| own.written_seconds - other.written_seconds > STALE_SECONDS))
    }

    /// A moment before it was written.
    pub(super) fn made(&self) -> Instant {
        self.made
    }

    /// Gives the right back.
    pub(super) fn withdraw(self) {
        // One that stays counts for nothing after a while, and the next build to replace the lake deletes it.
        let _ = self.store.uninterrupted(WRITE_TIME).delete(&[self.path]);
    }
}

/// Not the same for two builds that met.
fn jittered(tries: u32) -> Duration {
    let name = unique_name();
    let spread = name.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    Duration::from_millis(20 + spread % (100u64 << tries.min(5)))
}
