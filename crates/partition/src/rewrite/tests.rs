use flowlake_store::LakeStore;

use super::*;
use crate::digest::BLOCK_ROWS;
use crate::manifest::Manifest;
use crate::profile::TableProfile;
use crate::publish::PublishMode;
use crate::scan::DataFileRows;
use crate::split::split_by_month;
use crate::testing;
use crate::writer::DatasetWriter;

const ROWS: usize = 2 * BLOCK_ROWS + 100;

fn options() -> WriterOptions {
    WriterOptions {
        // Two files of a month: numbers are kept.
        rows_per_file: BLOCK_ROWS as u64,
        key_value_metadata: vec![
            ("flowlake.dataset".to_owned(), "test".to_owned()),
            ("flowlake.recipe".to_owned(), "flows".to_owned()),
        ],
        bloom_filter_columns: vec!["address".to_owned()],
        ..WriterOptions::default()
    }
}

/// Writes every file of the lake at `lake` again below `root`, as it is.
fn rewrite(lake: &Path, root: &Path, manifest: &Manifest) -> (Vec<DataFile>, TableProfile) {
    let columns = &manifest.schema.columns;
    let mut sum = TableProfile::new(columns.iter().map(|column| column.data_type));
    let store = LakeStore::Directory(lake.to_owned());
    let files = manifest.files.iter().map(|entry| {
        let rows = DataFileRows::open(&store, columns, entry).expect("it opens");
        let mut writer = FileRewriter::create(root, entry, columns, rows.layout()).expect("it begins");
        for batch in rows {
            writer.write(&batch.expect("it reads")).expect("it is written");
        }
        let (file, profile) = writer.finish().expect("it is closed");
        sum.merge(&profile);
        file
    });
    (files.collect(), sum)
}

fn assert_same_bytes(lake: &Path, copy: &Path, files: &[DataFile]) {
    for file in files {
        let read = |root: &Path| fs_err::read(root.join(&file.path)).expect("it is there");
        assert!(read(lake) == read(copy), "{} has other bytes", file.path);
    }
}

#[test]
fn what_was_not_changed_has_the_bytes_it_had() {
    let directory = tempfile::tempdir().expect("a directory");
    let (lake, copy) = (directory.path().join("lake"), directory.path().join("copy"));
    let files = testing::write(&lake, "echo", &[testing::frame(0, ROWS)], &options());
    assert!(files.iter().any(|file| file.path.contains("echo-00001-")), "{files:?}");
    let manifest = testing::manifest(files);
    let (files, profile) = rewrite(&lake, &copy, &manifest);
    assert_eq!(files, *manifest.files);
    assert_same_bytes(&lake, &copy, &files);
    assert_eq!(profile.summaries()[0].nulls, 0);
}

#[test]
fn without_a_flow_start_its_range_is_taken_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let (lake, copy) = (directory.path().join("lake"), directory.path().join("copy"));
    let columns = testing::schema().columns()[1..].to_vec();
    let schema = TableSchema::without_flow_start(columns, "flowStartMilliseconds").expect("a schema");
    let mut writer = DatasetWriter::new(&lake, "echo", "smartSpeaker", Arc::new(schema), &options())
        .expect("valid options");
    let mut frame = testing::frame(0, ROWS);
    let start = frame.drop_in_place("flowStartMilliseconds").expect("a column");
    frame.with_column(start).expect("same height");
    let parts = split_by_month(frame, "flowStartMilliseconds").expect("it splits");
    let mut groups = writer.append(parts).expect("it fits");
    groups.extend(writer.drain(usize::MAX));
    for group in groups {
        writer.store(group.encode().expect("it encodes")).expect("it is written");
    }
    let mut manifest = testing::manifest(writer.finish().expect("it is closed"));
    manifest.schema.columns.remove(0);
    let (files, _) = rewrite(&lake, &copy, &manifest);
    assert_eq!(files, *manifest.files);
    assert_same_bytes(&lake, &copy, &files);
}

#[test]
fn a_column_that_is_left_out_changes_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let (lake, copy) = (directory.path().join("lake"), directory.path().join("copy"));
    let files = testing::write(&lake, "echo", &[testing::frame(0, 1000)], &options());
    let manifest = testing::manifest(files);
    let columns = &manifest.schema.columns;
    let mut fewer = columns.clone();
    fewer.remove(5);
    let store = LakeStore::Directory(lake);
    let entry = &manifest.files[0];
    let rows = DataFileRows::open(&store, columns, entry).expect("it opens");
    let layout = rows.layout().clone();
    assert_eq!(layout.bloom_filter_columns, BTreeSet::from(["address".to_owned()]));
    let delta = ["flowStartMilliseconds", "octets", "time"].map(str::to_owned);
    assert_eq!(layout.delta_columns, BTreeSet::from(delta));
    let mut writer = FileRewriter::create(&copy, entry, &fewer, &layout).expect("it begins");
    for batch in rows {
        let mut batch = batch.expect("it reads");
        batch.remove_column(5);
        writer.write(&batch).expect("it is written");
    }
    let (file, profile) = writer.finish().expect("it is closed");
    assert_eq!((file.rows, profile.summaries().len()), (entry.rows, 6));
    assert_ne!(file.content_digest, entry.content_digest);
    let store = LakeStore::Directory(copy);
    let rows = DataFileRows::open(&store, &fewer, &file).expect("it opens");
    assert_eq!(rows.layout().bloom_filter_columns, BTreeSet::new());
    assert_eq!(rows.layout().key_value_metadata, layout.key_value_metadata);
    assert!(rows.map(|batch| batch.map(|batch| batch.num_columns())).all(|n| n.is_ok_and(|n| n == 6)));
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let lake = directory.path().join("lake");
    let manifest = testing::publish_lake(&lake, 0, 100, PublishMode::Fresh);
    let store = LakeStore::Directory(lake);
    let (columns, entry) = (&manifest.schema.columns, &manifest.files[0]);
    let mut rows = DataFileRows::open(&store, columns, entry).expect("it opens");
    let layout = rows.layout().clone();
    let batch = rows.next().expect("rows").expect("it reads");
    let refused = |number: usize, columns: &[Column]| {
        let root = directory.path().join(number.to_string());
        let mut writer = FileRewriter::create(&root, entry, columns, &layout).expect("it begins");
        writer.write(&batch).expect_err("refused")
    };
    let table = |error: &RewriteError| match error {
        RewriteError::Table { source, .. } => source.clone(),
        other => panic!("{other:?}"),
    };
    let error = table(&refused(0, &columns[..6]));
    assert!(matches!(error, TableError::ColumnName { position: 6, .. }), "{error:?}");
    let mut other = columns.clone();
    other[3].nullable = false;
    assert!(matches!(table(&refused(1, &other)), TableError::Nulls { .. }));
    other[3].nullable = true;
    other[1].data_type = ColumnType::Int64;
    assert!(matches!(table(&refused(2, &other)), TableError::ColumnType { .. }));
    let elsewhere =
        DataFile { path: "data/month=2019-05/deviceClass=c/echo-00000.parquet".to_owned(), ..entry.clone() };
    let mut writer = FileRewriter::create(directory.path(), &elsewhere, columns, &layout).expect("it begins");
    assert!(matches!(writer.write(&batch), Err(RewriteError::Encode { .. })));
    let nowhere = DataFile { path: "../echo.parquet".to_owned(), ..entry.clone() };
    let error = FileRewriter::create(directory.path(), &nowhere, columns, &layout).expect_err("refused");
    assert!(matches!(error, RewriteError::Path { .. }));
}
