//! Profiles say what is in a column, and the same however its rows are cut and whatever their order.

use std::sync::Arc;

use arrow_array::{
    Date32Array, Float64Array, Int32Array, Int64Array, StringViewArray, TimestampMillisecondArray,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn profiled(data_type: ColumnType, parts: &[ArrayRef]) -> TableProfile {
    let mut profile = TableProfile::new([data_type]);
    for part in parts {
        profile.count(0, part);
    }
    profile
}

/// The profile of one array, as the manifest has it.
fn summary(data_type: ColumnType, values: impl Array + 'static) -> Value {
    let summaries = profiled(data_type, &[Arc::new(values)]).summaries();
    serde_json::to_value(&summaries[0]).expect("JSON")
}

#[test]
fn numbers_have_a_range_and_a_mean() {
    let found = summary(ColumnType::Int32, Int32Array::from(vec![Some(7), None, Some(-3), Some(0)]));
    assert_eq!(found, json!({"nulls": 1, "min": -3, "max": 7, "mean": 4.0 / 3.0}));
    let found = summary(ColumnType::Int64, Int64Array::from(vec![i64::MIN, i64::MAX, i64::MAX]));
    let third = (i64::MAX - 1) as f64 / 3.0;
    assert_eq!(found, json!({"nulls": 0, "min": i64::MIN, "max": i64::MAX, "mean": third}));
    let found = summary(ColumnType::Float64, Float64Array::from(vec![Some(0.5), Some(-2.0), None]));
    assert_eq!(found, json!({"nulls": 1, "min": -2.0, "max": 0.5, "mean": -0.75}));
}

#[test]
fn times_have_a_range() {
    let times = TimestampMillisecondArray::from(vec![1_561_451_789_747, 0]).with_timezone("UTC");
    let expected = json!({"nulls": 0, "min": "1970-01-01T00:00:00.000Z", "max": "2019-06-25T08:36:29.747Z"});
    assert_eq!(summary(ColumnType::TimestampMillis, times), expected);
    let days = Date32Array::from(vec![Some(18_072), None, Some(-1)]);
    let expected = json!({"nulls": 1, "min": "1969-12-31", "max": "2019-06-25"});
    assert_eq!(summary(ColumnType::Date, days), expected);
}

#[test]
fn texts_have_their_most_frequent_values_equals_by_value() {
    let values = vec![Some("b"), Some(""), None, Some("a"), Some("b"), Some("é"), Some("c"), Some("d")];
    let top = |value: &str, rows: u64, share: f64| json!({"value": value, "rows": rows, "share": share});
    let expected = json!({
        "nulls": 1, "min": "", "max": "é", "distinct": 6, "distinctIsEstimate": false,
        "topValues": [top("b", 2, 0.25), top("", 1, 0.125), top("a", 1, 0.125), top("c", 1, 0.125), top("d", 1, 0.125)],
    });
    assert_eq!(summary(ColumnType::String, StringViewArray::from(values)), expected);
}

#[test]
fn nothing_has_no_values() {
    for data_type in [ColumnType::Int32, ColumnType::Float64, ColumnType::Date, ColumnType::TimestampMillis] {
        let found = TableProfile::new([data_type]).summaries();
        assert_eq!(serde_json::to_value(&found[0]).expect("JSON"), json!({"nulls": 0}));
    }
    let found = summary(ColumnType::Int64, Int64Array::from(vec![None, None]));
    assert_eq!(found, json!({"nulls": 2}));
    let found = summary(ColumnType::String, StringViewArray::from(vec![None::<&str>]));
    assert_eq!(found, json!({"nulls": 1, "distinct": 0, "distinctIsEstimate": false, "topValues": []}));
}

#[test]
fn values_are_counted_exactly_up_to_the_limit_and_estimated_beyond() {
    // Longer than a view, and repeated.
    let address = |i: usize| format!("2001:db8::{:04x}", i);
    let at_limit = StringViewArray::from_iter_values((0..3072).map(|i| address(i % 1024)));
    let found = summary(ColumnType::String, at_limit.clone());
    assert_eq!((&found["distinct"], &found["distinctIsEstimate"]), (&json!(1024), &json!(false)));
    assert_eq!(found["topValues"][4], json!({"value": address(4), "rows": 3, "share": 0.000_977}));

    let one_more = StringViewArray::from(vec!["zzz"]);
    let profile = profiled(ColumnType::String, &[Arc::new(one_more), Arc::new(at_limit)]);
    let found = serde_json::to_value(&profile.summaries()[0]).expect("JSON");
    assert_eq!((&found["min"], &found["max"]), (&json!(address(0)), &json!("zzz")));
    assert_eq!((&found["topValues"], &found["distinctIsEstimate"]), (&Value::Null, &json!(true)));
    assert!(found["distinct"].as_u64().is_some_and(|distinct| distinct.abs_diff(1025) < 80), "{found}");
}

#[test]
fn few_but_long_values_are_not_kept_and_shown_shortened() {
    let long = |letter: &str| letter.repeat(100_000);
    let found = summary(ColumnType::String, StringViewArray::from(vec![long("é"), long("b")]));
    assert_eq!(found["distinctIsEstimate"], true);
    assert_eq!(found["distinct"], 2);
    assert_eq!(found["min"], format!("{}…", "b".repeat(64)));
    assert_eq!(found["max"], format!("{}…", "é".repeat(64)));
}

#[test]
fn what_is_no_number_is_left_out_of_ranges_and_means() {
    let values = vec![f64::NAN, f64::INFINITY, -0.0, 1.0, f64::NEG_INFINITY, 0.0];
    let found = summary(ColumnType::Float64, Float64Array::from(values));
    assert_eq!(found.to_string(), r#"{"max":1.0,"mean":0.3333333333333333,"min":0.0,"nulls":0}"#);
    let found = summary(ColumnType::Float64, Float64Array::from(vec![f64::NAN]));
    assert_eq!(found, json!({"nulls": 0}));
    let found = summary(ColumnType::Float64, Float64Array::from(vec![f64::MAX, f64::MAX]));
    assert_eq!(found, json!({"nulls": 0, "min": f64::MAX, "max": f64::MAX}));
}

#[test]
fn sums_of_floats_lose_nothing_on_the_way() {
    let mean = |values: Vec<f64>| summary(ColumnType::Float64, Float64Array::from(values))["mean"].clone();
    assert_eq!(mean(vec![1e100, 1.0, -1e100, 1.0]), 0.5);
    assert_eq!(mean(vec![f64::MIN_POSITIVE / 4.0; 3]), f64::MIN_POSITIVE / 4.0);
    assert_eq!(mean(vec![f64::from_bits(1), -f64::from_bits(1)]), 0.0);
    assert_eq!(mean(vec![0.1; 10]), 0.1);
}

#[test]
fn what_lies_under_a_null_does_not_count() {
    let nulls = Int64Array::from(vec![Some(1), None, Some(2)]).nulls().cloned();
    let found = summary(ColumnType::Int64, Int64Array::new(vec![1, 99, 2].into(), nulls.clone()));
    assert_eq!(found["max"], 2);
    let texts = StringViewArray::from(vec!["a", "left over, and longer than its view", ""]);
    let texts = StringViewArray::new(texts.views().clone(), texts.data_buffers().to_vec(), nulls);
    let found = summary(ColumnType::String, texts);
    assert_eq!((&found["distinct"], &found["max"]), (&json!(2), &json!("a")));
}

#[test]
fn partition_columns_are_profiled_by_the_files() {
    let file = |month: &str, device_class: &str, rows: u64| DataFile {
        path: String::new(),
        month: month.into(),
        device_class: device_class.into(),
        device_name: "".into(),
        rows,
        bytes: 0,
        sha256: String::new(),
        content_digest: String::new(),
        min_flow_start: "".into(),
        max_flow_start: "".into(),
        row_groups: 1,
    };
    let files = [file("2019-06", "tv", 3), file("2019-07", "lighting", 1), file("2019-07", "tv", 4)];
    let [month, class] =
        partition_profiles(&files).map(|profile| serde_json::to_value(profile).expect("JSON"));
    assert_eq!(month["topValues"][0], json!({"value": "2019-07", "rows": 5, "share": 0.625}));
    assert_eq!(class["topValues"][0], json!({"value": "tv", "rows": 7, "share": 0.875}));
    assert_eq!(
        (&class["nulls"], &class["distinct"], &class["min"]),
        (&json!(0), &json!(2), &json!("lighting"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Rows in other pieces, counted in another order, with threads' results merged: the same profile to the last bit.
    #[test]
    fn neither_cut_nor_order_matter(
        values in proptest::collection::vec(proptest::option::of(-1e6_f64..1e6), 1..400),
        few in 1_i64..3000,
        repeat in 1_usize..12,
        cut in 1_usize..300,
    ) {
        let values: Vec<Option<f64>> = std::iter::repeat_n(values, repeat).flatten().collect();
        let texts = |values: &[Option<f64>]| -> ArrayRef {
            let text = |value: f64| {
                let number = (value.to_bits().wrapping_mul(0x9e37_79b9) >> 20) as i64 % few;
                if number % 2 == 0 { format!("{number}") } else { format!("a long address {number}") }
            };
            Arc::new(values.iter().map(|value| value.map(text)).collect::<StringViewArray>())
        };
        let floats = |values: &[Option<f64>]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
        let integers = |values: &[Option<f64>]| -> ArrayRef {
            Arc::new(values.iter().map(|value| value.map(|value| value as i64)).collect::<Int64Array>())
        };
        let types = [ColumnType::String, ColumnType::Float64, ColumnType::Int64];
        let count = |profile: &mut TableProfile, values: &[Option<f64>]| {
            for (i, array) in [texts(values), floats(values), integers(values)].iter().enumerate() {
                profile.count(i, array);
            }
        };
        let mut whole = TableProfile::new(types);
        count(&mut whole, &values);
        let mut merged = TableProfile::new(types);
        for part in values.rchunks(cut) {
            let mut profile = TableProfile::new(types);
            let mut reversed = part.to_vec();
            reversed.reverse();
            let (first, second) = reversed.split_at(reversed.len() / 3);
            count(&mut profile, first);
            count(&mut profile, second);
            merged.merge(&profile);
        }
        prop_assert_eq!(whole.summaries(), merged.summaries());
        prop_assert_eq!(whole, merged);
    }
}
