//! What verifying promises: a lake as built is clean, and whatever is changed in it is found and named.

use std::path::PathBuf;

use super::*;
use crate::manifest::DataFile;
use crate::publish::PublishMode;
use crate::testing::{self, frame, publish_lake};
use crate::writer::WriterOptions;

/// June has 86,400 of these rows: two files, the first of two row groups.
const ROWS: usize = 100_000;

const JUNE: &str = "data/month=2019-06/deviceClass=smartSpeaker/echo-00000.parquet";
const JULY: &str = "data/month=2019-07/deviceClass=smartSpeaker/echo-00000.parquet";

struct Lake {
    root: PathBuf,
    manifest: Manifest,
    _place: tempfile::TempDir,
}

impl Lake {
    fn new(rows: usize) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let root = place.path().join("lake");
        let manifest = publish_lake(&root, 0, rows, PublishMode::Fresh);
        Self { root, manifest, _place: place }
    }

    fn save(&self) {
        let text = serde_json::to_string(&self.manifest).expect("JSON");
        fs::write(self.root.join(MANIFEST_FILE), text).expect("it is written");
    }

    fn file(&mut self, path: &str) -> &mut DataFile {
        self.manifest.files.iter_mut().find(|file| file.path == path).expect("it is listed")
    }

    fn verify(&self, quick: bool) -> VerifyReport {
        verify(&self.root, VerifyOptions { quick, jobs: 2 }).expect("it can be checked")
    }

    fn kinds(&self, quick: bool) -> Vec<(String, DifferenceKind)> {
        self.verify(quick).differences.into_iter().map(|d| (d.path, d.kind)).collect()
    }
}

fn found(path: &str, kind: DifferenceKind) -> (String, DifferenceKind) {
    (path.to_owned(), kind)
}

#[test]
fn a_lake_as_built_is_clean() {
    let lake = Lake::new(ROWS);
    let bytes = lake.manifest.totals.bytes;
    let quick = VerifyReport { files_checked: 2, bytes_checked: bytes, rows_checked: 0, differences: vec![] };
    assert_eq!(lake.verify(true), quick);
    assert_eq!(lake.verify(false), VerifyReport { rows_checked: ROWS as u64, ..quick });
}

#[test]
fn a_lake_without_rows_is_clean() {
    let lake = Lake::new(0);
    assert!(lake.verify(false).is_clean());
    fs::create_dir(lake.root.join(DATA_DIRECTORY)).expect("it is made");
    assert!(lake.verify(false).is_clean());
}

#[test]
fn every_flipped_byte_is_found() {
    let lake = Lake::new(500);
    let path = lake.root.join(JUNE);
    let bytes = fs::read(&path).expect("it is there");
    // From the magic number at the front over pages and footer to the one at the end.
    for step in 0..40 {
        let position = step * (bytes.len() - 1) / 39;
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (step % 8);
        fs::write(&path, flipped).expect("it is written");
        assert_eq!(lake.kinds(false), [found(JUNE, DifferenceKind::Sha256)], "byte {position}");
        assert!(lake.kinds(true).is_empty(), "a quick check does not read");
    }
}

#[test]
fn missing_shortened_and_replaced_files_are_found() {
    let lake = Lake::new(ROWS);
    let path = lake.root.join(JUNE);
    let bytes = fs::read(&path).expect("it is there");
    fs::write(&path, &bytes[..bytes.len() - 1]).expect("it is written");
    assert_eq!(lake.kinds(true), [found(JUNE, DifferenceKind::Size)]);
    assert_eq!(lake.kinds(false), [found(JUNE, DifferenceKind::Size), found(JUNE, DifferenceKind::Sha256)]);
    fs::remove_file(&path).expect("it is removed");
    for quick in [true, false] {
        assert_eq!(lake.kinds(quick), [found(JUNE, DifferenceKind::Missing)]);
    }
    std::os::unix::fs::symlink(lake.root.join(JULY), &path).expect("it is linked");
    assert_eq!(lake.kinds(false), [found(JUNE, DifferenceKind::NotAFile)]);
    fs::remove_file(lake.root.join("rejected/echo.ndjson")).expect("it is removed");
    assert!(lake.kinds(true).contains(&found("rejected/echo.ndjson", DifferenceKind::Missing)));
}

#[test]
fn strays_are_found_wherever_they_are() {
    let lake = Lake::new(500);
    let strays = [
        "README.md",
        "data/_SUCCESS",
        "data/month=2019-06/deviceClass=smartSpeaker/echo-00001.parquet",
        "data/month=2019-09",
        "extra",
        "rejected/hub.ndjson",
    ];
    for stray in strays {
        let path = lake.root.join(stray);
        if stray.contains('.') || stray.contains("SUCCESS") {
            fs::write(path, "x").expect("it is written");
        } else {
            fs::create_dir_all(path.join("deeper")).expect("it is made");
        }
    }
    let mut expected: Vec<_> = strays.iter().map(|stray| found(stray, DifferenceKind::Stray)).collect();
    expected.sort();
    assert_eq!(lake.kinds(true), expected);
    assert_eq!(lake.kinds(false), expected);
}

/// Another file with the same number of rows, and a manifest that was made to list its bytes but not its rows.
#[test]
fn a_changed_row_is_found_even_if_the_hash_was_changed_too() {
    let mut lake = Lake::new(500);
    let place = tempfile::tempdir().expect("a directory");
    let rows = frame(0, 500);
    let changed = rows.slice(0, 499).vstack(&frame(499_999, 1)).expect("same columns");
    let mut changed_port = rows.clone();
    let ports = rows.column("port").expect("there").as_materialized_series() + 1i32;
    changed_port.with_column(ports.into()).expect("same height");
    for (name, rows) in [("a", changed), ("b", changed_port)] {
        let entry =
            testing::write(&place.path().join(name), "echo", &[rows], &WriterOptions::default()).remove(0);
        if entry.rows != 500 {
            // The strange row lies in another month: this one is short of it.
            assert_eq!(entry.rows, 499);
        }
        fs::copy(place.path().join(name).join(JUNE), lake.root.join(JUNE)).expect("it is copied");
        let listed = lake.file(JUNE);
        (listed.bytes, listed.sha256) = (entry.bytes, entry.sha256);
        lake.manifest.totals.bytes = entry.bytes;
        lake.save();
        let kinds = lake.kinds(false);
        assert!(kinds.contains(&found(JUNE, DifferenceKind::ContentDigest)), "{kinds:?}");
        assert_eq!(kinds.contains(&found(JUNE, DifferenceKind::Rows)), entry.rows != 500, "{kinds:?}");
    }
}

#[test]
fn an_entry_that_misdescribes_its_file_is_found() {
    type Change = fn(&mut DataFile);
    let lake = Lake::new(500);
    let changes: [(Change, DifferenceKind); 8] = [
        (|f| f.row_groups += 1, DifferenceKind::RowGroups),
        (|f| f.content_digest = "0".repeat(64), DifferenceKind::ContentDigest),
        (|f| f.min_flow_start = "2019-06-25T00:00:00.000Z".to_owned(), DifferenceKind::FlowStart),
        (|f| f.max_flow_start = "2019-06-25T00:00:00.000Z".to_owned(), DifferenceKind::FlowStart),
        (|f| f.month = "2019-07".to_owned(), DifferenceKind::Partition),
        (|f| f.device_class = "hub".to_owned(), DifferenceKind::Partition),
        (|f| f.rows += 1, DifferenceKind::Rows),
        (|f| f.path = "../../etc/passwd".to_owned(), DifferenceKind::BadPath),
    ];
    for (change, kind) in changes {
        let mut lake = Lake { manifest: lake.manifest.clone(), ..Lake::new(500) };
        change(lake.file(JUNE));
        lake.save();
        let path = lake.manifest.files[0].path.clone();
        assert!(lake.kinds(false).contains(&found(&path, kind)), "{kind:?}: {:?}", lake.kinds(false));
    }
}

#[test]
fn a_schema_that_is_not_the_files_is_found() {
    let mut lake = Lake::new(500);
    lake.manifest.schema.columns[1].nullable = true;
    lake.save();
    assert_eq!(lake.kinds(false), [found(JUNE, DifferenceKind::Schema)]);
    lake.manifest.schema.columns.remove(1);
    lake.save();
    assert_eq!(lake.kinds(false), [found(JUNE, DifferenceKind::Schema)]);
}

#[test]
fn sums_that_do_not_add_up_are_found() {
    type Change = fn(&mut Manifest);
    let lake = Lake::new(500);
    let changes: [(Change, DifferenceKind); 11] = [
        (|m| m.totals.rows += 1, DifferenceKind::Totals),
        (|m| m.totals.bytes += 1, DifferenceKind::Totals),
        (|m| m.totals.files += 1, DifferenceKind::Totals),
        (|m| m.totals.dumps += 1, DifferenceKind::Totals),
        (|m| m.totals.input_bytes += 1, DifferenceKind::Totals),
        (|m| m.row_accounting.read += 1, DifferenceKind::RowAccounting),
        (|m| m.row_accounting.removed[0].rule = "neither".to_owned(), DifferenceKind::RowAccounting),
        (|m| m.sources[0].read += 1, DifferenceKind::RowAccounting),
        (|m| m.sources[0].kept = u64::MAX, DifferenceKind::RowAccounting),
        (|m| m.sources[0].device = "hub".to_owned(), DifferenceKind::Totals),
        (|m| m.files.push(m.files[0].clone()), DifferenceKind::Duplicate),
    ];
    for (change, kind) in changes {
        let mut manifest = lake.manifest.clone();
        change(&mut manifest);
        let changed =
            Lake { manifest, root: lake.root.clone(), _place: tempfile::tempdir().expect("a directory") };
        changed.save();
        let kinds = changed.kinds(true);
        assert!(kinds.iter().any(|(_, found)| *found == kind), "{kind:?}: {kinds:?}");
    }
}

#[test]
fn the_report_is_the_same_whatever_the_threads_and_reads_as_json() {
    let lake = Lake::new(ROWS);
    fs::remove_file(lake.root.join(JULY)).expect("it is removed");
    fs::write(lake.root.join("stray"), "x").expect("it is written");
    let reports: Vec<VerifyReport> = [0, 1, 2, 16]
        .map(|jobs| verify(&lake.root, VerifyOptions { quick: false, jobs }).expect("it can be checked"))
        .to_vec();
    assert!(reports.windows(2).all(|pair| pair[0] == pair[1]));
    let json = serde_json::to_value(&reports[0]).expect("JSON");
    assert_eq!(json["filesChecked"], 2);
    assert_eq!(json["differences"][0]["path"], JULY);
    assert_eq!(json["differences"][0]["kind"], "missing");
    assert_eq!(json["differences"][1]["kind"], "stray");
}

#[test]
fn what_is_no_lake_cannot_be_checked() {
    let place = tempfile::tempdir().expect("a directory");
    let error = verify(place.path(), VerifyOptions::default()).expect_err("refused");
    assert!(matches!(error, VerifyError::Manifest { source: ReadError::NotALake { .. }, .. }));
}
