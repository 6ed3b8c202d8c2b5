//! Exports, read by hand: by nothing that the product writes them with.

use std::io::Read;

use serde_json::{Map, Value, json};

use super::lake::Lake;

/// Values of a row by column.
pub(crate) type Row = Map<String, Value>;

/// The text of a file, unpacked as its name says.
fn unpack(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    if name.ends_with(".gz") {
        flate2::read::MultiGzDecoder::new(bytes).read_to_end(&mut text).expect("gzip");
    } else if name.ends_with(".zst") {
        zstd::Decoder::new(bytes).and_then(|mut frame| frame.read_to_end(&mut text)).expect("zstd");
    } else {
        text = bytes.to_vec();
    }
    text
}

/// A CSV reader that knows null from empty text: fields of a record, `None` where there is nothing at all.
fn parse_csv(text: &str) -> Vec<Vec<Option<String>>> {
    let mut records = Vec::new();
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        let mut record = Vec::new();
        loop {
            let mut field = None;
            if chars.next_if_eq(&'"').is_some() {
                let mut quoted = String::new();
                while let Some(char) = chars.next() {
                    if char != '"' || chars.next_if_eq(&'"').is_some() {
                        quoted.push(char);
                    } else {
                        break;
                    }
                }
                field = Some(quoted);
            } else {
                while let Some(char) = chars.next_if(|char| !matches!(char, ',' | '\n')) {
                    field.get_or_insert_default().push(char);
                }
            }
            record.push(field);
            match chars.next() {
                Some(',') => {}
                Some('\n') => break,
                other => panic!("{other:?} behind a field"),
            }
        }
        records.push(record);
    }
    records
}

/// Types of all columns of an export, by name, as the manifest has them.
pub(crate) fn types(lake: &Lake) -> Vec<(String, String)> {
    let schema = &lake.manifest["schema"];
    let columns = ["columns", "partitionBy"].map(|list| schema[list].as_array().expect("a list"));
    let text = |column: &Value, key: &str| column[key].as_str().expect("text").to_owned();
    columns.into_iter().flatten().map(|column| (text(column, "name"), text(column, "type"))).collect()
}

/// Rows of a CSV file, with numbers as numbers.
pub(crate) fn csv_rows(lake: &Lake, name: &str, bytes: &[u8]) -> Vec<Row> {
    let text = String::from_utf8(unpack(name, bytes)).expect("UTF-8");
    let types = types(lake);
    let mut records = parse_csv(&text).into_iter();
    let header: Vec<String> = records.next().expect("a header").into_iter().flatten().collect();
    assert_eq!(header, types.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    let row = |record: Vec<Option<String>>| {
        assert_eq!(record.len(), types.len());
        let value = |(name, kind): &(String, String), field: Option<String>| {
            let value = match (field, kind.as_str()) {
                (None, _) => Value::Null,
                (Some(text), "int32" | "int64") => json!(text.parse::<i64>().expect("an integer")),
                (Some(text), "float64") => json!(text.parse::<f64>().expect("a number")),
                (Some(text), _) => json!(text),
            };
            (name.clone(), value)
        };
        types.iter().zip(record).map(|(column, field)| value(column, field)).collect()
    };
    records.map(row).collect()
}

pub(crate) fn ndjson_rows(lake: &Lake, name: &str, bytes: &[u8]) -> Vec<Row> {
    let text = String::from_utf8(unpack(name, bytes)).expect("UTF-8");
    assert!(text.ends_with("}\n"));
    let rows: Vec<Row> = text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert!(rows.iter().all(|row| row.len() == types(lake).len()));
    rows
}

/// `2019-06-25T08:36:29.747Z`, of milliseconds since 1970; spelled by Polars.
pub(crate) fn spelled(millis: i64, kind: &str) -> String {
    use polars::prelude::{AnyValue, TimeUnit};
    match kind {
        "date" => AnyValue::Date(i32::try_from(millis).expect("days")).to_string(),
        _ => {
            let text = AnyValue::Datetime(millis, TimeUnit::Milliseconds, None).to_string();
            let (date, time) = text.split_once(' ').expect("a date and a time");
            let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
            format!("{date}T{time}.{:0<3}Z", &fraction[..fraction.len().min(3)])
        }
    }
}
