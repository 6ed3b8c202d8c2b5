//! What the rest of the program relies on when it reads from places and writes to them, wherever they are.
//!
//! `reading` and `uploads` hold for every kind of place and run against each: a directory, memory, a server of ours, and
//! real servers where the environment names them (`scripts/with-object-stores`). `faults` and `resumption` are about what
//! goes wrong below the library, with the server of ours that misbehaves on demand.

mod faults;
mod places;
mod reading;
mod resumption;
mod uploads;
