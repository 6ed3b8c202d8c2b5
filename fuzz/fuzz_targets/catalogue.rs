//! [`flowlake_fuzz::catalogue`] under libFuzzer.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| flowlake_fuzz::catalogue::check(data));
