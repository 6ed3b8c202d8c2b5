//! What verifying promises: a lake as built is clean, and whatever is changed in it is found and named.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::*;
use crate::manifest::{DataFile, MANIFEST_FILE, RejectedLines, Source};
use crate::publish::PublishMode;
use crate::testing::{self, frame, publish_lake};
use crate::writer::WriterOptions;

/// June has 86,400 of these rows: two files, the first of two row groups.
const ROWS: usize = 100_000;

fn directory(path: &Path) -> LakeStore {
    LakeStore::Directory(path.to_owned())
}

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

    /// Path of the only data file of a month.
    fn path_of(&self, month: &str) -> String {
        let mut files = self.manifest.files.iter().filter(|file| file.month == month);
        files.next().expect("there are rows").path.clone()
    }

    fn june(&self) -> String {
        self.path_of("2019-06")
    }

    fn july(&self) -> String {
        self.path_of("2019-07")
    }

    /// Path of the rejected lines.
    fn rejected(&self) -> String {
        self.manifest.rejected_path(&self.manifest.sources[0]).expect("there are some").into_owned()
    }

    fn file(&mut self, path: &str) -> &mut DataFile {
        self.manifest.files.iter_mut().find(|file| file.path == path).expect("it is listed")
    }

    fn verify(&self, quick: bool) -> VerifyReport {
        verify(&directory(&self.root), VerifyOptions { quick, jobs: 2 }).expect("it can be checked")
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
    let quick = VerifyReport { files_checked: 2, bytes_checked: bytes, ..VerifyReport::default() };
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
    let june = lake.june();
    let path = lake.root.join(&june);
    let bytes = fs::read(&path).expect("it is there");
    // From the magic number at the front over pages and footer to the one at the end.
    for step in 0..40 {
        let position = step * (bytes.len() - 1) / 39;
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (step % 8);
        fs::write(&path, flipped).expect("it is written");
        assert_eq!(lake.kinds(false), [found(&june, DifferenceKind::Sha256)], "byte {position}");
        assert!(lake.kinds(true).is_empty(), "a quick check does not read");
    }
}

#[test]
fn missing_shortened_and_replaced_files_are_found() {
    let lake = Lake::new(ROWS);
    let (june, july) = (lake.june(), lake.july());
    let path = lake.root.join(&june);
    let bytes = fs::read(&path).expect("it is there");
    fs::write(&path, &bytes[..bytes.len() - 1]).expect("it is written");
    assert_eq!(lake.kinds(true), [found(&june, DifferenceKind::Size)]);
    assert_eq!(lake.kinds(false), [found(&june, DifferenceKind::Size), found(&june, DifferenceKind::Sha256)]);
    fs::remove_file(&path).expect("it is removed");
    for quick in [true, false] {
        assert_eq!(lake.kinds(quick), [found(&june, DifferenceKind::Missing)]);
    }
    std::os::unix::fs::symlink(lake.root.join(july), &path).expect("it is linked");
    assert_eq!(lake.kinds(false), [found(&june, DifferenceKind::NotAFile)]);
}

#[test]
fn rejected_lines_are_checked_like_rows() {
    let lake = Lake::new(500);
    let rejected = lake.rejected();
    let path = lake.root.join(&rejected);
    let bytes = fs::read(&path).expect("it is there");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    fs::write(&path, flipped).expect("it is written");
    assert_eq!(lake.kinds(false), [found(&rejected, DifferenceKind::Sha256)]);
    assert!(lake.kinds(true).is_empty(), "a quick check does not read");
    fs::write(&path, &bytes[..bytes.len() - 1]).expect("it is written");
    assert_eq!(lake.kinds(true), [found(&rejected, DifferenceKind::Size)]);
    let both = [found(&rejected, DifferenceKind::Size), found(&rejected, DifferenceKind::Sha256)];
    assert_eq!(lake.kinds(false), both);
    fs::remove_file(&path).expect("it is removed");
    for quick in [true, false] {
        assert_eq!(lake.kinds(quick), [found(&rejected, DifferenceKind::Missing)]);
    }
    fs::create_dir(&path).expect("it is made");
    assert!(lake.kinds(false).contains(&found(&rejected, DifferenceKind::NotAFile)));
}

#[test]
fn an_entry_that_misdescribes_rejected_lines_is_found() {
    type Change = fn(&mut Source);
    let changes: [(Change, DifferenceKind); 8] = [
        (|s| lines(s).bytes += 1, DifferenceKind::Size),
        (|s| lines(s).sha256.replace_range(60.., "0000"), DifferenceKind::Sha256),
        (|s| lines(s).sha256 = "0".repeat(64), DifferenceKind::BadPath),
        (|s| lines(s).sha256 = "é".repeat(9), DifferenceKind::BadPath),
        (|s| lines(s).path = "rejected/../../secret".to_owned(), DifferenceKind::BadPath),
        (|s| lines(s).path = "/etc/passwd".to_owned(), DifferenceKind::BadPath),
        (|s| lines(s).path = "rejected/echo.ndjson".to_owned(), DifferenceKind::BadPath),
        (|s| s.dump = "../echo".to_owned(), DifferenceKind::BadPath),
    ];
    for (change, kind) in changes {
        let mut lake = Lake::new(500);
        change(&mut lake.manifest.sources[0]);
        lake.save();
        let path = lake.rejected();
        assert!(lake.kinds(false).contains(&found(&path, kind)), "{kind:?}: {:?}", lake.kinds(false));
    }
    let mut lake = Lake::new(500);
    lake.manifest.sources[0].rejected += 1;
    lake.save();
    assert!(lake.kinds(false).contains(&found(&lake.rejected(), DifferenceKind::Rows)));
}

fn lines(source: &mut Source) -> &mut RejectedLines {
    source.rejected_lines.as_mut().expect("there are some")
}

/// A lake of before: no name has a digest, and the manifest does not list the rejected lines.
#[test]
fn a_lake_without_digests_in_its_names_is_clean() {
    let mut lake = Lake::new(ROWS);
    for i in 0..lake.manifest.files.len() {
        let path = lake.manifest.files[i].path.clone();
        let (old, _) = path.rsplit_once('-').expect("a digest");
        let old = format!("{old}.parquet");
        fs::rename(lake.root.join(path), lake.root.join(&old)).expect("it is renamed");
        lake.manifest.files[i].path = old;
    }
    let old = lake.root.join("rejected/echo.ndjson");
    fs::rename(lake.root.join(lake.rejected()), &old).expect("it is renamed");
    lake.manifest.sources[0].rejected_lines = None;
    lake.save();
    assert!(lake.kinds(true).is_empty() && lake.kinds(false).is_empty(), "{:?}", lake.kinds(false));
    fs::remove_file(old).expect("it is removed");
    assert_eq!(lake.kinds(true), [found("rejected/echo.ndjson", DifferenceKind::Missing)]);
    fs::remove_file(lake.root.join(lake.june())).expect("it is removed");
    assert!(lake.kinds(true).contains(&found(&lake.june(), DifferenceKind::Missing)));
}

/// A lake in which every file was made anew, with its digest in the manifest but under its old name.
#[test]
fn other_bytes_under_a_name_are_found_also_quickly() {
    let mut lake = Lake::new(500);
    let june = lake.june();
    lake.file(&june).sha256 = "0".repeat(64);
    lake.save();
    for quick in [true, false] {
        assert_eq!(lake.kinds(quick), [found(&june, DifferenceKind::BadPath)]);
    }
}

#[test]
fn strays_are_found_wherever_they_are() {
    let lake = Lake::new(500);
    let strays = [
        "README.md",
        "data/_SUCCESS",
        "data/month=2019-06/deviceClass=smartSpeaker/echo-00000.parquet",
        "data/month=2019-06/deviceClass=smartSpeaker/echo-00001-0123456789abcdef.parquet",
        "data/month=2019-06/deviceClass=smartSpeaker/echo-00001.parquet.unfinished",
        "data/month=2019-09",
        "extra",
        "rejected/echo.ndjson",
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
        let june = lake.june();
        fs::remove_file(lake.root.join(&june)).expect("it is removed");
        fs::copy(place.path().join(name).join(&entry.path), lake.root.join(&entry.path))
            .expect("it is copied");
        let listed = lake.file(&june);
        (listed.path, listed.bytes, listed.sha256) = (entry.path, entry.bytes, entry.sha256);
        let june = lake.june();
        lake.manifest.totals.bytes = entry.bytes;
        lake.save();
        let kinds = lake.kinds(false);
        assert!(kinds.contains(&found(&june, DifferenceKind::ContentDigest)), "{kinds:?}");
        assert_eq!(kinds.contains(&found(&june, DifferenceKind::Rows)), entry.rows != 500, "{kinds:?}");
    }
}

#[test]
fn an_entry_that_misdescribes_its_file_is_found() {
    type Change = fn(&mut DataFile);
    let lake = Lake::new(500);
    let changes: [(Change, DifferenceKind); 8] = [
        (|f| f.row_groups += 1, DifferenceKind::RowGroups),
        (|f| f.content_digest = "0".repeat(64), DifferenceKind::ContentDigest),
        (|f| f.min_flow_start = "2019-06-25T00:00:00.000Z".into(), DifferenceKind::FlowStart),
        (|f| f.max_flow_start = "2019-06-25T00:00:00.000Z".into(), DifferenceKind::FlowStart),
        (|f| f.month = "2019-07".into(), DifferenceKind::Partition),
        (|f| f.device_class = "hub".into(), DifferenceKind::Partition),
        (|f| f.rows += 1, DifferenceKind::Rows),
        (|f| f.path = "../../etc/passwd".to_owned(), DifferenceKind::BadPath),
    ];
    for (change, kind) in changes {
        let mut lake = Lake { manifest: lake.manifest.clone(), ..Lake::new(500) };
        let june = lake.june();
        change(lake.file(&june));
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
    assert_eq!(lake.kinds(false), [found(&lake.june(), DifferenceKind::Schema)]);
    lake.manifest.schema.columns.remove(1);
    lake.save();
    assert_eq!(lake.kinds(false), [found(&lake.june(), DifferenceKind::Schema)]);
}

#[test]
fn sums_that_do_not_add_up_are_found() {
    type Change = fn(&mut Manifest);
    let lake = Lake::new(500);
    let changes: [(Change, DifferenceKind); 13] = [
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
        (|m| m.files.push(other_bytes(&m.files[0])), DifferenceKind::Duplicate),
        (|m| m.sources.push(m.sources[0].clone()), DifferenceKind::Duplicate),
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

/// An entry of the same device, month and number, but of other bytes.
fn other_bytes(file: &DataFile) -> DataFile {
    let sha256 = "0".repeat(64);
    let (path, _) = file.path.rsplit_once('-').expect("a digest");
    DataFile { path: format!("{path}-{}.parquet", &sha256[..16]), sha256, ..file.clone() }
}

#[test]
fn the_report_is_the_same_whatever_the_threads_and_reads_as_json() {
    let lake = Lake::new(ROWS);
    fs::remove_file(lake.root.join(lake.july())).expect("it is removed");
    fs::write(lake.root.join("stray"), "x").expect("it is written");
    let reports: Vec<VerifyReport> = [0, 1, 2, 16]
        .map(|jobs| {
            verify(&directory(&lake.root), VerifyOptions { quick: false, jobs }).expect("it can be checked")
        })
        .to_vec();
    assert!(reports.windows(2).all(|pair| pair[0] == pair[1]));
    let json = serde_json::to_value(&reports[0]).expect("JSON");
    assert_eq!(json["filesChecked"], 2);
    assert_eq!(json["differences"][0]["path"], lake.july());
    assert_eq!(json["differences"][0]["kind"], "missing");
    assert_eq!(json["differences"][1]["kind"], "stray");
}

#[test]
fn what_is_no_lake_cannot_be_checked() {
    let place = tempfile::tempdir().expect("a directory");
    let error = verify(&directory(place.path()), VerifyOptions::default()).expect_err("refused");
    assert!(matches!(error, VerifyError::Manifest { source: ReadError::NotALake { .. }, .. }));
}
