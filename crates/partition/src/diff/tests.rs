mod release;

use serde_json::{Value, json};

use super::*;
use crate::manifest::{
    DroppedColumn, Evidence, NotEncoded, Profile, RecipeReference, RejectedLines, RemovedRows, Repair, Role,
    Selection, Warning,
};
use crate::testing;

/// A file of `echo` in July 2019.
fn file(path: &str, sha256: &str, content: &str, rows: u64) -> DataFile {
    DataFile {
        path: format!("data/month=2019-07/deviceClass=smartSpeaker/{path}.parquet"),
        month: "2019-07".into(),
        device_class: "smartSpeaker".into(),
        device_name: "echo".into(),
        rows,
        bytes: 10 * rows,
        sha256: sha256.to_owned(),
        content_digest: content.to_owned(),
        min_flow_start: "2019-07-01T00:00:00.000Z".into(),
        max_flow_start: "2019-07-02T00:00:00.000Z".into(),
        row_groups: 1,
    }
}

/// A lake with something in every list.
fn lake(files: Vec<DataFile>) -> Manifest {
    let mut manifest = testing::manifest(files);
    manifest.repairs = vec![Repair { name: "ipv6Canonical".to_owned(), values: 4 }];
    manifest.not_encoded =
        vec![NotEncoded { column: "address".to_owned(), reason: "ipv6".to_owned(), values: 6 }];
    manifest.dropped_columns = vec![DroppedColumn {
        name: "vlanId".to_owned(),
        reason: "constant".to_owned(),
        detail: "always 0".to_owned(),
        evidence: Evidence {
            rows: 8,
            nulls: 0,
            distinct: 1,
            distinct_is_estimate: false,
            most_frequent: None,
            contradicted: false,
        },
    }];
    manifest.warnings = vec![warning("linesRejected", "echo", "dump echo: 2 lines rejected")].into();
    manifest
}

fn warning(kind: &str, subject: &str, message: &str) -> Warning {
    Warning { kind: kind.to_owned(), subject: subject.to_owned(), message: message.to_owned() }
}

/// What changes when a lake is edited.
fn edited(edit: impl FnOnce(&mut Manifest)) -> Diff {
    let a = lake(vec![file("echo-00000", "s0", "c0", 8)]);
    let mut b = a.clone();
    edit(&mut b);
    diff(&a, &b)
}

/// The keys of a comparison as JSON that say something, with what they say.
fn told(diff: &Diff) -> Value {
    fn keep(value: Value) -> Option<Value> {
        match value {
            Value::Object(fields) => {
                let fields: serde_json::Map<_, _> =
                    fields.into_iter().filter_map(|(key, value)| Some((key, keep(value)?))).collect();
                (!fields.is_empty()).then_some(Value::Object(fields))
            }
            Value::Array(items) => (!items.is_empty()).then_some(Value::Array(items)),
            Value::Null => None,
            other => Some(other),
        }
    }
    let mut value = serde_json::to_value(diff).expect("JSON");
    let fields = value.as_object_mut().expect("an object");
    fields.remove("verdict");
    fields["files"].as_object_mut().expect("an object").remove("unchanged");
    keep(value).unwrap_or(json!({}))
}

#[test]
fn equal_manifests_have_no_difference() {
    let diff = edited(|_| {});
    assert_eq!(diff.verdict, Verdict::Same);
    assert_eq!(told(&diff), json!({}));
    assert_eq!(diff.files.unchanged, 1);
}

#[test]
fn the_data_set_the_tool_and_the_format_are_compared_key_by_key() {
    let diff = edited(|b| {
        b.format_version = 2;
        b.tool = Tool { name: "other".to_owned(), version: "9".to_owned() };
        b.dataset = Dataset {
            name: "n".to_owned(),
            title: "t".to_owned(),
            licence: "l".to_owned(),
            citation: "c".to_owned(),
            url: "u".to_owned(),
        };
    });
    let what: Vec<&str> = diff.origin.iter().map(|change| change.what).collect();
    let expected = [
        "formatVersion",
        "tool.name",
        "tool.version",
        "dataset.name",
        "dataset.title",
        "dataset.licence",
        "dataset.citation",
        "dataset.url",
    ];
    assert_eq!(what, expected);
    assert_eq!((diff.origin[4].a.as_deref(), diff.origin[4].b.as_deref()), (Some("Test"), Some("t")));
    assert_eq!(diff.verdict, Verdict::Different);
}

#[test]
fn another_licence_alone_makes_a_difference() {
    let diff = edited(|b| "CC0-1.0".clone_into(&mut b.dataset.licence));
    assert_eq!(diff.verdict, Verdict::Different);
}

#[test]
fn another_version_of_the_tool_alone_leaves_the_rows_as_they_are() {
    let diff = edited(|b| "9.9.9".clone_into(&mut b.tool.version));
    assert_eq!(diff.verdict, Verdict::SameRows);
    assert_eq!(told(&diff), json!({"origin": [{"what": "tool.version", "a": "0.0.0", "b": "9.9.9"}]}));
}

#[test]
fn recipes_are_compared_by_name_digest_selection_and_counts() {
    let diff = edited(|b| {
        b.recipe = RecipeReference { name: "full".to_owned(), digest: "1".repeat(64) };
        b.selection = Some(Selection { devices: vec!["echo".to_owned()], ..Selection::default() });
        b.row_accounting.removed = vec![RemovedRows { rule: "neither".to_owned(), rows: 3 }];
        b.repairs[0].values = 1;
        b.not_encoded.clear();
    });
    assert_eq!(
        told(&diff),
        json!({"recipe": {
            "reference": [
                {"what": "name", "a": "flows", "b": "full"},
                {"what": "digest", "a": "0".repeat(64), "b": "1".repeat(64)},
            ],
            "selection": {"b": {"devices": ["echo"]}},
            "rules": [
                {"name": "neither", "a": null, "b": 3, "difference": 3},
                {"name": "toDevice", "a": 3, "b": null, "difference": -3},
            ],
            "repairs": [{"name": "ipv6Canonical", "a": 4, "b": 1, "difference": -3}],
            "notEncoded": [{"column": "address", "reason": "ipv6", "a": 6, "b": null, "difference": -6}],
        }})
    );
    assert_eq!(diff.verdict, Verdict::Different);
}

#[test]
fn a_rule_that_removes_other_rows_is_told_with_both_counts() {
    let diff = edited(|b| {
        b.row_accounting.removed[0].rows = 1;
        b.row_accounting.rejected = 4;
    });
    assert_eq!(
        told(&diff),
        json!({
            "recipe": {"rules": [{"name": "toDevice", "a": 3, "b": 1, "difference": -2}]},
            "rowAccounting": [
                {"name": "removed", "a": 3, "b": 1, "difference": -2},
                {"name": "rejected", "a": 2, "b": 4, "difference": 2},
            ],
        })
    );
}

#[test]
fn dumps_that_come_and_go_are_told_with_their_entries() {
    let diff = edited(|b| "lamp".clone_into(&mut b.sources[0].dump));
    let [gone, new] = diff.sources.as_slice() else { panic!("not two: {:?}", diff.sources) };
    assert_eq!((gone.dump.as_str(), gone.a.is_some(), gone.b.is_some()), ("echo", true, false));
    assert_eq!((new.dump.as_str(), new.a.is_some(), new.b.is_some()), ("lamp", false, true));
    assert!(gone.differs.is_empty() && new.differs.is_empty());
    assert!(!gone.has_the_same_bytes());
}

#[test]
fn a_dump_of_other_bytes_is_told_apart_from_one_of_which_something_else_became() {
    let other_bytes = edited(|b| "1".clone_into(&mut b.sources[0].parts[0].sha256)).sources.remove(0);
    assert_eq!(other_bytes.differs, ["parts"]);
    assert!(!other_bytes.has_the_same_bytes());
    let other_counts = edited(|b| {
        b.sources[0].kept -= 1;
        b.sources[0].removed[0].rows += 1;
    });
    let other_counts = &other_counts.sources[0];
    assert_eq!(other_counts.differs, ["kept", "removed"]);
    assert!(other_counts.has_the_same_bytes());
    let renamed = edited(|b| "echo.json.gz".clone_into(&mut b.sources[0].parts[0].name));
    assert_eq!(renamed.sources[0].differs, ["parts.name"]);
    assert!(renamed.sources[0].has_the_same_bytes());
}

#[test]
fn every_key_of_a_source_is_compared() {
    let diff = edited(|b| {
        let source = &mut b.sources[0];
        *source = crate::manifest::Source {
            dump: source.dump.clone(),
            device: "d".to_owned(),
            device_class: "c".to_owned(),
            parts: vec![],
            records: crate::manifest::Records { flows: 1, ..Default::default() },
            trailer: Some(crate::manifest::Trailer { flows: 0, packets: 0, matches: false }),
            published_records: Some(1),
            read: 0,
            kept: 0,
            removed: vec![],
            rejected: 0,
            rejected_lines: Some(rejected_lines("x", "s")),
            directions: crate::manifest::Directions { both: 1, ..Default::default() },
            unknown_fields: vec![crate::manifest::UnknownField { name: "x".to_owned(), rows: 1 }],
            first_flow_start: Some(String::new()),
            last_flow_start: Some(String::new()),
        };
    });
    let expected = [
        "device",
        "deviceClass",
        "parts",
        "records",
        "trailer",
        "publishedRecords",
        "read",
        "kept",
        "removed",
        "rejected",
        "rejectedLines.path",
        "directions",
        "unknownFields",
        "firstFlowStart",
        "lastFlowStart",
    ];
    assert_eq!(diff.sources[0].differs, expected);
}

fn rejected_lines(path: &str, sha256: &str) -> RejectedLines {
    RejectedLines { path: path.to_owned(), bytes: 1, sha256: sha256.to_owned() }
}

#[test]
fn rejected_lines_matter_by_what_they_are_and_not_by_their_name() {
    let rejected = |a: Option<RejectedLines>, b: Option<RejectedLines>| {
        let mut manifests = [lake(vec![]), lake(vec![])];
        manifests[0].sources[0].rejected_lines = a;
        manifests[1].sources[0].rejected_lines = b;
        let mut diff = diff(&manifests[0], &manifests[1]);
        (diff.verdict, diff.sources.remove(0).differs)
    };
    let (old, new) = (rejected_lines("x", "s"), rejected_lines("y", "s"));
    let path = vec!["rejectedLines.path"];
    assert_eq!(rejected(Some(old.clone()), Some(new)), (Verdict::SameRows, path.clone()));
    assert_eq!(rejected(None, Some(old.clone())), (Verdict::SameRows, path));
    let others = (Verdict::Different, vec!["rejectedLines"]);
    assert_eq!(rejected(Some(old), Some(rejected_lines("x", "t"))), others);
}

#[test]
fn columns_are_compared_key_by_key() {
    let diff = edited(|b| {
        let column = &mut b.schema.columns[1];
        column.data_type = crate::manifest::ColumnType::Int64;
        column.unit = Some("B".to_owned());
        column.nullable = true;
        column.role = Role::Target;
        "what it is".clone_into(&mut column.description);
        column.source = vec!["raw".to_owned()];
        "as written".clone_into(&mut column.derivation);
    });
    let [change] = diff.schema.columns.as_slice() else { panic!("not one: {:?}", diff.schema.columns) };
    assert_eq!(change.name, "port");
    let expected = ["type", "unit", "nullable", "role", "description", "source", "derivation"];
    assert_eq!(change.differs, expected);
    let side = serde_json::to_value(&change.b).expect("JSON");
    assert_eq!(
        side,
        json!({
            "place": "file",
            "position": 2,
            "name": "port",
            "type": "int64",
            "unit": "B",
            "nullable": true,
            "role": "target",
            "description": "what it is",
            "source": ["raw"],
            "derivation": "as written",
        })
    );
}

#[test]
fn columns_that_come_and_go_do_not_move_the_others() {
    let diff = edited(|b| {
        let mut column = b.schema.columns.remove(0);
        "new".clone_into(&mut column.name);
        b.schema.columns.insert(3, column);
    });
    let told: Vec<_> = diff.schema.columns.iter().map(|c| (c.name.as_str(), c.a.is_some())).collect();
    assert_eq!(told, [("flowStartMilliseconds", true), ("new", false)]);
}

#[test]
fn only_the_column_that_moved_is_said_to_have() {
    for (from, to) in [(0, 6), (6, 0), (1, 4)] {
        let mut moved = String::new();
        let diff = edited(|b| {
            let column = b.schema.columns.remove(from);
            moved.clone_from(&column.name);
            b.schema.columns.insert(to, column);
        });
        let told: Vec<_> = diff.schema.columns.iter().map(|c| (c.name.clone(), c.differs.clone())).collect();
        assert_eq!(told, [(moved, vec!["position"])]);
        let positions = [&diff.schema.columns[0].a, &diff.schema.columns[0].b];
        assert_eq!(
            positions.map(|side| side.as_ref().map(|side| side.position)),
            [Some(from + 1), Some(to + 1)]
        );
    }
}

#[test]
fn a_column_that_becomes_a_directory_is_the_same_column_in_another_place() {
    let diff = edited(|b| {
        let column = b.schema.columns.remove(2);
        b.schema.partition_by.push(column);
    });
    let told: Vec<_> = diff.schema.columns.iter().map(|c| (c.name.as_str(), c.differs.clone())).collect();
    assert_eq!(told, [("octets", vec!["place"])]);
}

#[test]
fn dropped_columns_are_compared_by_reason() {
    let diff = edited(|b| {
        "noise".clone_into(&mut b.dropped_columns[0].reason);
        let another = DroppedColumn { name: "another".to_owned(), ..b.dropped_columns[0].clone() };
        b.dropped_columns.push(another);
    });
    assert_eq!(
        told(&diff),
        json!({"schema": {"droppedColumns": [
            {"name": "another", "a": null, "b": {"reason": "noise", "detail": "always 0"}},
            {
                "name": "vlanId",
                "a": {"reason": "constant", "detail": "always 0"},
                "b": {"reason": "noise", "detail": "always 0"},
            },
        ]}})
    );
}

#[test]
fn what_is_counted_of_the_same_rows_does_not_make_them_others() {
    let diff = edited(|b| {
        b.schema.columns[0].profile = Some(Profile { nulls: 1, ..Profile::default() });
        b.dropped_columns[0].evidence.distinct = 7;
    });
    assert_eq!(diff.verdict, Verdict::SameRows);
    let expected = json!({"schema": {"profiles": ["flowStartMilliseconds"], "evidence": ["vlanId"]}});
    assert_eq!(told(&diff), expected);
}

#[test]
fn warnings_are_compared_by_kind_and_subject() {
    let diff = edited(|b| {
        b.warnings.push(warning("trailerMissing", "echo", "no trailer"));
        "otherwise".clone_into(&mut b.warnings[0].message);
    });
    assert_eq!(
        told(&diff),
        json!({"warnings": [
            {
                "kind": "linesRejected",
                "subject": "echo",
                "a": "dump echo: 2 lines rejected",
                "b": "otherwise",
            },
            {"kind": "trailerMissing", "subject": "echo", "a": null, "b": "no trailer"},
        ]})
    );
    assert_eq!(diff.verdict, Verdict::Different);
    assert_eq!(edited(|b| "otherwise".clone_into(&mut b.warnings[0].message)).verdict, Verdict::SameRows);
}

#[test]
fn an_entry_that_is_there_twice_is_found() {
    let diff = edited(|b| b.warnings.push(b.warnings[0].clone()));
    assert_eq!(diff.warnings.len(), 1);
    assert_eq!(diff.warnings[0].a, None);
    assert_eq!(edited(|b| b.files.push(b.files[0].clone())).files.only_in_b.len(), 1);
}

#[test]
fn the_same_entries_in_another_order_are_a_difference() {
    let mut a = lake(vec![file("echo-00000", "s0", "c0", 8), file("echo-00001", "s1", "c1", 8)]);
    a.repairs.push(Repair { name: "another".to_owned(), values: 0 });
    let mut b = a.clone();
    b.files.reverse();
    b.repairs.reverse();
    let diff = diff(&a, &b);
    assert_eq!(told(&diff), json!({"order": ["repairs", "files"]}));
    assert_eq!(diff.verdict, Verdict::Different);
}

/// What becomes of files, each list as pairs of names of A and B.
fn compared(a: Vec<DataFile>, b: Vec<DataFile>) -> (Verdict, Value) {
    let diff = diff(&lake(a), &lake(b));
    let name = |file: &DataFile| {
        let name = file.path.rsplit('/').next().expect("a name");
        name.trim_end_matches(".parquet").to_owned()
    };
    let names = |files: &[DataFile]| files.iter().map(name).collect::<Vec<_>>();
    let pairs = |pairs: &[FilePair]| {
        pairs.iter().map(|pair| format!("{} {}", name(&pair.a), name(&pair.b))).collect::<Vec<_>>()
    };
    let files = &diff.files;
    let rolled = files.rolled.iter().map(|rolled| json!([rolled.rows, names(&rolled.a), names(&rolled.b)]));
    let told = json!({
        "unchanged": files.unchanged,
        "sameBytes": pairs(&files.same_bytes),
        "otherEncoding": pairs(&files.other_encoding),
        "otherContent": pairs(&files.other_content),
        "rolled": rolled.collect::<Vec<_>>(),
        "onlyInA": names(&files.only_in_a),
        "onlyInB": names(&files.only_in_b),
    });
    let told = told.as_object().expect("an object").iter();
    let told = told.filter(|(_, value)| value.as_array().is_none_or(|list| !list.is_empty()));
    (diff.verdict, told.map(|(key, value)| (key.clone(), value.clone())).collect())
}

#[test]
fn files_of_old_lakes_are_the_same_under_their_old_names() {
    let old = vec![file("echo-00000", "s0", "c0", 8), file("echo-00001", "s1", "c1", 8)];
    let new = vec![file("echo-00000-s0", "s0", "c0", 8), file("echo-00001-s1", "s1", "c1", 8)];
    let expected =
        json!({"unchanged": 0, "sameBytes": ["echo-00000 echo-00000-s0", "echo-00001 echo-00001-s1"]});
    assert_eq!(compared(old, new), (Verdict::SameRows, expected));
}

#[test]
fn files_with_the_same_rows_in_other_bytes_are_encoded_otherwise() {
    // Under the same name, as in lakes whose names have no digest, too.
    let a = vec![file("echo-00000", "s0", "c0", 8), file("echo-00001-s1", "s1", "c1", 8)];
    let mut b = vec![file("echo-00000", "t0", "c0", 8), file("echo-00001-t1", "t1", "c1", 8)];
    b[1].bytes = 7;
    b[1].row_groups = 2;
    let expected = json!({
        "unchanged": 0,
        "otherEncoding": ["echo-00000 echo-00000", "echo-00001-s1 echo-00001-t1"],
    });
    assert_eq!(compared(a, b), (Verdict::SameRows, expected));
}

#[test]
fn files_with_as_many_other_rows_are_paired_and_all_else_is_only_in_one() {
    let a = vec![
        file("echo-00000-s0", "s0", "c0", 8),
        file("echo-00001-s1", "s1", "c1", 5),
        file("echo-00002-s2", "s2", "c2", 3),
    ];
    let b = vec![
        file("echo-00000-s0", "s0", "c0", 8),
        file("echo-00001-t1", "t1", "d1", 5),
        file("echo-00002-t2", "t2", "d2", 4),
    ];
    let expected = json!({
        "unchanged": 1,
        "otherContent": ["echo-00001-s1 echo-00001-t1"],
        "onlyInA": ["echo-00002-s2"],
        "onlyInB": ["echo-00002-t2"],
    });
    assert_eq!(compared(a, b), (Verdict::Different, expected));
}

#[test]
fn files_that_end_elsewhere_are_told_together() {
    let a = vec![
        file("echo-00000-s0", "s0", "c0", 8),
        file("echo-00001-s1", "s1", "c1", 5),
        file("echo-00002-s2", "s2", "c2", 5),
    ];
    let b = vec![file("echo-00000-s0", "s0", "c0", 8), file("echo-00001-t1", "t1", "d1", 10)];
    let expected = json!({
        "unchanged": 1,
        "rolled": [[10, ["echo-00001-s1", "echo-00002-s2"], ["echo-00001-t1"]]],
    });
    assert_eq!(compared(a, b), (Verdict::Different, expected));
}

#[test]
fn a_file_that_is_now_of_another_class_is_the_same_bytes_and_still_a_difference() {
    let a = vec![file("echo-00000-s0", "s0", "c0", 8)];
    let mut b = a.clone();
    b[0].device_class = "hub".into();
    b[0].path = b[0].path.replace("smartSpeaker", "hub");
    let diff = diff(&lake(a), &lake(b));
    assert_eq!((diff.files.same_bytes.len(), diff.verdict), (1, Verdict::Different));
    let rows: Vec<_> =
        diff.rows.partitions.iter().map(|p| (p.device_class.as_str(), p.counts.difference)).collect();
    assert_eq!(rows, [("hub", 8), ("smartSpeaker", -8)]);
}

#[test]
fn the_same_bytes_with_another_entry_are_a_difference() {
    let a = vec![file("echo-00000-s0", "s0", "c0", 8)];
    let mut b = a.clone();
    b[0].content_digest = "c1".to_owned();
    let expected = json!({"unchanged": 0, "sameBytes": ["echo-00000-s0 echo-00000-s0"]});
    assert_eq!(compared(a, b), (Verdict::Different, expected));
}

#[test]
fn equal_files_of_several_devices_are_paired_within_their_device() {
    let of = |device: &str, path: &str, sha256: &str| DataFile {
        device_name: device.into(),
        ..file(path, sha256, "c", 8)
    };
    let a = vec![of("echo", "echo-00000", "s"), of("lamp", "lamp-00000", "s")];
    let b = vec![of("lamp", "lamp-00000-s", "s"), of("tv", "tv-00000-s", "s")];
    let expected = json!({"unchanged": 0, "sameBytes": ["echo-00000 tv-00000-s", "lamp-00000 lamp-00000-s"]});
    assert_eq!(compared(a, b), (Verdict::Different, expected));
}

#[test]
fn rows_are_compared_by_month_class_and_device() {
    let month = |month: &str, rows| DataFile { month: month.into(), ..file(month, month, month, rows) };
    let a = vec![month("2019-06", 3), month("2019-07", 5), month("2019-08", 7)];
    let b = vec![month("2019-07", 6), month("2019-08", 7), month("2019-09", 4)];
    let diff = diff(&lake(a), &lake(b));
    let rows: Vec<_> = diff
        .rows
        .partitions
        .iter()
        .map(|p| (p.month.as_str(), p.counts.a, p.counts.b, p.counts.difference))
        .collect();
    assert_eq!(
        rows,
        [("2019-06", Some(3), None, -3), ("2019-07", Some(5), Some(6), 1), ("2019-09", None, Some(4), 4),]
    );
    let totals: Vec<_> = diff.rows.totals.iter().map(|t| (t.name.as_str(), t.counts.difference)).collect();
    assert_eq!(totals, [("rows", 2), ("bytes", 20)]);
}

#[test]
fn numbers_that_no_lake_has_are_compared_all_the_same() {
    let a = lake(vec![file("echo-00000", "s0", "c0", 0)]);
    let mut b = a.clone();
    b.files[0].rows = u64::MAX;
    b.files.push(file("echo-00001", "s1", "c1", u64::MAX / 10));
    b.row_accounting.removed[0].rows = u64::MAX;
    let diff = diff(&a, &b);
    assert_eq!(diff.rows.partitions[0].counts.difference, i128::from(u64::MAX));
    serde_json::to_string(&diff).expect("JSON");
}
