//! [`flowlake_fuzz::line_decoder`] under libFuzzer.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| flowlake_fuzz::line_decoder::check(data));
