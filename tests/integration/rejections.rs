//! Lines that are no usable flow: rejected with line, offset and reason, kept in `rejected/`, never fatal below a share.

use fs_err as fs;
use serde_json::json;

use super::support::{DumpText, Flow, Lake, World};

/// A lake of one good flow, the line, and another good flow; gives what was kept of the line.
#[track_caller]
fn reject(line: impl AsRef<[u8]>) -> serde_json::Value {
    let dump = DumpText::default().flow(&Flow::numbered(1));
    let offset = dump.offset();
    let dump = dump.spelled(&Flow::new(), line).flow(&Flow::numbered(2)).trailer();
    let lake = World::with_hub(&dump).lenient().built();
    let accounting = json!({"read": 3, "kept": 2, "removed": {"toDevice": 0, "neither": 0}, "rejected": 1});
    assert_eq!(lake.accounting(), accounting, "the rest is built");
    assert_eq!(lake.column("IoTTransportPort"), [50_001, 50_002]);
    let [rejected] = &lake.rejected("hub")[..] else { panic!("not one rejected line") };
    assert_eq!((&rejected["dump"], &rejected["line"]), (&json!("hub"), &json!(2)));
    assert_eq!(rejected["offset"], offset);
    rejected.clone()
}

/// The reason of a rejection; the line must be kept as it was.
#[track_caller]
fn reason(line: &str) -> String {
    let rejected = reject(line);
    assert_eq!(rejected["text"], line, "nothing of the line is lost");
    rejected["reason"].as_str().expect("a reason").to_owned()
}

#[test]
fn a_line_that_is_not_json_is_rejected() {
    insta::assert_snapshot!(reason("not JSON at all"), @"not JSON: expected ident at column 2");
    insta::assert_snapshot!(reason("{\"flows\":{\"flowStartMilliseconds\":nonsense}}"), @"not JSON: expected ident at column 36");
}

#[test]
fn a_line_that_is_cut_off_is_rejected() {
    let line = Flow::new().line();
    insta::assert_snapshot!(reason(&line[..line.len() / 2]), @"not JSON: EOF while parsing an object at column 803");
    insta::assert_snapshot!(reason(&line[..line.len() - 1]), @"not JSON: EOF while parsing an object at column 1606");
}

#[test]
fn a_value_of_the_wrong_type_is_rejected_and_the_reason_names_field_and_value() {
    insta::assert_snapshot!(reason(&Flow::new().text("protocolIdentifier", "six").line()), @r#"protocolIdentifier: expected an integer from 0 to 255, found "six""#);
    insta::assert_snapshot!(reason(&Flow::new().raw("sourceIPv4Address", "[192,0,2,1]").line()), @"sourceIPv4Address: expected an IP address, found a list");
    insta::assert_snapshot!(reason(&Flow::new().raw("flowStartMilliseconds", "1561451789747").line()), @"flowStartMilliseconds: expected a time such as 2019-06-25 08:36:29.747, found 1561451789747");
    insta::assert_snapshot!(reason(&Flow::new().raw("flowDurationMilliseconds", "true").line()), @"flowDurationMilliseconds: expected a number from 0 to 9007199254740, found a truth value");
    insta::assert_snapshot!(reason("{\"flows\":[1,2]}"), @"`flows` holds a list, not an object");
    insta::assert_snapshot!(reason("[{\"flows\":{}}]"), @r#"expected a record such as {"flows":{…}}, found a list"#);
    insta::assert_snapshot!(reason("{}"), @"an empty object is no record");
}

#[test]
fn a_value_out_of_range_is_rejected_and_the_reason_names_the_range() {
    insta::assert_snapshot!(reason(&Flow::new().number("destinationTransportPort", 65_536).line()), @"destinationTransportPort: expected an integer from 0 to 65535, found 65536");
    insta::assert_snapshot!(reason(&Flow::new().raw("packetTotalCount", "-1").line()), @"packetTotalCount: expected an integer from 0 to 9223372036854775807, found -1");
    insta::assert_snapshot!(reason(&Flow::new().raw("octetTotalCount", "9223372036854775808").line()), @"octetTotalCount: expected an integer from 0 to 9223372036854775807, found 9223372036854775808");
    insta::assert_snapshot!(reason(&Flow::new().raw("packetTotalCount", "1.5").line()), @"packetTotalCount: expected an integer from 0 to 9223372036854775807, found 1.5");
    insta::assert_snapshot!(reason(&Flow::new().text("ipClassOfService", "0x100").line()), @r#"ipClassOfService: expected hexadecimal text up to ff, found "0x100""#);
    insta::assert_snapshot!(reason(&Flow::new().text("initialTCPFlags", "SYN").line()), @r#"initialTCPFlags: expected TCP flags: letters of ECUAPRSF, or 0, found "SYN""#);
    insta::assert_snapshot!(reason(&Flow::new().text("sourceMacAddress", "02:00:00:00:00").line()), @r#"sourceMacAddress: expected a MAC address, found "02:00:00:00:00""#);
    insta::assert_snapshot!(reason(&Flow::new().text("destinationIPv4Address", "198.51.100.256").line()), @r#"destinationIPv4Address: expected an IP address, found "198.51.100.256""#);
    insta::assert_snapshot!(reason(&Flow::new().text("flowEndMilliseconds", "2019-02-29 00:00:00.000").line()), @r#"flowEndMilliseconds: expected a time such as 2019-06-25 08:36:29.747, found "2019-02-29 00:00:00.000""#);
}

#[test]
fn a_line_that_is_not_utf_8_is_rejected_and_kept_byte_for_byte() {
    let line = [b"{\"flows\":{\"collectorName\":\"".as_slice(), &[0xff, 0xfe, 0x00, 0x80], b"\"}}"].concat();
    let rejected = reject(&line);
    insta::assert_snapshot!(rejected["reason"].as_str().expect("a reason"), @"not UTF-8 at byte 28 of the line");
    assert_eq!(rejected.get("text"), None);
    let hexadecimal: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(rejected["textHex"], hexadecimal);
}

#[test]
fn a_missing_required_field_is_named() {
    for field in [
        "flowStartMilliseconds",
        "flowEndMilliseconds",
        "protocolIdentifier",
        "sourceIPv4Address",
        "destinationIPv4Address",
        "sourceMacAddress",
        "destinationMacAddress",
        "packetTotalCount",
        "octetTotalCount",
        "reversePacketTotalCount",
        "reverseOctetTotalCount",
    ] {
        let found = reason(&Flow::new().without(field).line());
        assert_eq!(found, format!("required but missing: {field}"));
    }
    let without_ends = Flow::new().without("sourceMacAddress").raw("destinationMacAddress", "null");
    insta::assert_snapshot!(reason(&without_ends.line()), @"required but missing: sourceMacAddress, destinationMacAddress");
}

#[test]
fn every_other_field_may_be_missing_and_is_null_then() {
    let mut flow = Flow::new();
    let optional = [
        "flowDurationMilliseconds",
        "reverseFlowDeltaMilliseconds",
        "sourceTransportPort",
        "flowAttributes",
        "destinationTransportPort",
        "reverseFlowAttributes",
        "initialTCPFlags",
        "unionTCPFlags",
        "reverseInitialTCPFlags",
        "flowEndReason",
        "smallPacketCount",
        "bytesPerPacket",
        "reverseMaxPacketSize",
    ];
    for field in optional {
        flow = flow.without(field);
    }
    let row = World::with_hub(&DumpText::of([flow])).built().row();
    for column in [
        "reverseFlowDeltaMilliseconds",
        "IoTTransportPort",
        "serverTransportPort",
        "flowAttributes",
        "reverseFlowAttributes",
        "initialTCPFlags",
        "unionTCPFlags",
        "reverseInitialTCPFlags",
        "flowEndReason",
        "smallPacketCount",
        "bytesPerPacket",
        "reverseMaxPacketSize",
    ] {
        assert!(row[column].is_null(), "{column}: {}", row[column]);
    }
    assert_eq!(row["flowDurationMilliseconds"], 1500, "it follows from the times");
    assert_eq!(row["protocolName"], "TCP");
    assert_eq!(row["serviceType"], "Other", "without a port there is no service");
}

#[test]
fn the_reason_of_a_line_with_several_faults_names_the_first_field_of_the_schema() {
    let flow = Flow::new().number("destinationTransportPort", 70_000).number("protocolIdentifier", 300);
    let found = reason(&flow.without("flowStartMilliseconds").line());
    assert!(found.starts_with("protocolIdentifier: "), "{found}");
}

#[test]
fn rejected_lines_of_all_kinds_are_kept_in_order_with_line_and_offset() {
    let good = Flow::new();
    let bad = [
        "first".to_owned(),
        String::new(),
        good.clone().without("protocolIdentifier").line(),
        "\t".to_owned(),
    ];
    let mut dump = DumpText::default().flow(&good);
    let mut expected = Vec::new();
    for (i, line) in bad.iter().enumerate() {
        if !line.trim().is_empty() {
            expected.push(json!([i + 2, dump.offset(), line]));
        }
        dump = dump.line(line);
    }
    let lake = World::with_hub(&dump.trailer()).lenient().built();
    let rejected = lake.rejected("hub");
    let found: Vec<_> =
        rejected.iter().map(|line| json!([line["line"], line["offset"], line["text"]])).collect();
    assert_eq!(found, expected, "blank lines are no records and nothing to reject");
    assert_eq!(lake.source()["rejected"], 2);
    assert!(lake.warnings().contains(&"linesRejected"));
}

#[test]
fn a_lake_without_rejected_lines_has_no_place_for_them() {
    let lake = World::with_hub(&DumpText::of([Flow::new()])).built();
    assert!(!lake.path("rejected").exists());
    assert_eq!(lake.source().get("rejectedLines"), None);
}

#[test]
fn above_max_rejected_share_nothing_is_published_and_the_first_lines_are_named() {
    let mut dump = DumpText::default();
    for number in 0..995 {
        dump = dump.flow(&Flow::numbered(number));
    }
    for line in ["a", "b", "c", "d", "e"] {
        dump = dump.spelled(&Flow::new(), line);
    }
    let world = World::with_hub(&dump.trailer());
    let outcome = world.refused(1, &[]);
    insta::assert_snapshot!(outcome.stderr, @r"
    error: more lines are rejected than max_rejected_share allows (0.100 %); nothing was published
    dump hub: 5 of 1000 flows rejected (0.500 %)
      line 996, byte 1600855: not JSON: expected value at column 1
      line 997, byte 1600857: not JSON: expected value at column 1
      line 998, byte 1600859: not JSON: expected value at column 1
    hint: look at the lines; if the rest is worth building, raise `max_rejected_share` under [limits] in the catalogue: rejected lines are then kept in the lake's rejected/
    ");
    assert_eq!(outcome.stdout, "");
}

#[test]
fn exactly_max_rejected_share_is_allowed() {
    // 1 of 1000 is 0.1 %, the default.
    let mut dump = DumpText::default().spelled(&Flow::new(), "not a flow");
    for number in 0..999 {
        dump = dump.flow(&Flow::numbered(number));
    }
    let lake = World::with_hub(&dump.trailer()).built();
    assert_eq!(lake.manifest["rowAccounting"]["rejected"], 1);
}

#[test]
fn max_rejected_share_holds_for_each_dump_and_can_be_set() {
    let dump = DumpText::default().spelled(&Flow::new(), "not a flow").flow(&Flow::new()).trailer();
    let world = World::with_hub(&dump).with_limits("max_rejected_share = 0.49");
    world.refused(1, &[]).expect_says(["dump hub: 1 of 2 flows rejected (50.000 %)"]);
    let world = world.with_limits("max_rejected_share = 0.5");
    assert_eq!(world.built().manifest["rowAccounting"]["rejected"], 1);
}

#[test]
fn too_many_rejected_lines_leave_the_old_lake_as_it_was() {
    let world = World::with_hub(&DumpText::of([Flow::new()]));
    world.built();
    let before = super::support::tree(&world.path("lake"));
    let damaged = DumpText::default().spelled(&Flow::new(), "not a flow").trailer();
    world.add_dump("hub.tar.gz", &super::support::pack::tar_gz("hub", damaged.bytes()));
    world.build().arg("--replace").run().expect_code(1);
    assert_eq!(super::support::tree(&world.path("lake")), before);
    world.expect_no_staging();
}

#[test]
fn a_dump_of_which_every_line_is_rejected_can_still_be_kept() {
    let dump = DumpText::default().line("x").line("y");
    let world = World::with_hub(&dump).lenient();
    let lake = world.built();
    assert_eq!(lake.accounting()["rejected"], 2);
    assert_eq!(lake.files(), Vec::<String>::new());
    assert_eq!(lake.rejected("hub").len(), 2);
}

#[test]
fn the_file_of_rejected_lines_is_named_after_the_dump_whatever_is_in_its_name() {
    use super::support::{DEVICE_MAC, catalogue, device, pack};
    let world = World::new();
    let entry = device("oneShot", "remoteController", DEVICE_MAC);
    let entry = entry.replace("archive = \"oneShot\"", "archive = \"one_shot! (b)-2\"");
    world.set_catalogue(&catalogue("[limits]\nmax_rejected_share = 1.0\n", &[entry]));
    let dump = DumpText::default().flow(&Flow::new()).line("lost").trailer();
    world.add_dump("one_shot! (b)-2.tar.gz", &pack::tar_gz("one_shot! (b)-2", dump.bytes()));
    let lake: Lake = world.built();
    let listed = &lake.source()["rejectedLines"];
    let path = listed["path"].as_str().expect("a path");
    let digest = path.strip_prefix("rejected/one_shot! (b)-2-").and_then(|rest| rest.strip_suffix(".ndjson"));
    let sha256 = listed["sha256"].as_str().expect("a digest");
    assert_eq!(digest, Some(&sha256[..16]), "{path}");
    let text = fs::read_to_string(lake.path(path)).expect("rejected lines");
    assert_eq!(listed["bytes"], text.len());
    assert!(text.contains("\"text\":\"lost\""), "{text}");
    let names = fs::read_dir(lake.path("rejected")).expect("a directory").count();
    assert_eq!(names, 1, "nothing is left beside it");
}
