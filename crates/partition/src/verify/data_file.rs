//! Whether one data file is the one its entry describes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_schema::{DataType, Field};
use flowlake_store::EntryKind;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use sha2::{Digest, Sha256};

use super::{DifferenceKind, Place, VerifyReport};
use crate::digest::{BLOCK_ROWS, BlockDigests, ContentDigest, hex};
use crate::layout::{DataPath, timestamp_text};
use crate::manifest::{Column, ColumnType, DataFile};
use crate::profile::TableProfile;
use crate::table::{arrow_schema_of, type_name};

/// Bytes read at a time to hash a file.
const READ_BYTES: usize = 1024 * 1024;

/// Checks a data file, and counts its rows. Stops at the first finding that makes the next ones meaningless.
pub(super) fn check(
    place: &Place<'_>,
    columns: &[Column],
    file: &DataFile,
    report: &mut VerifyReport,
    profile: Option<&mut TableProfile>,
) {
    report.files_checked += 1;
    if !check_path(file, report) {
        return;
    }
    let Some(entry) = place.entries.get(&file.path) else {
        return report.add(&file.path, DifferenceKind::Missing, "the manifest lists it");
    };
    if entry.kind != EntryKind::File {
        return report.add(&file.path, DifferenceKind::NotAFile, "it should be a regular file");
    }
    if entry.bytes != file.bytes {
        differs(report, file, DifferenceKind::Size, "bytes", file.bytes, entry.bytes);
    }
    if place.quick {
        report.bytes_checked += entry.bytes;
        return;
    }
    let unreadable = |report: &mut VerifyReport, error: &dyn std::fmt::Display| {
        report.add(&file.path, DifferenceKind::Unreadable, error.to_string());
    };
    let opened = match place.lake.fetch(entry) {
        Ok(opened) => opened,
        Err(error) => return unreadable(report, &format!("{error}: {}", error.source)),
    };
    match sha256_of(&opened, |_| {}) {
        Ok((bytes, sha256)) => {
            report.bytes_checked += bytes;
            if sha256 != file.sha256 {
                return differs(
                    report,
                    file,
                    DifferenceKind::Sha256,
                    "SHA-256",
                    file.sha256.as_str(),
                    &sha256,
                );
            }
        }
        Err(error) => return unreadable(report, &error),
    }
    if let Err(error) = check_rows(opened, columns, file, report, profile) {
        report.add(&file.path, DifferenceKind::Parquet, error.to_string());
    }
}

fn differs<T: std::fmt::Display>(
    report: &mut VerifyReport,
    file: &DataFile,
    kind: DifferenceKind,
    what: &str,
    expected: T,
    found: impl std::fmt::Display,
) {
    report.add(&file.path, kind, format!("{what}: expected {expected}, found {found}"));
}

/// Whether the path is one that may be opened.
fn check_path(file: &DataFile, report: &mut VerifyReport) -> bool {
    let path: DataPath = match file.path.parse() {
        Ok(path) => path,
        Err(error) => {
            report.add(&file.path, DifferenceKind::BadPath, error.to_string());
            return false;
        }
    };
    let month = path.key().month().to_string();
    for (what, expected, found) in [
        ("month", &*file.month, &*month),
        ("deviceClass", &file.device_class, path.key().device_class()),
        ("deviceName", &file.device_name, path.device_name()),
    ] {
        if expected != found {
            differs(report, file, DifferenceKind::Partition, what, expected, found);
        }
    }
    if let Some(digest) = path.digest().filter(|digest| !digest.begins(&file.sha256)) {
        // Another name than the file of this entry has: what is there now is the file of another entry.
        let detail = format!("its name says {digest}, its SHA-256 is {}", file.sha256);
        report.add(&file.path, DifferenceKind::BadPath, detail);
        return false;
    }
    true
}

/// Size and SHA-256 of a file; each piece of it goes to `also` as well.
pub(super) fn sha256_of(mut file: &File, mut also: impl FnMut(&[u8])) -> io::Result<(u64, String)> {
    file.seek(SeekFrom::Start(0))?;
    let mut buffer = vec![0; READ_BYTES];
    let mut sha256 = Sha256::new();
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hex(&sha256.finalize()))),
            Ok(read) => {
                sha256.update(&buffer[..read]);
                also(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads the rows back and compares them with the entry.
fn check_rows(
    file: File,
    columns: &[Column],
    entry: &DataFile,
    report: &mut VerifyReport,
    mut profile: Option<&mut TableProfile>,
) -> Result<(), ParquetError> {
    // The types that count are Parquet's own, which every engine sees.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load(&file, options.clone())?;
    let row_groups = metadata.metadata().num_row_groups() as u64;
    if row_groups != entry.row_groups {
        differs(report, entry, DifferenceKind::RowGroups, "row groups", entry.row_groups, row_groups);
    }
    let (expected, found) = (describe(columns), describe_fields(metadata.schema().fields()));
    if expected != found {
        differs(report, entry, DifferenceKind::Schema, "columns", expected, found);
        return Ok(());
    }

    let metadata = ArrowReaderMetadata::try_new(
        Arc::clone(metadata.metadata()),
        options.with_schema(arrow_schema_of(columns)),
    )?;
    let rows = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
        .with_batch_size(BLOCK_ROWS)
        .build()?;
    let mut found = Found::new(columns);
    for batch in rows {
        found.add(columns, &batch?, profile.as_deref_mut())?;
    }
    report.rows_checked += found.rows;
    found.compare(entry, report);
    Ok(())
}

/// Name, type and nullability of all columns, for comparing and for people.
fn describe(columns: &[Column]) -> String {
    columns
        .iter()
        .map(|c| format!("{} {}{}", c.name, type_name(c.data_type), if c.nullable { "?" } else { "" }))
        .collect::<Vec<_>>()
        .join(", ")
}

fn describe_fields<'a>(fields: impl IntoIterator<Item = &'a Arc<Field>>) -> String {
    let name = |data_type: &DataType| {
        let known = match data_type {
            DataType::Utf8 => ColumnType::String,
            DataType::Int32 => ColumnType::Int32,
            DataType::Int64 => ColumnType::Int64,
            DataType::Float64 => ColumnType::Float64,
            DataType::Date32 => ColumnType::Date,
            DataType::Timestamp(arrow_schema::TimeUnit::Millisecond, Some(zone))
                if zone.as_ref() == "UTC" =>
            {
                ColumnType::TimestampMillis
            }
            other => return other.to_string(),
        };
        type_name(known).to_owned()
    };
    fields
        .into_iter()
        .map(|f| format!("{} {}{}", f.name(), name(f.data_type()), if f.is_nullable() { "?" } else { "" }))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What the rows say.
struct Found {
    rows: u64,
    content: ContentDigest,
    /// Position of the flow start; a table without one has no range to check.
    flow_start: Option<usize>,
    min: i64,
    max: i64,
}

impl Found {
    fn new(columns: &[Column]) -> Self {
        // `TableSchema` sees to it that this is the one the month came from.
        let flow_start =
            columns.iter().position(|c| c.data_type == ColumnType::TimestampMillis && !c.nullable);
        Self { rows: 0, content: ContentDigest::default(), flow_start, min: i64::MAX, max: i64::MIN }
    }

    /// Adds the next rows: a whole block, but for the last ones.
    fn add(
        &mut self,
        columns: &[Column],
        batch: &RecordBatch,
        mut profile: Option<&mut TableProfile>,
    ) -> Result<(), ParquetError> {
        let rows = batch.num_rows();
        if !self.rows.is_multiple_of(BLOCK_ROWS as u64) {
            return Err(ParquetError::General("rows were read in pieces that are no blocks".to_owned()));
        }
        let mut digests = BlockDigests::new(rows);
        for (i, (column, values)) in columns.iter().zip(batch.columns()).enumerate() {
            digests
                .column(&column.name, column.data_type, values)
                .map_err(|error| ParquetError::External(Box::new(error)))?;
            if let Some(profile) = &mut profile {
                profile.count(i, values);
            }
        }
        self.content.push(rows, &digests.finish());
        self.rows += rows as u64;
        if let Some(position) = self.flow_start {
            for &millis in batch.column(position).as_primitive::<TimestampMillisecondType>().values() {
                self.min = self.min.min(millis);
                self.max = self.max.max(millis);
            }
        }
        Ok(())
    }

    fn compare(self, entry: &DataFile, report: &mut VerifyReport) {
        if self.rows != entry.rows {
            differs(report, entry, DifferenceKind::Rows, "rows", entry.rows, self.rows);
        }
        let digest = self.content.finish();
        if digest != entry.content_digest {
            let kind = DifferenceKind::ContentDigest;
            differs(report, entry, kind, "content digest", entry.content_digest.as_str(), &digest);
        }
        if self.flow_start.is_none() || self.rows == 0 {
            return;
        }
        for (what, expected, found) in [
            ("earliest flow start", &entry.min_flow_start, self.min),
            ("latest flow start", &entry.max_flow_start, self.max),
        ] {
            let found = timestamp_text(found);
            if *expected != found {
                differs(report, entry, DifferenceKind::FlowStart, what, expected.as_str(), &found);
            }
            if !found.starts_with(entry.month.as_str()) {
                differs(
                    report,
                    entry,
                    DifferenceKind::FlowStart,
                    what,
                    format!("one in {}", entry.month),
                    &found,
                );
            }
        }
    }
}
