//! What publishing promises, wherever the lake is to be: each test is written once and run for a directory, for memory,
//! for a server of ours, and for real servers where the environment names them (`scripts/with-object-stores`).

mod faults;
mod kept;
mod places;
mod promises;
mod releases;
