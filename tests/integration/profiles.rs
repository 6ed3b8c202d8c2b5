//! What the manifest says of the values in a lake.

use fs_err as fs;
use serde_json::{Value, json};

use super::support::{
    DEVICE_MAC, DumpText, Flow, Lake, OTHER_MAC, ROUTER_MAC, World, catalogue, device, tree,
};

/// The profile of a column, or of a partition column.
#[track_caller]
fn profile(lake: &Lake, column: &str) -> Value {
    let schema = &lake.manifest["schema"];
    let columns =
        ["columns", "partitionBy"].into_iter().flat_map(|list| schema[list].as_array().expect("a list"));
    let mut found = columns.filter(|found| found["name"] == column);
    found.next().unwrap_or_else(|| panic!("no column {column}"))["profile"].clone()
}

fn top(value: &str, rows: u64, share: f64) -> Value {
    json!({"value": value, "rows": rows, "share": share})
}

/// Two devices, two months, flows without answer and without statistics.
fn world() -> World {
    let world = World::new();
    let devices = [device("hub", "iotGatewayHub", DEVICE_MAC), device("lamp", "lighting", OTHER_MAC)];
    world.set_catalogue(&catalogue("", &devices));
    let hub = [
        Flow::new().number("packetTotalCount", 4),
        Flow::new().starting("2019-08-01 00:00:00.000").unanswered().number("packetTotalCount", 9),
        Flow::new().without_statistics().number("packetTotalCount", 1).text("flowEndReason", ""),
        Flow::inbound().number("packetTotalCount", 1_000_000),
    ];
    let lamp = [Flow::new().between(OTHER_MAC, ROUTER_MAC).number("packetTotalCount", 2)];
    world.add_dump("hub.json", DumpText::of(hub).bytes());
    world.add_dump("lamp.json", DumpText::of(lamp).bytes());
    world
}

#[test]
fn a_profile_is_of_the_rows_of_all_dumps_that_were_kept() {
    let lake = world().built();
    assert_eq!(profile(&lake, "packetTotalCount"), json!({"nulls": 0, "min": 1, "max": 9, "mean": 4.0}));
    let expected = json!({"nulls": 1, "min": 1233, "max": 1233, "mean": 1233.0});
    assert_eq!(profile(&lake, "reverseBytesPerPacket"), expected, "unanswered flows have none");
    let expected = json!({"nulls": 0, "min": "2019-07-01T10:00:00.000Z", "max": "2019-08-01T00:00:00.000Z"});
    assert_eq!(profile(&lake, "flowStartMilliseconds"), expected);
    let expected = json!({"nulls": 0, "min": "2019-07-01", "max": "2019-08-01"});
    assert_eq!(profile(&lake, "flowStartMillisecondsDate"), expected);
    let expected = json!({
        "nulls": 0, "min": "closed", "max": "idle", "distinct": 2, "distinctIsEstimate": false,
        "topValues": [top("idle", 3, 0.75), top("closed", 1, 0.25)],
    });
    assert_eq!(profile(&lake, "flowEndReason"), expected);
    let expected = json!({
        "nulls": 0, "min": "2019-07", "max": "2019-08", "distinct": 2, "distinctIsEstimate": false,
        "topValues": [top("2019-07", 3, 0.75), top("2019-08", 1, 0.25)],
    });
    assert_eq!(profile(&lake, "month"), expected);
    assert_eq!(profile(&lake, "deviceClass")["topValues"][0], top("iotGatewayHub", 3, 0.75));
}

#[test]
fn every_column_has_a_profile() {
    let lake = world().built();
    let schema = &lake.manifest["schema"];
    for list in ["columns", "partitionBy"] {
        for column in schema[list].as_array().expect("a list") {
            assert!(column["profile"]["nulls"].is_u64(), "{column}");
        }
    }
}

#[test]
fn a_lake_without_rows_has_profiles_without_values() {
    let lake = World::with_hub(&DumpText::of([Flow::inbound()])).built();
    assert_eq!(lake.files(), Vec::<String>::new());
    let nothing = json!({"nulls": 0, "distinct": 0, "distinctIsEstimate": false, "topValues": []});
    for text in ["deviceName", "flowStartMillisecondsTime", "month", "deviceClass"] {
        assert_eq!(profile(&lake, text), nothing, "{text}");
    }
    for number in ["packetTotalCount", "flowStartMilliseconds", "flowEndMillisecondsDate"] {
        assert_eq!(profile(&lake, number), json!({"nulls": 0}), "{number}");
    }
}

#[test]
fn a_column_of_nulls_has_neither_range_nor_mean() {
    let world =
        World::with_hub(&DumpText::of([Flow::new().without_statistics(), Flow::new().without_statistics()]));
    let lake = world.built();
    assert_eq!(profile(&lake, "averageInterarrivalTime"), json!({"nulls": 2}));
    let inspected = world.about_lake("inspect").run().expect_code(0).stdout;
    let line = inspected.lines().find(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words == ["averageInterarrivalTime", "2"]
    });
    assert!(line.is_some(), "{inspected}");
}

#[test]
fn a_single_row_is_its_own_range() {
    let lake = World::with_hub(&DumpText::of([Flow::new()])).built();
    assert_eq!(profile(&lake, "octetTotalCount"), json!({"nulls": 0, "min": 900, "max": 900, "mean": 900.0}));
    let address = profile(&lake, "serverIPAddress");
    assert_eq!(
        (&address["min"], &address["topValues"]),
        (&address["max"], &json!([top("198.51.100.7", 1, 1.0)]))
    );
}

#[test]
fn many_texts_are_estimated_and_said_to_be() {
    let world = World::with_hub(&DumpText::of((0..3000).map(|i| {
        Flow::numbered(i).starting(&format!("2019-07-01 10:{:02}:{:02}.{:03}", i / 60, i % 60, i % 7))
    })));
    let lake = world.built();
    let time = profile(&lake, "flowStartMillisecondsTime");
    assert_eq!(time["distinctIsEstimate"], true);
    assert_eq!(time["topValues"], Value::Null, "those that were counted might not be those that come most");
    let times: std::collections::BTreeSet<String> =
        lake.column("flowStartMillisecondsTime").iter().map(Value::to_string).collect();
    let distinct = time["distinct"].as_u64().expect("a number");
    assert!(times.len() > 1024 && distinct.abs_diff(times.len() as u64) < times.len() as u64 / 12, "{time}");
    assert_eq!(Some(&time["min"].to_string()), times.first());
    assert_eq!(Some(&time["max"].to_string()), times.last());
}

#[test]
fn profiles_are_the_same_whatever_the_threads_and_the_memory() {
    let world =
        World::with_hub(&DumpText::of((0..20_000).map(|i| {
            Flow::numbered(i).starting(&format!("2019-{:02}-15 10:00:{:02}.000", i % 7 + 4, i % 60))
        })));
    world.build_to("one").with("--jobs", "1").run().expect_code(0);
    world.build_to("three").with("--jobs", "3").run().expect_code(0);
    let small = world.build_to("small").with("--jobs", "1");
    small.args(["--memory-limit", "104MiB"]).run().expect_code(0);
    let one = tree(&world.path("one"));
    assert!(one == tree(&world.path("three")) && one == tree(&world.path("small")));
}

#[test]
fn a_profile_that_is_not_that_of_the_rows_is_found() {
    let world = world();
    world.built();
    let path = world.path("lake/manifest.json");
    let text = fs::read_to_string(&path).expect("a manifest");
    let manifest: Value = serde_json::from_str(&text).expect("JSON");
    let position = |name: &str| {
        let columns = manifest["schema"]["columns"].as_array().expect("a list");
        columns.iter().position(|column| column["name"] == name).expect("a column")
    };
    let (packets, reason) = (position("packetTotalCount"), position("flowEndReason"));
    let mut found = Vec::new();
    for (list, column, key, value) in [
        ("columns", packets, "nulls", json!(1)),
        ("columns", packets, "min", json!(2)),
        ("columns", packets, "max", Value::Null),
        ("columns", packets, "mean", json!(4.1)),
        ("columns", reason, "distinct", json!(3)),
        ("columns", reason, "topValues", json!([])),
        ("partitionBy", 1, "max", json!("tv")),
    ] {
        let mut changed = manifest.clone();
        changed["schema"][list][column]["profile"][key] = value;
        fs::write(&path, changed.to_string()).expect("it is written");
        let outcome = world.about_lake("verify").run().expect_code(1);
        found.push(outcome.stdout.lines().next().expect("a line").to_owned());
    }
    insta::assert_snapshot!(found.join("\n"), @r#"
    manifest.json: profile of column packetTotalCount: nulls: expected 1, found 0
    manifest.json: profile of column packetTotalCount: min: expected 2, found 1
    manifest.json: profile of column packetTotalCount: max: expected null, found 9
    manifest.json: profile of column packetTotalCount: mean: expected 4.1, found 4.0
    manifest.json: profile of column flowEndReason: distinct: expected 3, found 2
    manifest.json: profile of column flowEndReason: topValues: expected [], found [{"value":"idle","rows":3,"share":0.75},{"value":"closed","rows":1,"share":0.25}]
    manifest.json: profile of column deviceClass: max: expected "tv", found "lighting"
    "#);
    // Manifests from before there were profiles say nothing of them.
    let mut without = manifest;
    without["schema"]["columns"].as_array_mut().expect("a list").iter_mut().for_each(|column| {
        column.as_object_mut().expect("an object").remove("profile");
    });
    fs::write(&path, without.to_string()).expect("it is written");
    world.about_lake("verify").run().expect_code(0);
}
