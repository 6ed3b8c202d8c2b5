//! The decoder of lines, with serde_json as oracle.

use flowlake_ingest::schema::LINE;
use flowlake_ingest::{Chunk, Decoder, Limits, RawBatch};
use polars::prelude::{Column, DataFrame, DataType};
use serde_json::{Map, Value, json};

use crate::oracle::{self, Meaning};

/// Every line is a flow with the values that it states, another record, or a rejection that names line and offset and keeps the
/// text; and lines mean the same alone and together.
///
/// # Panics
/// When they do not.
pub fn check(data: &[u8]) {
    let together = decode(data);
    let mut rows = rows(&together.flows).into_iter();
    let mut rejections = together.rejections.iter();
    let (mut stats, mut tombstone, mut other) = (0, 0, 0);
    let mut offset = 0;
    for (i, line) in data.split(|&byte| byte == b'\n').enumerate() {
        let number = i as u64 + 1;
        let shown = String::from_utf8_lossy(line);
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        match meaning(text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)) {
            Meaning::Blank => {}
            Meaning::Stats => stats += 1,
            Meaning::Tombstone => tombstone += 1,
            Meaning::Other => other += 1,
            Meaning::Flow(expected) => {
                let mut found = rows.next().unwrap_or_else(|| panic!("no row of line {number}: {shown}"));
                assert_eq!(found.remove(LINE), Some(Value::from(number)), "{shown}");
                assert_eq!(found, expected, "{shown}");
            }
            Meaning::Rejected(field) => {
                let rejection = rejections.next().unwrap_or_else(|| panic!("not rejected: {shown}"));
                assert_eq!((rejection.line, rejection.offset), (number, offset), "{shown}");
                assert_eq!(rejection.text, text, "{shown}");
                let reason = &rejection.reason;
                assert!(reason.contains(field.unwrap_or_default()), "{reason} for {field:?} of {shown}");
            }
        }
        offset += line.len() as u64 + 1;
    }
    assert!(rows.next().is_none() && rejections.next().is_none(), "more than there are lines");
    let counts = together.records;
    assert_eq!((counts.stats, counts.tombstone, counts.other), (stats, tombstone, other));
    assert_eq!(counts.flows, together.flows.height() as u64);
}

/// As the oracle reads it, which does without the fine print of numbers that nobody looks at: a tree has no place for `1e999`,
/// but behind an unknown key it is legal, and passed over.
fn meaning(text: &[u8]) -> Meaning {
    let too_large = |error: &serde_json::Error| error.to_string().contains("number out of range");
    match serde_json::from_slice::<Value>(text) {
        Err(error) if too_large(&error) => {
            let decoded = decode(text);
            match decoded.rejections.first() {
                Some(_) => Meaning::Rejected(None),
                None if decoded.records.stats > 0 => Meaning::Stats,
                None if decoded.records.tombstone > 0 => Meaning::Tombstone,
                None if decoded.records.other > 0 => Meaning::Other,
                None => Meaning::Flow(
                    rows(&decoded.flows).into_iter().map(without_line).next().unwrap_or_default(),
                ),
            }
        }
        _ => oracle::read(text),
    }
}

fn without_line(mut row: Map<String, Value>) -> Map<String, Value> {
    row.remove(LINE);
    row
}

fn decode(data: &[u8]) -> RawBatch {
    let limits = Limits { max_rejected_lines: u64::MAX, max_line_bytes: u64::MAX, ..Limits::default() };
    Decoder::new("fuzz", &limits).decode(&Chunk::whole(data)).expect("no limit can be passed")
}

fn rows(frame: &DataFrame) -> Vec<Map<String, Value>> {
    let columns: Vec<(String, Vec<Value>)> =
        frame.columns().iter().map(|column| (column.name().to_string(), values(column))).collect();
    let row = |i: usize| columns.iter().map(|(name, values)| (name.clone(), values[i].clone())).collect();
    (0..frame.height()).map(row).collect()
}

fn values(column: &Column) -> Vec<Value> {
    if *column.dtype() == DataType::String {
        return column.str().expect("text").iter().map(|text| json!(text)).collect();
    }
    let numbers = column.cast(&DataType::Int64).expect("an integer beneath");
    numbers.i64().expect("integers").iter().map(|number| json!(number)).collect()
}
