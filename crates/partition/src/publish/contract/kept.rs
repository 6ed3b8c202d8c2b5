//! What a quick check finds: sizes and names everywhere, and in object stores the digests that are kept there.

use flowlake_store::Upload;

use super::places::{Place, SOME, in_every_place, paths};
use crate::manifest::{MANIFEST_FILE, Manifest};
use crate::publish::PublishMode;
use crate::verify::{DifferenceKind, VerifyOptions, VerifyReport, verify};

in_every_place!(
    sizes_and_names_are_compared,
    other_bytes_of_the_same_size_are_found_by_their_digest,
    a_lake_that_others_copied_has_no_digests_to_compare,
);

fn check(place: &Place, quick: bool) -> VerifyReport {
    verify(&place.lake(), VerifyOptions { quick, jobs: 2 }).expect("it can be checked")
}

#[track_caller]
fn finds(place: &Place, quick: bool, expected: &[(&str, DifferenceKind)]) {
    let report = check(place, quick);
    let found: Vec<(&str, DifferenceKind)> =
        report.differences.iter().map(|found| (found.path.as_str(), found.kind)).collect();
    assert_eq!(found, expected, "quick {quick}");
}

/// A lake, and the path of one of its data files.
fn lake(place: &Place) -> (Manifest, String) {
    let manifest = place.publish(PublishMode::Fresh, SOME, "lake");
    let path = manifest.files[0].path.clone();
    (manifest, path)
}

fn sizes_and_names_are_compared(place: &Place) {
    let (manifest, path) = lake(place);
    let bytes = place.read(&path);
    let report = check(place, true);
    let expected = VerifyReport {
        files_checked: 2,
        bytes_checked: manifest.totals.bytes,
        digests_compared: if place.is_directory() { 0 } else { 3 },
        ..VerifyReport::default()
    };
    assert_eq!(report, expected);

    place.write(&path, &bytes[1..]);
    let kinds: &[(&str, DifferenceKind)] = match place.is_directory() {
        true => &[(&path, DifferenceKind::Size)],
        false => &[(&path, DifferenceKind::Size), (&path, DifferenceKind::Sha256)],
    };
    finds(place, true, kinds);
    finds(place, false, &[(&path, DifferenceKind::Size), (&path, DifferenceKind::Sha256)]);
    place.remove(&path);
    for quick in [true, false] {
        finds(place, quick, &[(&path, DifferenceKind::Missing)]);
    }
    let rejected = paths(&manifest).into_iter().find(|path| path.starts_with("rejected/")).expect("some");
    place.remove(&rejected);
    place.write("stray.txt", b"x");
    for quick in [true, false] {
        finds(
            place,
            quick,
            &[
                (&path, DifferenceKind::Missing),
                (&rejected, DifferenceKind::Missing),
                ("stray.txt", DifferenceKind::Stray),
            ],
        );
    }
}

fn other_bytes_of_the_same_size_are_found_by_their_digest(place: &Place) {
    let (_, path) = lake(place);
    let bytes = place.read(&path);
    let mut other = bytes.clone();
    other[bytes.len() / 2] ^= 1;
    let found = [(path.as_str(), DifferenceKind::Sha256)];

    // Written by something that knows nothing of digests.
    place.write(&path, &other);
    finds(place, false, &found);
    let Some(objects) = place.objects() else {
        // A directory keeps none.
        return finds(place, true, &[]);
    };
    finds(place, true, &found);

    // Written by something that does.
    let spool = tempfile::tempdir().expect("a directory");
    let file = spool.path().join("x");
    fs_err::write(&file, &other).expect("it is written");
    let upload = Upload {
        path: path.clone(),
        file,
        bytes: other.len() as u64,
        sha256: "0".repeat(64),
        may_be_there: false,
    };
    let uploads = objects.uploads();
    uploads.add(upload).expect("none failed");
    uploads.wait().expect("it is there");
    for quick in [true, false] {
        finds(place, quick, &found);
    }
    // The right bytes without a digest are not the object that was uploaded either, as far as one can tell.
    place.write(&path, &bytes);
    finds(place, true, &found);
    finds(place, false, &[]);
}

fn a_lake_that_others_copied_has_no_digests_to_compare(place: &Place) {
    let (manifest, path) = lake(place);
    for path in paths(&manifest).iter().map(String::as_str).chain([MANIFEST_FILE]) {
        place.write(path, &place.read(path));
    }
    for quick in [true, false] {
        let report = check(place, quick);
        assert!(report.is_clean(), "{:?}", report.differences);
        assert_eq!(report.digests_compared, 0);
    }
    // And then other bytes are found only by reading.
    let mut other = place.read(&path);
    other[10] ^= 1;
    place.write(&path, &other);
    finds(place, true, &[]);
    finds(place, false, &[(&path, DifferenceKind::Sha256)]);
}
