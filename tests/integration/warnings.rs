//! What is odd but no reason to stop: said on the screen and in the manifest.

use super::support::{DEVICE_MAC, DumpText, Flow, World, catalogue, device};

/// Builds, and gives the warning of this kind; it must be on the screen too.
#[track_caller]
fn warning(world: &World, kind: &str) -> serde_json::Value {
    let outcome = world.build().arg("--replace").run().expect_code(0);
    let lake = world.lake();
    let found = lake.list("warnings").iter().find(|warning| warning["kind"] == kind);
    let found = found.unwrap_or_else(|| panic!("no {kind} among {:?}", lake.warnings())).clone();
    let line = format!("warning: {}\n", found["message"].as_str().expect("text"));
    assert!(outcome.stderr.contains(&line), "{}", outcome.stderr);
    assert!(outcome.stdout.contains("warnings"), "the summary counts them: {}", outcome.stdout);
    found
}

#[test]
fn a_published_count_that_differs_from_what_was_read_is_a_warning() {
    let world = World::with_hub(&DumpText::of([Flow::new(), Flow::inbound()]));
    let entry =
        |count: u32| device("hub", "iotGatewayHub", DEVICE_MAC) + &format!("published_records = {count}\n");
    world.set_catalogue(&catalogue("", &[entry(3)]));
    let found = warning(&world, "publishedCountDiffers");
    assert_eq!(found["subject"], "hub");
    insta::assert_snapshot!(found["message"].as_str().expect("text"), @"dump hub: 2 flows read, its publisher states 3");
    assert_eq!(world.lake().source()["publishedRecords"], 3);

    world.set_catalogue(&catalogue("", &[entry(2)]));
    world.build().args(["--replace", "--strict"]).run().expect_code(0);
    assert_eq!(world.lake().warnings(), Vec::<&str>::new());
}

#[test]
fn unknown_fields_are_counted_and_a_warning_names_them() {
    let dump = DumpText::of([
        Flow::new().raw("applicationLabel", "443").raw("dnsList", "[[{\"a\":1}]]"),
        Flow::new().raw("applicationLabel", "\"https\""),
        Flow::new(),
    ]);
    let world = World::with_hub(&dump);
    let found = warning(&world, "unknownFields");
    insta::assert_snapshot!(found["message"].as_str().expect("text"), @"dump hub: flows hold unknown fields, left out: applicationLabel, dnsList");
    let expected =
        serde_json::json!([{"name": "applicationLabel", "rows": 2}, {"name": "dnsList", "rows": 1}]);
    assert_eq!(world.lake().source()["unknownFields"], expected);
    assert_eq!(world.lake().source()["kept"], 3, "the flows are good");
}

#[test]
fn a_warning_about_many_unknown_fields_names_some_and_the_manifest_all() {
    let flow = (0..9).fold(Flow::new(), |flow, i| flow.raw(&format!("key{i}"), "0"));
    let world = World::with_hub(&DumpText::of([flow]));
    let message = warning(&world, "unknownFields")["message"].as_str().expect("text").to_owned();
    assert!(message.ends_with("key0, key1, key2, key3, key4, …"), "{message}");
    assert_eq!(world.lake().source()["unknownFields"].as_array().map(Vec::len), Some(9));
}

#[test]
fn a_field_dropped_as_constant_that_varies_is_a_warning_and_marked_in_the_manifest() {
    let dump = DumpText::of([Flow::new(), Flow::new().text("vlanId", "0x064"), Flow::new()]);
    let world = World::with_hub(&dump);
    let found = warning(&world, "reasonContradicted");
    assert_eq!(found["subject"], "vlanId");
    insta::assert_snapshot!(found["message"].as_str().expect("text"), @"column vlanId is dropped as `constant`, but 2 distinct values were seen");
    let lake = world.lake();
    let dropped =
        lake.list("droppedColumns").iter().find(|column| column["name"] == "vlanId").expect("vlanId");
    let expected = serde_json::json!({
        "rows": 3, "nulls": 0, "distinct": 2, "distinctIsEstimate": false,
        "mostFrequent": {"value": "0x0", "rows": 2, "share": 0.666_667}, "contradicted": true,
    });
    assert_eq!(dropped["evidence"], expected);
    let inspected = world.about_lake("inspect").run().expect_code(0).stdout;
    assert!(
        inspected
            .lines()
            .any(|line| line.trim_start().starts_with("vlanId") && line.ends_with("CONTRADICTED")),
        "{inspected}"
    );
}

#[test]
fn evidence_is_counted_over_the_rows_kept() {
    let dump = DumpText::of([Flow::new(), Flow::inbound().text("vlanId", "0x064")]);
    let lake = World::with_hub(&dump).built();
    assert_eq!(lake.warnings(), Vec::<&str>::new());
    for dropped in lake.list("droppedColumns") {
        assert_eq!(dropped["evidence"]["rows"], 1, "{dropped}");
    }
}

#[test]
fn evidence_tells_rows_without_a_value_from_distinct_values() {
    let bare = Flow::new().unanswered().without_statistics();
    let lake = World::with_hub(&DumpText::of([Flow::new(), bare.clone(), bare])).built();
    let dropped = lake.list("droppedColumns").iter();
    let urgent = dropped.clone().find(|column| column["name"] == "tcpUrgTotalCount").expect("it");
    let expected = serde_json::json!({
        "rows": 3, "nulls": 2, "distinct": 1, "distinctIsEstimate": false,
        "mostFrequent": {"value": "0", "rows": 1, "share": 0.333_333}, "contradicted": false,
    });
    assert_eq!(urgent["evidence"], expected);
    assert!(dropped.clone().all(|column| column["evidence"]["rows"] == 3));
}

#[test]
fn every_dropped_column_has_a_reason_and_none_is_in_the_files() {
    let lake = World::with_hub(&DumpText::of([Flow::new()])).built();
    let dropped: Vec<&str> =
        lake.list("droppedColumns").iter().map(|column| column["name"].as_str().expect("a name")).collect();
    let reasons: Vec<String> = lake
        .list("droppedColumns")
        .iter()
        .map(|column| {
            format!(
                "{}: {}",
                column["name"].as_str().expect("name"),
                column["reason"].as_str().expect("reason")
            )
        })
        .collect();
    insta::assert_snapshot!(reasons.join("\n"), @r"
    ingressInterface: constant
    egressInterface: constant
    observationDomainId: constant
    silkAppLabel: constant
    tcpUrgTotalCount: constant
    reverseTcpUrgTotalCount: constant
    vlanId: constant
    collectorName: constant
    ipClassOfService: nearConstant
    tcpSequenceNumber: noise
    reverseTcpSequenceNumber: noise
    reverseUnionTCPFlags: notInProduct
    standardDeviationPayloadLength: notInProduct
    reverseStandardDeviationPayloadLength: notInProduct
    firstEightNonEmptyPacketDirections: notInProduct
    ");
    let row = lake.row();
    assert!(dropped.iter().all(|name| !row.contains_key(*name)));
    assert!(
        lake.list("droppedColumns").iter().all(|column| !column["detail"].as_str().expect("text").is_empty())
    );
}

#[test]
fn warnings_of_a_build_with_closed_standard_error_do_not_stop_it() {
    let world = World::with_hub(&DumpText::default().flow(&Flow::new()));
    let mut child = world.build().start();
    drop(child.stderr.take());
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(0));
    // Whoever stopped listening to warnings still wants the lake: success without one would be a lie.
    assert_eq!(world.lake().warnings(), ["trailerMissing"]);
}

#[test]
fn names_of_unknown_fields_are_fit_for_a_screen_and_a_manifest() {
    let long = "n".repeat(5000);
    let flow = Flow::new().raw("\\u001b[31mred\\n", "0").raw(&long, "0");
    let world = World::with_hub(&DumpText::of([flow]));
    let message = warning(&world, "unknownFields")["message"].as_str().expect("text").to_owned();
    assert!(message.contains("\\u{1b}[31mred\\n"), "{message}");
    assert!(!message.contains('\u{1b}') && message.len() < 300, "{message}");
    let names = world.lake().source()["unknownFields"].as_array().expect("a list").clone();
    assert!(
        names.iter().all(|field| field["name"].as_str().is_some_and(|name| name.len() < 100)),
        "{names:?}"
    );
}
