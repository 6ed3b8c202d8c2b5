//! A small kit: flows and dumps as exporters spell them, packed in every form; a place to build in; the program, run;
//! lakes, read back.

pub(crate) mod exported;
mod flow;
mod lake;
pub(crate) mod oracle;
pub(crate) mod pack;
mod program;
mod rows;
mod world;

pub(crate) use flow::{DEVICE_MAC, DumpText, Flow, OTHER_MAC, ROUTER_MAC};
pub(crate) use lake::{Lake, frame_rows, tree, without_digests};
pub(crate) use program::{BINARY, Outcome, Program, section, skipped, wait_for};
pub(crate) use rows::read_frame;
pub(crate) use world::{World, catalogue, device};

/// So many cases of a property, or as many as `PROPTEST_CASES` says: more dig deeper. A failure is to become a test with
/// a name, not a file of seeds.
pub(crate) fn cases(count: u32) -> proptest::test_runner::Config {
    let default = proptest::test_runner::Config { failure_persistence: None, ..Default::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() {
        return default;
    }
    proptest::test_runner::Config { cases: count, ..default }
}
