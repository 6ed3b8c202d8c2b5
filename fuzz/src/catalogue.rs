//! The parser of catalogues.

use std::collections::BTreeSet;

use flowlake_ingest::Catalogue;
use flowlake_partition::layout::check_slug;

/// A text is a catalogue whose devices can be told apart and be names of directories, or is refused with the name of the file.
///
/// # Panics
/// When it is neither.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match Catalogue::parse(text, "fuzz.toml") {
        Ok(catalogue) => {
            let mut seen = BTreeSet::new();
            for device in &catalogue.devices {
                assert!(seen.insert(&device.name), "{} is there twice", device.name);
                check_slug(&device.name).expect("a device's name is a slug");
                check_slug(&device.class).expect("a class is a slug");
            }
        }
        Err(error) => assert!(error.to_string().contains("fuzz.toml"), "{error}"),
    }
}
