//! The reader of manifests.

use std::path::{Component, Path};

use flowlake_partition::manifest::FORMAT_VERSION;
use flowlake_partition::read::parse_manifest;
use flowlake_partition::scan::check_path;

/// Bytes are a manifest that is the same when it is written and read again, and no file of which lies elsewhere than below the
/// lake; or they are refused with the name of the file.
///
/// # Panics
/// When they are neither.
pub fn check(data: &[u8]) {
    let mut manifest = match parse_manifest(data, "fuzz/manifest.json") {
        Ok(manifest) => manifest,
        Err(error) => {
            assert!(error.to_string().contains("fuzz/manifest.json"), "{error}");
            return;
        }
    };
    // It is written in the version that it needs.
    manifest.format_version = FORMAT_VERSION;
    let text = manifest.written().expect("what was read can be written").text;
    let again = parse_manifest(&text, "fuzz/manifest.json").expect("what was written can be read");
    assert_eq!(again.written().expect("it can be written").text, text);
    assert!(again == manifest, "it changed");
    for file in &manifest.files {
        if check_path(file).is_ok() {
            let below = |part: Component<'_>| matches!(part, Component::Normal(_));
            assert!(Path::new(&file.path).components().all(below), "{} lies elsewhere", file.path);
        }
    }
    drop(manifest.listed());
}
