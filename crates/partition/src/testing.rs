//! A small table, and lakes of it, for the tests of this crate.

use std::path::Path;
use std::sync::Arc;

use polars::prelude::{Column, DataFrame, DataType, IntoColumn, NamedFrom, Series, TimeUnit, TimeZone};

use crate::manifest::{self, ColumnType, DataFile, Manifest};
use crate::publish::{PublishMode, Staging};
use crate::rejected::{RejectedLine, RejectedLinesWriter};
use crate::split::split_by_month;
use crate::table::{Encoding, TableColumn, TableSchema};
use crate::writer::{DatasetWriter, WriterOptions};

/// 2019-06-25 00:00 UTC.
pub(crate) const START: i64 = 1_561_420_800_000;

/// A column of each type, nullable or not, with each encoding.
pub(crate) fn schema() -> TableSchema {
    let column = |name: &str, data_type, nullable, encoding| TableColumn {
        name: name.to_owned(),
        data_type,
        nullable,
        encoding,
    };
    let columns = vec![
        column("flowStartMilliseconds", ColumnType::TimestampMillis, false, Encoding::Auto),
        column("port", ColumnType::Int32, false, Encoding::Auto),
        column("octets", ColumnType::Int64, false, Encoding::Delta),
        column("mean", ColumnType::Float64, true, Encoding::Auto),
        column("day", ColumnType::Date, false, Encoding::Auto),
        column("address", ColumnType::String, true, Encoding::Auto),
        column("time", ColumnType::String, false, Encoding::DeltaText),
    ];
    TableSchema::new(columns, "flowStartMilliseconds").expect("a valid schema")
}

/// Rows `first..first + rows` of one endless table: six seconds apart, not quite in order.
pub(crate) fn frame(first: u64, rows: usize) -> DataFrame {
    let numbers: Vec<u64> = (first..first + rows as u64).collect();
    let noise = |row: u64| row.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let starts: Vec<i64> =
        numbers.iter().map(|&n| START + n as i64 * 6_000 + (noise(n) % 1_000_000) as i64).collect();
    let ports: Vec<i32> = numbers.iter().map(|&n| (noise(n) % 100) as i32).collect();
    let octets: Vec<i64> = numbers.iter().map(|&n| (noise(n) % 1_000_000) as i64).collect();
    let means: Vec<Option<f64>> =
        numbers.iter().map(|&n| (noise(n) % 7 != 0).then(|| noise(n) as f64 / 3.0)).collect();
    let days: Vec<i32> = starts.iter().map(|ms| (ms / 86_400_000) as i32).collect();
    let addresses: Vec<Option<String>> = numbers
        .iter()
        .map(|&n| (noise(n) % 50 != 0).then(|| format!("192.168.{}.1{}", n % 7, noise(n) % 90)))
        .collect();
    let times: Vec<String> =
        starts.iter().map(|ms| crate::layout::timestamp_text(*ms)[11..].to_owned()).collect();
    let timestamp = DataType::Datetime(TimeUnit::Milliseconds, Some(TimeZone::UTC));
    DataFrame::new_infer_height(vec![
        Series::new("flowStartMilliseconds".into(), starts)
            .cast(&timestamp)
            .expect("a timestamp")
            .into_column(),
        Column::new("port".into(), ports),
        Column::new("octets".into(), octets),
        Column::new("mean".into(), means),
        Series::new("day".into(), days).cast(&DataType::Date).expect("a date").into_column(),
        Column::new("address".into(), addresses),
        Column::new("time".into(), times),
    ])
    .expect("same heights")
}

/// Writes frames one after the other and gives the entries of their files.
pub(crate) fn write(
    root: &Path,
    device: &str,
    frames: &[DataFrame],
    options: &WriterOptions,
) -> Vec<DataFile> {
    let mut writer =
        DatasetWriter::new(root, device, "smartSpeaker", Arc::new(schema()), options).expect("valid options");
    for frame in frames {
        let parts = split_by_month(frame.clone(), "flowStartMilliseconds").expect("it splits");
        for group in writer.append(parts).expect("it fits") {
            writer.store(group.encode().expect("it encodes")).expect("it is written");
        }
    }
    for group in writer.drain(usize::MAX) {
        writer.store(group.encode().expect("it encodes")).expect("it is written");
    }
    writer.finish().expect("it is closed")
}

/// A manifest of one device whose rows are those of `files`.
pub(crate) fn manifest(files: Vec<DataFile>) -> Manifest {
    let rows = files.iter().map(|f| f.rows).sum();
    let bytes = files.iter().map(|f| f.bytes).sum();
    let text = |text: &str| text.to_owned();
    Manifest {
        format_version: manifest::FORMAT_VERSION,
        tool: manifest::Tool { name: text("flowlake"), version: text("0.0.0") },
        dataset: manifest::Dataset {
            name: text("test"),
            title: text("Test"),
            licence: text("none"),
            citation: text("none"),
            url: text("none"),
        },
        recipe: manifest::RecipeReference { name: text("flows"), digest: "0".repeat(64) },
        selection: None,
        configuration: None,
        release: None,
        schema: manifest::Schema {
            columns: schema()
                .columns()
                .iter()
                .map(|column| manifest::Column {
                    name: column.name.clone(),
                    data_type: column.data_type,
                    unit: None,
                    nullable: column.nullable,
                    role: manifest::Role::Feature,
                    description: String::new(),
                    source: vec![],
                    derivation: String::new(),
                    profile: None,
                })
                .collect(),
            partition_by: vec![],
        },
        dropped_columns: vec![],
        row_accounting: manifest::RowAccounting {
            read: rows + 5,
            kept: rows,
            removed: vec![manifest::RemovedRows { rule: text("toDevice"), rows: 3 }],
            rejected: 2,
        },
        repairs: vec![],
        not_encoded: vec![],
        sources: vec![manifest::Source {
            dump: text("echo"),
            device: text("echo"),
            device_class: text("smartSpeaker"),
            parts: vec![manifest::Part { name: text("echo.json"), bytes: 77, sha256: "0".repeat(64) }],
            records: manifest::Records::default(),
            trailer: None,
            published_records: None,
            read: rows + 5,
            kept: rows,
            removed: vec![manifest::RemovedRows { rule: text("toDevice"), rows: 3 }],
            rejected: 2,
            rejected_lines: None,
            directions: manifest::Directions::default(),
            unknown_fields: vec![],
            first_flow_start: None,
            last_flow_start: None,
        }]
        .into(),
        totals: manifest::Totals {
            dumps: 1,
            input_bytes: 77,
            files: files.len() as u64,
            rows,
            bytes,
            content_digest: Some(manifest::Totals::content_digest_of(&files)),
        },
        files: files.into(),
        warnings: vec![].into(),
    }
}

/// Publishes a lake of `rows` rows of the device `echo`, from row `first` on, with its rejected lines.
pub(crate) fn publish_lake(target: &Path, first: u64, rows: usize, mode: PublishMode) -> Manifest {
    let staging = Staging::create(target, mode).expect("it is staged");
    let files = write(staging.root(), "echo", &[frame(first, rows)], &WriterOptions::default());
    let mut rejected = RejectedLinesWriter::new(staging.root(), "echo").expect("a name");
    for line in 1..=2 {
        let rejected_line = RejectedLine { line, offset: 0, reason: "no flow", text: b"x" };
        rejected.write(rejected_line).expect("it is written");
    }
    let mut manifest = manifest(files);
    manifest.sources[0].rejected_lines = rejected.finish().expect("it is closed");
    staging.publish(&manifest).expect("it is published");
    manifest
}
