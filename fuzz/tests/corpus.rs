//! Every input that is kept: seeds, and what once went wrong.

use std::path::Path;

use flowlake_fuzz as fuzz;
use fs_err as fs;

/// Checks the inputs of a target, and what is in further directories of the repository.
fn check_all(target: &str, further: &[&str], check: fn(&[u8])) {
    let own = format!("fuzz/corpus/{target}");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let mut inputs = 0;
    for directory in further.iter().copied().chain([own.as_str()]) {
        for entry in fs::read_dir(repository.join(directory)).expect("a corpus") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                continue;
            }
            let data = fs::read(&path).expect("an input");
            let outcome = std::panic::catch_unwind(|| check(&data));
            assert!(outcome.is_ok(), "{} fails", path.display());
            inputs += 1;
        }
    }
    assert!(inputs >= 3, "{target} has {inputs} inputs");
}

#[test]
fn line_decoder() {
    check_all("line_decoder", &[], fuzz::line_decoder::check);
}

#[test]
fn archive_reader() {
    check_all("archive_reader", &[], fuzz::archive_reader::check);
}

#[test]
fn recipe() {
    check_all("recipe", &["config/recipes"], fuzz::recipe::check);
}

#[test]
fn catalogue() {
    check_all("catalogue", &["config"], fuzz::catalogue::check);
}

#[test]
fn manifest() {
    check_all("manifest", &["tests/compat"], fuzz::manifest::check);
}

#[test]
fn partition_path() {
    check_all("partition_path", &[], fuzz::partition_path::check);
}
