//! [`flowlake_fuzz::manifest`] under libFuzzer.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| flowlake_fuzz::manifest::check(data));
