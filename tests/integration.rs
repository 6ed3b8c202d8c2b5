//! What a user sees, tested by running the program.
//!
//! One binary, because every test binary links Polars once more. Modules are subjects; `support` makes the inputs, which
//! stand in the tests. Tests that need something the machine may not have say `skipped: …` on standard error when it is
//! not there.

mod integration {
    mod accounting;
    mod chunks;
    mod command_line;
    mod comparison;
    mod compat;
    mod configuration;
    mod damage;
    mod decoder;
    mod determinism;
    mod distributed;
    mod duplicates;
    mod encoded;
    mod export;
    mod full;
    mod inspection;
    mod interruption;
    mod limits;
    mod listing;
    mod matching;
    mod memory;
    mod outputs;
    mod packaging;
    mod profiles;
    mod querying;
    mod real_data;
    mod recipes;
    mod rejections;
    mod releases;
    mod samples;
    mod selection;
    mod storage;
    mod support;
    mod trailers;
    mod values;
    mod verification;
    mod warnings;
}
