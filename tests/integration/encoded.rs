//! The recipe `encoded`: every cell by hand, and the rows that are not in it.

use serde_json::{Map, Value, json};

use super::support::{DEVICE_MAC, DumpText, Flow, Lake, OTHER_MAC, World};

/// The recipe that ships.
const ENCODED: &str = include_str!("../../config/recipes/encoded.toml");

/// The lake of these flows.
#[track_caller]
fn encoded(flows: impl IntoIterator<Item = Flow>) -> Lake {
    let world = World::with_hub(&DumpText::of(flows));
    world.build().args(["--recipe", "encoded"]).run().expect_code(0);
    world.lake()
}

/// Cells of a row by name.
fn cells(row: &Map<String, Value>, names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| row[*name].clone()).collect()
}

/// The published columns, in their order, with their values for the everyday flow of the fixtures.
fn everyday() -> Vec<(&'static str, Value)> {
    let mut cells: Vec<(&str, Value)> = vec![("deviceName", json!("hub"))];
    let numbers = [
        ("flowDurationMilliseconds", 1500_i64),
        ("reverseFlowDeltaMilliseconds", 20),
        ("protocolIdentifier", 6),
        // 192.0.2.10
        ("sourceIPv4Address", 192 * 16_777_216 + 2 * 256 + 10),
        ("sourceTransportPort", 50_000),
        ("packetTotalCount", 7),
        ("octetTotalCount", 900),
        ("flowAttributes", 0),
        // 198.51.100.7
        ("destinationIPv4Address", 198 * 16_777_216 + 51 * 65_536 + 100 * 256 + 7),
        ("destinationTransportPort", 443),
        ("reversePacketTotalCount", 5),
        ("reverseOctetTotalCount", 4000),
        ("reverseFlowAttributes", 2),
        ("smallPacketCount", 2),
        ("nonEmptyPacketCount", 4),
        ("dataByteCount", 601),
        ("averageInterarrivalTime", 250),
        ("firstNonEmptyPacketSize", 200),
        ("largePacketCount", 1),
        ("maxPacketSize", 230),
        ("standardDeviationPayloadLength", 70),
        ("standardDeviationInterarrivalTime", 120),
        ("bytesPerPacket", 150),
        ("reverseSmallPacketCount", 1),
        ("reverseNonEmptyPacketCount", 3),
        ("reverseDataByteCount", 3700),
        ("reverseAverageInterarrivalTime", 300),
        ("reverseFirstNonEmptyPacketSize", 1400),
        ("reverseLargePacketCount", 2),
        ("reverseMaxPacketSize", 1448),
        ("reverseStandardDeviationPayloadLength", 400),
        ("reverseStandardDeviationInterarrivalTime", 90),
        ("reverseBytesPerPacket", 1233),
        ("flowStartMonth", 7),
        ("flowStartDay", 1),
        ("flowStartHour", 10),
        ("flowStartMinute", 0),
        ("flowStartSecond", 0),
        ("flowStartMillisecond", 0),
        ("flowEndMonth", 7),
        ("flowEndDay", 1),
        ("flowEndHour", 10),
        ("flowEndMinute", 0),
        ("flowEndSecond", 1),
        ("flowEndMillisecond", 500),
    ];
    cells.extend(numbers.map(|(name, number)| (name, json!(number))));
    cells.push(("device_type", json!("iotGatewayHub")));
    let bits = [
        ("flowEndReason_Unknown", 0),
        ("flowEndReason_eof", 0),
        ("flowEndReason_active", 0),
        ("flowEndReason_idle", 1),
        // S
        ("initialTCPFlags_A", 0),
        ("initialTCPFlags_P", 0),
        ("initialTCPFlags_S", 1),
        ("initialTCPFlags_R", 0),
        // APF
        ("unionTCPFlags_A", 1),
        ("unionTCPFlags_P", 1),
        ("unionTCPFlags_S", 0),
        ("unionTCPFlags_R", 0),
        // AS
        ("reverseInitialTCPFlags_A", 1),
        ("reverseInitialTCPFlags_P", 0),
        ("reverseInitialTCPFlags_S", 1),
        ("reverseInitialTCPFlags_R", 0),
        // APF
        ("reverseUnionTCPFlags_A", 1),
        ("reverseUnionTCPFlags_P", 1),
        ("reverseUnionTCPFlags_S", 0),
        ("reverseUnionTCPFlags_R", 0),
    ];
    cells.extend(bits.map(|(name, bit)| (name, json!(bit))));
    cells
}

#[test]
fn the_columns_are_the_published_ones_in_their_order_and_every_cell_is_right() {
    let lake = encoded([Flow::new()]);
    let everyday = everyday();
    assert_eq!(everyday.len(), 1 + 66);
    let columns = lake.manifest["schema"]["columns"].as_array().expect("columns");
    let names: Vec<&str> = columns.iter().map(|column| column["name"].as_str().expect("a name")).collect();
    assert_eq!(names, everyday.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    assert_eq!(lake.row(), everyday.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());

    for column in columns {
        let (name, kind) =
            (column["name"].as_str().expect("a name"), column["type"].as_str().expect("a type"));
        let text = matches!(name, "deviceName" | "device_type");
        assert!(if text { kind == "string" } else { matches!(kind, "int32" | "int64") }, "{name} is {kind}");
        assert_eq!(column["nullable"], json!(name.ends_with("IPv4Address")), "{name}");
        let role = if name == "device_type" {
            "target"
        } else if text {
            "identifier"
        } else {
            "feature"
        };
        assert_eq!(column["role"], role, "{name}");
    }
    let class = lake.files()[0].contains("/deviceClass=iotGatewayHub/");
    assert!(class, "the label is the partition column too");
}

#[test]
fn flags_are_a_set_in_whatever_order_they_are_written() {
    let flow = Flow::new()
        .text("initialTCPFlags", "SA")
        .text("unionTCPFlags", "FRPAUCE")
        .text("reverseInitialTCPFlags", "0")
        .text("reverseUnionTCPFlags", "R");
    let row = encoded([flow]).row();
    let bits = |field: &str| {
        cells(
            &row,
            &["A", "P", "S", "R"].map(|letter| format!("{field}_{letter}")).each_ref().map(String::as_str),
        )
    };
    assert_eq!(bits("initialTCPFlags"), [1, 0, 1, 0]);
    assert_eq!(bits("unionTCPFlags"), [1, 1, 0, 1]);
    assert_eq!(bits("reverseInitialTCPFlags"), [0, 0, 0, 0]);
    assert_eq!(bits("reverseUnionTCPFlags"), [0, 0, 0, 1]);
}

#[test]
fn an_ipv6_address_is_null_and_counted() {
    let between = |source: &str, destination: &str| {
        Flow::new().text("sourceIPv4Address", source).text("destinationIPv4Address", destination)
    };
    let lake = encoded([
        between("fe80::0001", "ff02::0016"),
        between("255.255.255.255", "2001:0db8::0001"),
        between("::", "255.255.255.255"),
        between("0.0.0.1", "128.0.0.0"),
    ]);
    let addresses: Vec<Vec<Value>> =
        lake.rows().iter().map(|row| cells(row, &["sourceIPv4Address", "destinationIPv4Address"])).collect();
    let expected =
        json!([[null, null], [4_294_967_295_u32, null], [0, 4_294_967_295_u32], [1, 2_147_483_648_u32]]);
    assert_eq!(json!(addresses), expected);
    let counted = json!([
        {"column": "sourceIPv4Address", "reason": "ipv6", "values": 1},
        {"column": "destinationIPv4Address", "reason": "ipv6", "values": 2},
    ]);
    assert_eq!(lake.manifest["notEncoded"], counted);
    assert_eq!(lake.repaired("ipv4Unspecified"), 1);
}

#[test]
fn a_recipe_can_drop_flows_with_ipv6_addresses_instead() {
    let recipe = ENCODED.replace("ip_encoding = \"null\"", "ip_encoding = \"drop\"");
    let flows = [
        Flow::new(),
        Flow::new().text("sourceIPv4Address", "fe80::1").text("destinationIPv4Address", "ff02::1"),
        Flow::new().text("destinationIPv4Address", "2001:db8::1"),
    ];
    let world = World::with_hub(&DumpText::of(flows));
    let path = world.path("drop.toml");
    fs_err::write(&path, recipe).expect("it is written");
    world.build().arg("--recipe").arg(path).run().expect_code(0);
    let lake = world.lake();
    assert_eq!(lake.accounting()["removed"]["ipv6"], 2);
    assert_eq!(lake.accounting()["kept"], 1);
    for column in lake.manifest["schema"]["columns"].as_array().expect("columns") {
        assert_eq!(column["nullable"], false, "{}", column["name"]);
    }
}

#[test]
fn ports_of_icmp_are_type_and_code_as_written() {
    let icmp = |protocol, source, destination| {
        Flow::new()
            .number("protocolIdentifier", protocol)
            .number("sourceTransportPort", source)
            .number("destinationTransportPort", destination)
    };
    let lake = encoded([icmp(1, 8, 0), icmp(58, 0, 135 * 256)]);
    let ports: Vec<Vec<Value>> = lake
        .rows()
        .iter()
        .map(|row| cells(row, &["protocolIdentifier", "sourceTransportPort", "destinationTransportPort"]))
        .collect();
    assert_eq!(json!(ports), json!([[1, 8, 0], [58, 0, 34_560]]));
}

#[test]
fn statistics_that_are_not_there_are_0() {
    let lake = encoded([Flow::new().unanswered().without_statistics()]);
    let row = lake.row();
    for (name, _) in everyday().iter().filter(|(name, _)| {
        let name = name.trim_start_matches("reverse");
        ["Count", "Time", "Size", "Length", "PerPacket"].iter().any(|end| name.ends_with(end))
            && !name.to_lowercase().ends_with("totalcount")
    }) {
        assert_eq!(row[*name], 0, "{name}");
    }
    assert_eq!(row["packetTotalCount"], 7);
    assert_eq!(lake.accounting()["removed"]["incomplete"], 0, "statistics are not critical");
}

#[test]
fn times_are_split_in_utc_and_the_month_is_that_of_the_start() {
    let lake = encoded([
        Flow::new().times("2019-12-31 23:59:59.999", "2020-01-01 00:00:00.000", 1),
        Flow::new().times("2020-02-29 12:34:56.789", "2020-03-01 00:00:00.001", 41_103_212),
    ]);
    let part = |row: &Map<String, Value>, of: &str| {
        let parts = ["Month", "Day", "Hour", "Minute", "Second", "Millisecond"];
        json!(parts.map(|part| row[&format!("{of}{part}")].clone()))
    };
    let rows = lake.rows();
    assert_eq!(part(&rows[0], "flowStart"), json!([12, 31, 23, 59, 59, 999]));
    assert_eq!(part(&rows[0], "flowEnd"), json!([1, 1, 0, 0, 0, 0]));
    assert_eq!(part(&rows[1], "flowStart"), json!([2, 29, 12, 34, 56, 789]));
    assert_eq!(part(&rows[1], "flowEnd"), json!([3, 1, 0, 0, 0, 1]));
    // Though no column says when a flow began, files and sources do.
    let files: Vec<Value> = lake
        .list("files")
        .iter()
        .map(|file| json!([file["month"], file["minFlowStart"], file["maxFlowStart"]]))
        .collect();
    let expected = json!([
        ["2019-12", "2019-12-31T23:59:59.999Z", "2019-12-31T23:59:59.999Z"],
        ["2020-02", "2020-02-29T12:34:56.789Z", "2020-02-29T12:34:56.789Z"],
    ]);
    assert_eq!(json!(files), expected);
    assert_eq!(lake.source()["lastFlowStart"], "2020-02-29T12:34:56.789Z");
}

#[test]
fn each_row_that_is_not_there_is_counted_by_the_first_rule_that_holds() {
    let outlier = Flow::numbered(1).number("packetTotalCount", 200_001);
    let lake = encoded([
        Flow::numbered(0),
        // The largest that stays.
        Flow::numbered(1).number("packetTotalCount", 200_000),
        outlier.clone(),
        outlier.clone(),
        outlier.without("sourceTransportPort"),
        Flow::numbered(2).without("flowEndReason"),
        Flow::numbered(3).without("reverseUnionTCPFlags"),
        Flow::inbound(),
        Flow::inbound(),
        Flow::new().between(OTHER_MAC, OTHER_MAC),
        Flow::new().between(DEVICE_MAC, DEVICE_MAC),
        Flow::numbered(0),
        Flow::numbered(0),
    ]);
    let expected = json!({
        "read": 13,
        "kept": 3,
        "removed": {"toDevice": 2, "neither": 1, "duplicate": 3, "incomplete": 3, "outlier": 1},
        "rejected": 0,
    });
    assert_eq!(lake.accounting(), expected);
    assert_eq!(lake.column("packetTotalCount"), [7, 200_000, 7]);
    for dropped in lake.list("droppedColumns") {
        assert_eq!(dropped["evidence"]["rows"], 3, "evidence is of the rows kept");
    }
}

#[test]
fn every_reason_why_a_flow_ended_has_its_column() {
    let reasons = ["", "eof", "active", "idle", "rsrc", "force"];
    let flows = reasons.iter().zip(0..).map(|(reason, i)| Flow::numbered(i).text("flowEndReason", reason));
    let lake = encoded(flows);
    let bits: Vec<Vec<Value>> = lake
        .rows()
        .iter()
        .map(|row| {
            cells(
                row,
                &["Unknown", "eof", "active", "idle"]
                    .map(|r| format!("flowEndReason_{r}"))
                    .each_ref()
                    .map(String::as_str),
            )
        })
        .collect();
    let expected =
        json!([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]]);
    assert_eq!(json!(bits), expected);
}

#[test]
fn what_is_off_by_default_can_be_switched_on_by_taking_comment_signs_away() {
    let mut on = String::new();
    let mut inside = false;
    for line in ENCODED.lines() {
        inside = line.starts_with("# [[column]]") || inside && line.starts_with("# ");
        on += if inside { &line[2..] } else { line };
        on += "\n";
    }
    let world = World::with_hub(&DumpText::of([Flow::new().text("flowEndReason", "rsrc")]));
    let path = world.path("more.toml");
    fs_err::write(&path, on).expect("it is written");
    world.build().arg("--recipe").arg(path).run().expect_code(0);
    let row = world.lake().row();
    assert_eq!(row.len(), 67 + 3 + 8);
    assert_eq!(
        cells(&row, &["flowEndReason_closed", "flowEndReason_rsrc", "flowEndReason_force"]),
        [0, 1, 0]
    );
    assert_eq!(cells(&row, &["initialTCPFlags_F", "unionTCPFlags_F", "unionTCPFlags_U"]), [0, 1, 0]);
}
