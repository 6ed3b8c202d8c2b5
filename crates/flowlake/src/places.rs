//! Opens the places that the command line names.

use flowlake_store::{LakeStore, Location, StoreOptions};

use crate::commands::build::interruption;
use crate::exit::{Exit, Failure};

/// Opens a place; `exit` is how the program ends if it cannot be addressed.
pub(crate) fn open(location: &Location, exit: Exit) -> Result<LakeStore, Failure> {
    let mut options = StoreOptions::from_environment().map_err(|error| Failure::new(Exit::Usage, error))?;
    options.interrupted = Some(interruption()?);
    LakeStore::open(location, &options).map_err(|error| Failure::store(exit, error))
}
