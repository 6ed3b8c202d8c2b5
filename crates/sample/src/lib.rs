//! Synthetic IPFIX dumps in the exact form of the published ones, so that everything downstream can be tried,
//! tested and measured without holding a single real row.
//!
//! Why a generator and not a handful of fixtures: the published data may not be redistributed, benchmarks need
//! gigabytes, and the queries people ask (usage by hour, share of services, drift between months) only mean
//! something on data with a rhythm and with habits. What a device class does is configuration
//! (`config/sample.toml`, read by [`parse_profiles`]); how a flow meter writes it down is code.
//!
//! The bytes of a dump depend on the seed, the scale, the device and the profiles, and on nothing else: no clock,
//! no host, no thread. Random numbers come from one PCG stream per device, and the arithmetic behind every value
//! is integer or one of `+ - * / sqrt`, which IEEE 754 defines to the last bit, so another machine writes the same.
//!
//! The way through the crate: `generate` (output directory, threads) → `dump` (two passes, tar, gzip, parts) →
//! `device` (which flow comes next) → `exchange` (what the two ends sent) → `line` (how the exporter spells it).

#![forbid(unsafe_code)]

mod catalogue;
mod clock;
mod device;
mod dump;
mod error;
mod exchange;
mod generate;
mod line;
mod network;
mod profiles;
mod random;

pub use dump::DumpWritten;
pub use error::SampleError;
pub use generate::{SampleDevice, SampleOptions, generate};
pub use profiles::{Profiles, parse_profiles};
