//! The control totals in a dump's own trailer, and the kinds of records around the flows.

use serde_json::json;

use super::support::{DumpText, Flow, Lake, World};

fn three_flows() -> DumpText {
    (0..3).map(Flow::numbered).fold(DumpText::default(), |dump, flow| dump.flow(&flow))
}

#[test]
fn a_trailer_that_matches_is_recorded() {
    let lake = World::with_hub(&three_flows().trailer()).built();
    assert_eq!(lake.source()["trailer"], json!({"flows": 3, "packets": 36, "matches": true}));
    assert_eq!(lake.warnings(), Vec::<&str>::new());
}

#[test]
fn flows_that_are_removed_count_for_the_trailer_too() {
    let dump = DumpText::of([Flow::new(), Flow::inbound(), Flow::inbound()]);
    let lake = World::with_hub(&dump).built();
    assert_eq!(lake.source()["trailer"], json!({"flows": 3, "packets": 36, "matches": true}));
    assert_eq!(lake.source()["kept"], 1);
}

/// Builds with a warning of this kind, and with `--strict` not at all.
#[track_caller]
fn warn(dump: &DumpText, kind: &str) -> (String, Lake) {
    let world = World::with_hub(dump);
    let outcome = world.build().run().expect_code(0);
    let lake = world.lake();
    assert!(lake.warnings().contains(&kind), "{:?}", lake.warnings());
    let message =
        lake.list("warnings").iter().find(|warning| warning["kind"] == kind).expect("it")["message"].clone();
    let message = message.as_str().expect("text");
    assert!(outcome.stderr.contains(&format!("warning: {message}\n")), "{}", outcome.stderr);

    let strict = World::with_hub(dump).refused(3, &["--strict"]);
    assert!(strict.stderr.contains("error: --strict: nothing was published\n"), "{}", strict.stderr);
    assert!(strict.stderr.contains(&format!("\n{message}\n")), "{}", strict.stderr);
    (message.to_owned(), lake)
}

#[test]
fn a_missing_trailer_is_a_warning_and_an_error_with_strict() {
    let (message, lake) = warn(&three_flows(), "trailerMissing");
    insta::assert_snapshot!(message, @"dump hub has no trailer with control totals: it may be cut off");
    assert_eq!(lake.source()["trailer"], json!(null));
    let inspected = super::support::Program::new(["inspect"]).arg(lake.path("")).run().expect_code(0);
    assert!(inspected.stdout.contains("missing"), "{}", inspected.stdout);
}

#[test]
fn a_trailer_with_another_number_of_flows_is_a_warning_and_an_error_with_strict() {
    let dump = three_flows();
    let packets = dump.packet_count();
    let (message, lake) = warn(&dump.stats(4, packets), "trailerMismatch");
    insta::assert_snapshot!(message, @"dump hub: its trailer says 4 flows and 36 packets, read were 3 and 36");
    assert_eq!(lake.source()["trailer"], json!({"flows": 4, "packets": 36, "matches": false}));
}

#[test]
fn a_trailer_with_another_number_of_packets_is_a_warning_and_an_error_with_strict() {
    let dump = three_flows();
    let flows = dump.flow_count();
    let (message, lake) = warn(&dump.stats(flows, 35), "trailerMismatch");
    insta::assert_snapshot!(message, @"dump hub: its trailer says 3 flows and 35 packets, read were 3 and 36");
    assert_eq!(lake.source()["trailer"], json!({"flows": 3, "packets": 35, "matches": false}));
}

#[test]
fn a_stats_line_without_totals_is_no_trailer() {
    let dump = three_flows().line("{\"stats\":{\"exporterName\":\"C1\"}}");
    let (_, lake) = warn(&dump, "trailerMissing");
    assert_eq!(lake.source()["records"]["stats"], 1);
}

#[test]
fn of_several_stats_lines_the_last_is_the_total() {
    let dump =
        three_flows().stats(1, 12).stats(2, 24).line("{\"stats\":{\"exporterName\":\"C1\"}}").trailer();
    let lake = World::with_hub(&dump).built();
    assert_eq!(lake.source()["trailer"], json!({"flows": 3, "packets": 36, "matches": true}));
    assert_eq!(lake.source()["records"]["stats"], 4);
}

#[test]
fn the_last_stats_line_counts_even_if_an_earlier_one_would_match() {
    let dump = three_flows().stats(3, 36).stats(2, 24);
    let lake = World::with_hub(&dump).built();
    assert_eq!(lake.source()["trailer"], json!({"flows": 2, "packets": 24, "matches": false}));
}

#[test]
fn stats_in_the_middle_of_a_dump_are_no_end_of_it() {
    let dump = DumpText::default().flow(&Flow::numbered(1)).stats(1, 12).flow(&Flow::numbered(2)).trailer();
    let lake = World::with_hub(&dump).built();
    assert_eq!(lake.column("IoTTransportPort"), [50_001, 50_002]);
    assert_eq!(lake.source()["trailer"]["matches"], true);
}

#[test]
fn record_kinds_are_told_apart_and_counted() {
    let dump = three_flows()
        .line("{\"dns\":{\"dnsQName\":\"a.example.\"}}")
        .line("{\"ssl\":{}}")
        .line("{\"sslCert\":{\"list\":[1,[2]]}}")
        .line("{\"dedup\":null}")
        .line("{\"somethingNew\":[{\"flows\":{}}]}")
        .line("")
        .trailer();
    let lake = World::with_hub(&dump).built();
    assert_eq!(lake.source()["records"], json!({"flows": 3, "stats": 1, "tombstone": 1, "other": 5}));
    assert_eq!(lake.source()["read"], 3);
}

#[test]
fn rejected_lines_are_among_the_flows_of_the_record_counts() {
    let dump = three_flows().spelled(&Flow::new(), "{\"flows\":{}}").trailer();
    let lake = World::with_hub(&dump).lenient().built();
    assert_eq!(lake.source()["records"]["flows"], 4);
    assert_eq!(lake.source()["read"], 4);
    // The exporter wrote four flows, and four were read; the packets of the lost one are lost.
    assert_eq!(lake.source()["trailer"], json!({"flows": 4, "packets": 48, "matches": false}));
}

#[test]
fn a_stats_line_that_makes_no_sense_is_rejected_with_its_reason() {
    let dump = three_flows().line("{\"stats\":{\"exportedFlowTotalCount\":\"many\",\"packetTotalCount\":1}}");
    let lake = World::with_hub(&dump).lenient().built();
    let [rejected] = &lake.rejected("hub")[..] else { panic!("not one rejected line") };
    insta::assert_snapshot!(rejected["reason"].as_str().expect("a reason"), @r#"stats.exportedFlowTotalCount: expected an integer from 0 to 9223372036854775807, found "many""#);
}

#[test]
fn a_dump_without_flows_makes_a_lake_without_rows() {
    let lake = World::with_hub(&DumpText::default().trailer()).built();
    assert_eq!(lake.source()["trailer"], json!({"flows": 0, "packets": 0, "matches": true}));
    assert_eq!(lake.manifest["totals"]["rows"], 0);
    assert_eq!(lake.source()["firstFlowStart"], json!(null));
}
