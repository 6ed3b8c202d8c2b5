//! What the writer promises: the bytes depend on rows, schema and options alone, and nothing goes missing.

use std::collections::BTreeMap;
use std::fs::File;

use fs_err as fs;
use parquet::file::reader::{FileReader, SerializedFileReader};
use polars::prelude::{Column, Scalar};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;
use crate::digest::hex;
use crate::split::split_by_month;
use crate::testing::{self, frame, schema};

const GROUP: usize = BLOCK_ROWS;

fn writer(root: &Path) -> DatasetWriter {
    DatasetWriter::new(root, "echo", "smartSpeaker", Arc::new(schema()), &WriterOptions::default())
        .expect("valid options")
}

fn parts(frame: DataFrame) -> Vec<(Month, DataFrame)> {
    split_by_month(frame, "flowStartMilliseconds").expect("it splits")
}

/// Every file below a directory, by path, with its bytes.
fn tree(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let bytes = fs::read(&path).expect("a file");
                files.insert(path.strip_prefix(root).expect("below").to_owned(), bytes);
            }
        }
    }
    files
}

fn read_back(root: &Path, file: &DataFile) -> SerializedFileReader<File> {
    let file = fs::File::open(root.join(&file.path)).expect("it is there");
    SerializedFileReader::new(file.into_file()).expect("it is Parquet")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Frames cut anywhere, in chunks cut anywhere, waiting in memory or on disk, encoded in any order by any thread, stored
    /// in any order.
    #[test]
    fn bytes_depend_on_the_rows_alone(
        rows in 0usize..4 * GROUP,
        mut cuts in prop::collection::vec(0.0f64..1.0, 0..12),
        order in any::<u64>(),
        rooms in prop::collection::vec(prop::sample::select(vec![0, 1 << 20, usize::MAX]), 7),
        rows_per_file in prop::sample::select(vec![1u64, 2 * GROUP as u64, 10_000_000]),
    ) {
        let options = WriterOptions { rows_per_file, ..WriterOptions::default() };
        let whole = frame(0, rows);
        let plain = tempfile::tempdir().expect("a directory");
        let expected = testing::write(plain.path(), "echo", std::slice::from_ref(&whole), &options);

        cuts.push(1.0);
        cuts.sort_by(f64::total_cmp);
        let cut = tempfile::tempdir().expect("a directory");
        let mut writer = DatasetWriter::new(cut.path(), "echo", "smartSpeaker", Arc::new(schema()), &options)
            .expect("valid options");
        let mut groups = Vec::new();
        let mut start = 0;
        for (pair, room) in cuts.chunks(2).zip(rooms.into_iter().cycle()) {
            // One frame of two chunks, or of one.
            let mut piece = DataFrame::empty();
            for cut in pair {
                let end = (cut * rows as f64) as usize;
                let chunk = whole.slice(start as i64, end - start);
                piece = if piece.width() == 0 { chunk } else { piece.vstack(&chunk).expect("same columns") };
                start = end;
            }
            groups.extend(writer.append(parts(piece)).expect("it fits"));
            writer.spill(room).expect("there is room on disk");
            prop_assert!(writer.memory_bytes() <= room);
        }
        loop {
            let more = writer.drain(1 << 20);
            if more.is_empty() {
                break;
            }
            groups.extend(more);
        }
        let mut encoded: Vec<EncodedRowGroup> = std::thread::scope(|scope| {
            let threads: Vec<_> = groups.into_iter().map(|group| scope.spawn(|| group.encode())).collect();
            threads.into_iter().map(|t| t.join().expect("no panic").expect("it encodes")).collect()
        });
        let mut random = order;
        while !encoded.is_empty() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            writer.store(encoded.swap_remove((random >> 33) as usize % encoded.len())).expect("it is written");
        }
        let found = writer.finish().expect("it is closed");

        prop_assert_eq!(&found, &expected);
        prop_assert!(found.is_sorted_by(|a, b| a.path < b.path));
        prop_assert_eq!(found.iter().map(|f| f.rows).sum::<u64>(), rows as u64);
        prop_assert!(tree(cut.path()) == tree(plain.path()), "the bytes differ");
    }
}

/// Polars keeps a column of one value as that value and a length; it must be written like any other.
#[test]
fn a_constant_is_written_like_a_column() {
    let rows = frame(100_000, 3 * GROUP / 2);
    let column = Column::new("port".into(), vec![443i32; rows.height()]);
    let constant = Column::new_scalar("port".into(), Scalar::from(443i32), rows.height());
    let trees = [column, constant].map(|port| {
        let mut rows = rows.clone();
        rows.with_column(port).expect("same height");
        let root = tempfile::tempdir().expect("a directory");
        testing::write(
            root.path(),
            "echo",
            &[rows.slice(0, 1000), rows.slice(1000, GROUP)],
            &WriterOptions::default(),
        );
        tree(root.path())
    });
    assert!(trees[0] == trees[1], "the bytes differ");
}

#[test]
fn entries_say_what_is_in_the_files() {
    let root = tempfile::tempdir().expect("a directory");
    // June has 86,400 rows left, in one row group and a part of another.
    let files = testing::write(root.path(), "echo", &[frame(0, 100_000)], &WriterOptions::default());
    assert_eq!(tree(root.path()).len(), 2, "nothing else is there");
    for (file, month) in files.iter().zip(["2019-06", "2019-07"]) {
        let digest = &file.sha256[..16];
        let path = format!("data/month={month}/deviceClass=smartSpeaker/echo-00000-{digest}.parquet");
        assert_eq!(file.path, path);
    }
    for file in &files {
        let bytes = fs::read(root.path().join(&file.path)).expect("it is there");
        assert_eq!(file.bytes, bytes.len() as u64);
        assert_eq!(file.sha256, hex(&Sha256::digest(&bytes)));
        let reader = read_back(root.path(), file);
        assert_eq!(reader.metadata().num_row_groups() as u64, file.row_groups);
        assert_eq!(reader.metadata().file_metadata().num_rows() as u64, file.rows);
        assert!(file.min_flow_start <= file.max_flow_start);
        assert!(
            file.min_flow_start.starts_with(file.month.as_str())
                && file.max_flow_start.starts_with(file.month.as_str())
        );
    }
    assert_eq!(files[0].row_groups, 2);
    assert_eq!(files.iter().map(|f| f.rows).sum::<u64>(), 100_000);
}

#[test]
fn files_roll_at_whole_row_groups() {
    let root = tempfile::tempdir().expect("a directory");
    let options = WriterOptions { rows_per_file: 100_000, ..WriterOptions::default() };
    let files = testing::write(root.path(), "echo", &[frame(100_000, 3 * GROUP + 5)], &options);
    let rows: Vec<u64> = files.iter().map(|f| f.rows).collect();
    assert_eq!(rows, [GROUP as u64, GROUP as u64, GROUP as u64, 5]);
    for (number, file) in files.iter().enumerate() {
        assert!(file.path.contains(&format!("/echo-{number:05}-")), "{}", file.path);
    }
}

#[test]
fn footers_hold_the_metadata_given_and_no_other() {
    let root = tempfile::tempdir().expect("a directory");
    let pairs = vec![("flowlake.recipe".to_owned(), "flows".to_owned()), ("a".to_owned(), "b".to_owned())];
    let options = WriterOptions {
        key_value_metadata: pairs.clone(),
        bloom_filter_columns: vec!["address".to_owned()],
        ..WriterOptions::default()
    };
    let files = testing::write(root.path(), "echo", &[frame(0, 100)], &options);
    let reader = read_back(root.path(), &files[0]);
    let found: Vec<(String, String)> = reader
        .metadata()
        .file_metadata()
        .key_value_metadata()
        .expect("there is some")
        .iter()
        .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
        .collect();
    assert_eq!(found, pairs);
    for column in reader.metadata().row_group(0).columns() {
        assert_eq!(column.bloom_filter_offset().is_some(), column.column_path().string() == "address");
        assert!(
            column.statistics().is_some_and(|s| s.min_bytes_opt().is_some() && s.max_bytes_opt().is_some())
        );
        assert!(column.column_index_offset().is_some() && column.offset_index_offset().is_some());
    }
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let root = tempfile::tempdir().expect("a directory");
    let mut writer = writer(root.path());
    let month = "2019-06".parse().expect("a month");
    let wrong = frame(0, 10).drop("port").expect("there is a port");
    assert!(matches!(writer.append(vec![(month, wrong)]), Err(WriteError::Table { .. })));

    let august = "2019-08".parse().expect("a month");
    writer.append(vec![(august, frame(0, 10))]).expect("its columns fit");
    let error = writer.drain(usize::MAX).remove(0).encode().expect_err("its month does not");
    assert!(matches!(error, EncodeError::WrongMonth { .. }), "{error:?}");
    assert!(matches!(writer.append(vec![]), Err(WriteError::AppendAfterDrain { .. })));
    assert!(matches!(writer.finish(), Err(WriteError::MissingRows { rows: 10, .. })));
}

#[test]
fn nothing_may_go_missing_or_come_twice() {
    let root = tempfile::tempdir().expect("a directory");
    let mut writer = writer(root.path());
    let other = tempfile::tempdir().expect("a directory");
    let mut twin = self::writer(other.path());
    let rows = || parts(frame(100_000, 2 * GROUP));
    let mut groups = writer.append(rows()).expect("it fits");
    let mut again = twin.append(rows()).expect("it fits");
    assert_eq!((groups.len(), again.len()), (2, 2));
    let last = groups.remove(1).encode().expect("it encodes");
    writer.store(last).expect("it waits for the first");
    for stored in [again.remove(1), frame_of_another_month()] {
        let stored = stored.encode().expect("it encodes");
        assert!(matches!(writer.store(stored), Err(WriteError::UnexpectedRowGroup { .. })));
    }
    let error = writer.finish().expect_err("the first is missing");
    assert!(matches!(error, WriteError::MissingRows { rows: 131_072, .. }), "{error:?}");
}

fn frame_of_another_month() -> RowGroup {
    let root = tempfile::tempdir().expect("a directory");
    let mut writer = writer(root.path());
    writer.append(parts(frame(0, 10))).expect("it fits");
    writer.drain(usize::MAX).remove(0)
}

#[test]
fn options_and_names_are_checked() {
    let root = tempfile::tempdir().expect("a directory");
    let make = |device: &str, class: &str, options: WriterOptions| {
        DatasetWriter::new(root.path(), device, class, Arc::new(schema()), &options).map(|_| ())
    };
    let default = WriterOptions::default;
    make("echo", "hub", default()).expect("all is well");
    assert!(matches!(make("../echo", "hub", default()), Err(WriteError::Layout { .. })));
    assert!(matches!(make("echo", "a/b", default()), Err(WriteError::Layout { .. })));
    for rows_per_row_group in [0, 1000, GROUP + 1] {
        let options = WriterOptions { rows_per_row_group, ..default() };
        assert!(matches!(make("echo", "hub", options), Err(WriteError::RowGroupSize { .. })));
    }
    let options = WriterOptions { compression_level: 99, ..default() };
    assert!(matches!(make("echo", "hub", options), Err(WriteError::Encoder { .. })));
    let options = WriterOptions { bloom_filter_columns: vec!["nope".to_owned()], ..default() };
    assert!(matches!(make("echo", "hub", options), Err(WriteError::NoSuchColumn { .. })));
    assert_eq!(tree(root.path()).len(), 0);
}

#[test]
fn two_dumps_of_one_device_do_not_overwrite_each_other() {
    let root = tempfile::tempdir().expect("a directory");
    testing::write(root.path(), "echo", &[frame(0, 10)], &WriterOptions::default());
    let mut second = writer(root.path());
    second.append(parts(frame(0, 10))).expect("it fits");
    let group = second.drain(usize::MAX).remove(0).encode().expect("it encodes");
    let before = tree(root.path());
    let error = second.store(group).expect_err("the file is there");
    let WriteError::Exists { path, found } = &error else { panic!("{error:?}") };
    assert!(
        path.ends_with("echo-00000.parquet") && before.contains_key(below(root.path(), found)),
        "{error}"
    );
    assert!(tree(root.path()) == before, "nothing of the second is left");
}

/// The same while the first is not finished yet, with other rows: its file has no name of its own then.
#[test]
fn two_dumps_of_one_device_do_not_write_one_file_at_the_same_time() {
    let root = tempfile::tempdir().expect("a directory");
    let rows = parts(frame(100_000, GROUP));
    let [mut first, mut second] = [writer(root.path()), writer(root.path())];
    let groups = [&mut first, &mut second].map(|writer| {
        let mut groups = writer.append(rows.clone()).expect("it fits");
        groups.remove(0).encode().expect("it encodes")
    });
    let [one, other] = groups;
    assert_eq!(first.store(one).expect("it is written"), []);
    let error = second.store(other).expect_err("the first is at it");
    let WriteError::Exists { found, .. } = &error else { panic!("{error:?}") };
    assert!(tree(root.path()).contains_key(below(root.path(), found)), "{error}");
    let files = first.finish().expect("it is closed");
    let paths: Vec<PathBuf> = tree(root.path()).into_keys().collect();
    assert_eq!(paths, [PathBuf::from(&files[0].path)]);
}

fn below<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).expect("below")
}

/// What is given out can be copied elsewhere at once: it is whole, and stays as it is.
#[test]
fn files_are_given_out_as_soon_as_they_are_complete() {
    let root = tempfile::tempdir().expect("a directory");
    let options = WriterOptions { rows_per_file: GROUP as u64, ..WriterOptions::default() };
    let mut writer = DatasetWriter::new(root.path(), "echo", "smartSpeaker", Arc::new(schema()), &options)
        .expect("valid options");
    let whole = |files: &[DataFile]| {
        for file in files {
            let bytes = fs::read(root.path().join(&file.path)).expect("it has its name");
            assert_eq!(file.sha256, hex(&Sha256::digest(&bytes)));
        }
    };
    let mut groups = writer.append(parts(frame(100_000, 2 * GROUP + 5))).expect("it fits");
    let [first, second] = [0, 0].map(|i| groups.remove(i).encode().expect("it encodes"));
    assert_eq!(writer.store(second).expect("it waits for the first"), []);
    let mut given = writer.store(first).expect("both are written");
    assert_eq!(given.len(), 2);
    whole(&given);
    for group in writer.drain(usize::MAX) {
        given.extend(writer.store(group.encode().expect("it encodes")).expect("it is written"));
    }
    whole(&given);
    assert_eq!(writer.finish().expect("it is closed"), given);
    assert_eq!(given.len(), 3);
}
