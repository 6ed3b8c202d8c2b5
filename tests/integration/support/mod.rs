//! A small kit: flows and dumps as exporters spell them, packed in every form; a place to build in; the program, run;
//! lakes, read back.

mod flow;
mod lake;
pub(crate) mod oracle;
pub(crate) mod pack;
mod program;
mod world;

pub(crate) use flow::{DEVICE_MAC, DumpText, Flow, OTHER_MAC, ROUTER_MAC};
pub(crate) use lake::{Lake, frame_rows, tree};
pub(crate) use program::{Outcome, Program, skipped, wait_for};
pub(crate) use world::{World, catalogue, device};
