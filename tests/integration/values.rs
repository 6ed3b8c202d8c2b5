//! Awkward rows: what exporters write, and what it means.

use serde_json::{Map, Value, json};

use super::support::{DEVICE_MAC, DumpText, Flow, Lake, OTHER_MAC, ROUTER_MAC, World};

fn lake_of(flows: impl IntoIterator<Item = Flow>) -> Lake {
    World::with_hub(&DumpText::of(flows)).built()
}

fn row_of(flow: Flow) -> Map<String, Value> {
    lake_of([flow]).row()
}

#[test]
fn an_everyday_flow_has_every_column_with_its_value() {
    let text: Vec<String> =
        row_of(Flow::new()).iter().map(|(name, value)| format!("{name} = {value}")).collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    IoTIPAddress = "192.0.2.10"
    IoTMacAddress = "02:00:00:00:00:01"
    IoTTransportPort = 50000
    averageInterarrivalTime = 250
    bytesPerPacket = 150
    dataByteCount = 601
    deviceName = "hub"
    firstNonEmptyPacketSize = 200
    flowAttributes = 0
    flowDurationMilliseconds = 1500
    flowEndMilliseconds = 1561975201500
    flowEndMillisecondsDate = 18078
    flowEndMillisecondsTime = "10:00:01.500"
    flowEndReason = "idle"
    flowStartMilliseconds = 1561975200000
    flowStartMillisecondsDate = 18078
    flowStartMillisecondsTime = "10:00:00.000"
    initialTCPFlags = "S"
    largePacketCount = 1
    maxPacketSize = 230
    nonEmptyPacketCount = 4
    octetTotalCount = 900
    packetTotalCount = 7
    protocolIdentifier = 6
    protocolName = "TCP"
    reverseAverageInterarrivalTime = 300
    reverseBytesPerPacket = 1233
    reverseDataByteCount = 3700
    reverseFirstNonEmptyPacketSize = 1400
    reverseFlowAttributes = 2
    reverseFlowDeltaMilliseconds = 20
    reverseInitialTCPFlags = "AS"
    reverseLargePacketCount = 2
    reverseMaxPacketSize = 1448
    reverseNonEmptyPacketCount = 3
    reverseOctetTotalCount = 4000
    reversePacketTotalCount = 5
    reverseSmallPacketCount = 1
    reverseStandardDeviationInterarrivalTime = 90
    serverIPAddress = "198.51.100.7"
    serverMacAddress = "02:00:00:00:00:fe"
    serverTransportPort = 443
    serviceType = "HTTP/S"
    smallPacketCount = 2
    standardDeviationInterarrivalTime = 120
    unionTCPFlags = "APF"
    "#);
}

#[test]
fn the_columns_are_those_of_the_contract_in_its_order_and_types() {
    let lake = lake_of([Flow::new()]);
    let columns: Vec<String> = lake.manifest["schema"]["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| {
            let text = |key: &str| column[key].as_str().unwrap_or_default().to_owned();
            let null = if column["nullable"] == true { "?" } else { "" };
            format!("{} {}{null} {} {}", text("name"), text("type"), text("role"), text("unit"))
                .trim_end()
                .to_owned()
        })
        .collect();
    insta::assert_snapshot!(columns.join("\n"), @r"
    deviceName string target
    IoTMacAddress string identifier
    IoTIPAddress string identifier
    serverMacAddress string identifier
    serverIPAddress string identifier
    IoTTransportPort int32? feature
    serverTransportPort int32? feature
    protocolIdentifier int32 feature
    protocolName string feature
    serviceType string feature
    flowStartMilliseconds timestamp[ms, UTC] time
    flowEndMilliseconds timestamp[ms, UTC] time
    flowStartMillisecondsDate date time
    flowEndMillisecondsDate date time
    flowStartMillisecondsTime string time
    flowEndMillisecondsTime string time
    flowDurationMilliseconds int64 feature ms
    reverseFlowDeltaMilliseconds int64? feature ms
    averageInterarrivalTime int64? feature ms
    standardDeviationInterarrivalTime int64? feature ms
    reverseAverageInterarrivalTime int64? feature ms
    reverseStandardDeviationInterarrivalTime int64? feature ms
    flowAttributes int32? feature
    reverseFlowAttributes int32? feature
    flowEndReason string? feature
    initialTCPFlags string? feature
    unionTCPFlags string? feature
    reverseInitialTCPFlags string? feature
    packetTotalCount int64 feature packets
    octetTotalCount int64 feature B
    smallPacketCount int64? feature packets
    largePacketCount int64? feature packets
    nonEmptyPacketCount int64? feature packets
    firstNonEmptyPacketSize int32? feature B
    maxPacketSize int32? feature B
    dataByteCount int64? feature B
    bytesPerPacket int32? feature B
    reversePacketTotalCount int64 feature packets
    reverseOctetTotalCount int64 feature B
    reverseSmallPacketCount int64? feature packets
    reverseLargePacketCount int64? feature packets
    reverseNonEmptyPacketCount int64? feature packets
    reverseFirstNonEmptyPacketSize int32? feature B
    reverseMaxPacketSize int32? feature B
    reverseDataByteCount int64? feature B
    reverseBytesPerPacket int32? feature B
    ");
    // And the files have what the manifest says.
    let frame = lake.frame(&lake.files()[0]);
    let found: Vec<String> =
        frame.columns().iter().map(|column| format!("{} {}", column.name(), column.dtype())).collect();
    insta::assert_snapshot!(found.join("\n"), @r"
    deviceName str
    IoTMacAddress str
    IoTIPAddress str
    serverMacAddress str
    serverIPAddress str
    IoTTransportPort i32
    serverTransportPort i32
    protocolIdentifier i32
    protocolName str
    serviceType str
    flowStartMilliseconds datetime[ms]
    flowEndMilliseconds datetime[ms]
    flowStartMillisecondsDate date
    flowEndMillisecondsDate date
    flowStartMillisecondsTime str
    flowEndMillisecondsTime str
    flowDurationMilliseconds i64
    reverseFlowDeltaMilliseconds i64
    averageInterarrivalTime i64
    standardDeviationInterarrivalTime i64
    reverseAverageInterarrivalTime i64
    reverseStandardDeviationInterarrivalTime i64
    flowAttributes i32
    reverseFlowAttributes i32
    flowEndReason str
    initialTCPFlags str
    unionTCPFlags str
    reverseInitialTCPFlags str
    packetTotalCount i64
    octetTotalCount i64
    smallPacketCount i64
    largePacketCount i64
    nonEmptyPacketCount i64
    firstNonEmptyPacketSize i32
    maxPacketSize i32
    dataByteCount i64
    bytesPerPacket i32
    reversePacketTotalCount i64
    reverseOctetTotalCount i64
    reverseSmallPacketCount i64
    reverseLargePacketCount i64
    reverseNonEmptyPacketCount i64
    reverseFirstNonEmptyPacketSize i32
    reverseMaxPacketSize i32
    reverseDataByteCount i64
    reverseBytesPerPacket i32
    ");
    let partition: Vec<&Value> = lake.manifest["schema"]["partitionBy"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| &column["name"])
        .collect();
    assert_eq!(partition, ["month", "deviceClass"]);
}

#[test]
fn ipv6_addresses_are_canonical() {
    let cases = [
        ("ff02::0016", "ff02::16"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"),
        ("2001:DB8::ABCD", "2001:db8::abcd"),
        ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
        ("fe80:0:0:0:0:0:0:0", "fe80::"),
        ("0:0:0:0:0:ffff:c000:0201", "::ffff:192.0.2.1"),
        ("::1", "::1"),
        ("2001:db8::1", "2001:db8::1"),
    ];
    let flows = cases.map(|(written, _)| {
        Flow::new().text("sourceIPv4Address", "fe80::0001").text("destinationIPv4Address", written)
    });
    let lake = lake_of(flows);
    assert_eq!(lake.column("serverIPAddress"), cases.map(|(_, meant)| meant));
    assert!(lake.column("IoTIPAddress").iter().all(|address| address == "fe80::1"));
    assert_eq!(lake.repaired("ipv6Canonical"), 6 + 8, "six destinations, and every source");
    assert_eq!(lake.repaired("ipv4Unspecified"), 0);
}

#[test]
fn double_colon_opposite_ipv4_is_0_0_0_0_as_in_dhcp() {
    let dhcp = Flow::new()
        .number("protocolIdentifier", 17)
        .text("sourceIPv4Address", "::")
        .text("destinationIPv4Address", "255.255.255.255")
        .number("sourceTransportPort", 68)
        .number("destinationTransportPort", 67);
    let lake = lake_of([
        dhcp.clone(),
        dhcp.text("sourceIPv4Address", "0000:0000::").text("destinationIPv4Address", "192.0.2.1"),
        Flow::new().text("destinationIPv4Address", "::"),
        // Both ends IPv6: duplicate address detection.
        Flow::new().text("sourceIPv4Address", "::").text("destinationIPv4Address", "ff02::0001:ff00:0001"),
    ]);
    assert_eq!(lake.column("IoTIPAddress"), ["0.0.0.0", "0.0.0.0", "192.0.2.10", "::"]);
    assert_eq!(lake.column("serverIPAddress"), ["255.255.255.255", "192.0.2.1", "0.0.0.0", "ff02::1:ff00:1"]);
    assert_eq!(lake.repaired("ipv4Unspecified"), 3);
    assert_eq!(lake.repaired("ipv6Canonical"), 1);
}

#[test]
fn an_empty_flow_end_reason_means_closed_and_the_others_stay() {
    let reasons = ["idle", "active", "eof", "rsrc", "force", ""];
    let lake = lake_of(reasons.map(|reason| Flow::new().text("flowEndReason", reason)));
    assert_eq!(lake.column("flowEndReason"), ["idle", "active", "eof", "rsrc", "force", "closed"]);
    assert_eq!(lake.repaired("flowEndReasonClosed"), 1);
}

#[test]
fn durations_in_seconds_become_milliseconds() {
    let flow = Flow::new()
        .times("2019-07-01 10:00:00.000", "2019-07-01 10:29:59.999", 1_799_999)
        .raw("reverseFlowDeltaMilliseconds", "0.217");
    let lake = lake_of([
        flow,
        Flow::new().starting("2019-07-01 10:00:00.000"),
        Flow::new().times("2019-07-01 10:00:00.000", "2019-07-01 10:00:00.020", 20),
    ]);
    assert_eq!(lake.column("flowDurationMilliseconds"), [1_799_999, 1, 20]);
    assert_eq!(lake.column("reverseFlowDeltaMilliseconds"), [217, 0, 20]);
}

#[test]
fn durations_of_later_exporters_are_milliseconds_already() {
    let flow = Flow::new()
        .times("2019-07-01 10:00:00.000", "2019-07-01 10:29:59.999", 0)
        .number("flowDurationMilliseconds", 1_799_999)
        .number("reverseFlowDeltaMilliseconds", 217);
    let lake = lake_of([flow]);
    assert_eq!(lake.row()["flowDurationMilliseconds"], 1_799_999);
    assert_eq!(lake.row()["reverseFlowDeltaMilliseconds"], 217);
    assert_eq!(lake.repaired("durationMilliseconds"), 0, "nothing had to be changed");
}

#[test]
fn both_units_in_one_dump_are_told_apart_row_by_row() {
    let seconds = Flow::new().raw("reverseFlowDeltaMilliseconds", "0.300");
    let millis =
        Flow::new().number("flowDurationMilliseconds", 1500).number("reverseFlowDeltaMilliseconds", 300);
    let lake = lake_of([seconds.clone(), millis.clone(), seconds, millis]);
    assert_eq!(lake.column("flowDurationMilliseconds"), [1500; 4]);
    assert_eq!(lake.column("reverseFlowDeltaMilliseconds"), [300; 4]);
}

#[test]
fn without_a_duration_to_compare_the_first_reverse_packet_is_not_after_the_last() {
    let flow = Flow::new().without("flowDurationMilliseconds");
    let lake = lake_of([
        flow.clone().raw("reverseFlowDeltaMilliseconds", "0.300"),
        flow.clone().raw("reverseFlowDeltaMilliseconds", "1.500"),
        // 300 s would be after the end, which is 1.5 s after the start.
        flow.clone().number("reverseFlowDeltaMilliseconds", 300),
        flow.number("reverseFlowDeltaMilliseconds", 1500),
    ]);
    assert_eq!(lake.column("reverseFlowDeltaMilliseconds"), [300, 1500, 300, 1500]);
}

#[test]
fn the_published_duration_is_end_minus_start_on_every_row() {
    // Written durations are rounded, and may be off by a millisecond.
    let flows = [(1_499, 1_500), (1_501, 1_500), (0, 1_500), (999_999, 1_500)]
        .map(|(written, _)| Flow::new().times("2019-07-01 10:00:00.000", "2019-07-01 10:00:01.500", written));
    let lake = lake_of(flows);
    for row in lake.rows() {
        let millis = |name: &str| row[name].as_i64().expect("a time");
        assert_eq!(
            row["flowDurationMilliseconds"],
            millis("flowEndMilliseconds") - millis("flowStartMilliseconds")
        );
    }
}

#[test]
fn mac_addresses_lose_their_stray_colon_and_upper_case() {
    let lake = lake_of([
        Flow::new(),
        Flow::new().text("sourceMacAddress", DEVICE_MAC).text("destinationMacAddress", "AA:BB:CC:DD:EE:FF"),
        Flow::new()
            .text("sourceMacAddress", "02-00-00-00-00-01")
            .text("destinationMacAddress", "AA-BB-CC-DD-EE-FF:"),
    ]);
    assert_eq!(lake.column("IoTMacAddress"), [DEVICE_MAC; 3]);
    assert_eq!(lake.column("serverMacAddress"), [ROUTER_MAC, "aa:bb:cc:dd:ee:ff", "aa:bb:cc:dd:ee:ff"]);
    assert_eq!(lake.repaired("macTrailingColon"), 5);
}

#[test]
fn an_upper_case_mac_in_the_dump_is_still_the_device() {
    let world = World::with_hub(&DumpText::of([Flow::new().between("02:00:00:00:00:AB", ROUTER_MAC)]));
    world.set_catalogue(&super::support::catalogue(
        "",
        &[super::support::device("hub", "x", "02:00:00:00:00:ab")],
    ));
    assert_eq!(world.built().source()["directions"]["fromDevice"], 1);
}

#[test]
fn flows_are_kept_by_who_started_them_and_counted_by_direction() {
    let lake = lake_of([
        Flow::new(),
        Flow::new().between(DEVICE_MAC, DEVICE_MAC),
        Flow::inbound(),
        Flow::inbound(),
        Flow::new().between(OTHER_MAC, ROUTER_MAC),
        Flow::new().between(OTHER_MAC, "ff:ff:ff:ff:ff:ff"),
        Flow::new().between(ROUTER_MAC, OTHER_MAC),
    ]);
    let removed = json!({"toDevice": 2, "neither": 3});
    assert_eq!(lake.accounting(), json!({"read": 7, "kept": 2, "removed": removed, "rejected": 0}));
    let directions = json!({"fromDevice": 1, "toDevice": 2, "both": 1, "neither": 3});
    assert_eq!(lake.source()["directions"], directions);
    assert_eq!(lake.column("serverMacAddress"), [ROUTER_MAC, DEVICE_MAC]);
}

#[test]
fn ports_of_icmp_are_type_and_code_and_name_no_service() {
    let lake = lake_of([
        Flow::new()
            .number("protocolIdentifier", 1)
            .number("sourceTransportPort", 8)
            .number("destinationTransportPort", 0),
        // Destination unreachable: code 3; of ICMPv6, type × 256 + code.
        Flow::new()
            .number("protocolIdentifier", 1)
            .number("sourceTransportPort", 3)
            .number("destinationTransportPort", 3),
        Flow::new()
            .number("protocolIdentifier", 58)
            .text("sourceIPv4Address", "fe80::0001")
            .text("destinationIPv4Address", "ff02::0002")
            .number("sourceTransportPort", 0)
            .number("destinationTransportPort", 133 * 256),
        Flow::new()
            .number("protocolIdentifier", 2)
            .number("sourceTransportPort", 0)
            .number("destinationTransportPort", 0),
        // A code that would be a port of a service.
        Flow::new()
            .number("protocolIdentifier", 1)
            .number("sourceTransportPort", 3)
            .number("destinationTransportPort", 53),
    ]);
    assert_eq!(lake.column("IoTTransportPort"), [8, 3, 0, 0, 3]);
    assert_eq!(lake.column("serverTransportPort"), [0, 3, 34_048, 0, 53]);
    assert_eq!(lake.column("protocolName"), ["ICMP", "ICMP", "ICMPv6", "Other", "ICMP"]);
    assert!(lake.column("serviceType").iter().all(|service| service == "Other"));
}

#[test]
fn services_are_told_by_protocol_and_port_of_the_other_end() {
    let cases = [
        (6, 80, "HTTP/S"),
        (6, 443, "HTTP/S"),
        (17, 443, "HTTP/S"),
        (17, 80, "Other"),
        (17, 53, "DNS"),
        (6, 53, "DNS"),
        (17, 5353, "DNS"),
        (6, 5353, "Other"),
        (17, 123, "NTP"),
        (6, 123, "Other"),
        (17, 1900, "SSDP"),
        (17, 137, "NetBIOS"),
        (17, 138, "NetBIOS"),
        (6, 139, "NetBIOS"),
        (6, 1883, "MQTT"),
        (6, 8883, "MQTT"),
        (6, 65_535, "Other"),
    ];
    let flows = cases.map(|(protocol, port, _)| {
        Flow::new().number("protocolIdentifier", protocol).number("destinationTransportPort", port)
    });
    assert_eq!(lake_of(flows).column("serviceType"), cases.map(|(_, _, service)| service));
    // The port of the device says nothing.
    let row =
        row_of(Flow::new().number("sourceTransportPort", 53).number("destinationTransportPort", 50_000));
    assert_eq!(row["serviceType"], "Other");
}

#[test]
fn statistics_that_were_not_written_are_null_and_not_zero() {
    let full = Flow::new();
    let no_forward_mean = full.clone().without("bytesPerPacket");
    let no_means = no_forward_mean.clone().without("reverseBytesPerPacket");
    let unanswered = full.clone().unanswered();
    let bare = unanswered.clone().without_statistics();
    let keys = [&full, &no_forward_mean, &no_means, &unanswered, &bare].map(Flow::keys);
    assert_eq!(keys, [54, 53, 52, 43, 31]);
    let lake = lake_of([full, no_forward_mean, no_means, unanswered, bare]);
    let null = Value::Null;
    assert_eq!(
        lake.column("bytesPerPacket"),
        [json!(150), null.clone(), null.clone(), json!(150), null.clone()]
    );
    let expected = [json!(1233), json!(1233), null.clone(), null.clone(), null];
    assert_eq!(lake.column("reverseBytesPerPacket"), expected);
    let forward = [
        "smallPacketCount",
        "largePacketCount",
        "nonEmptyPacketCount",
        "firstNonEmptyPacketSize",
        "maxPacketSize",
        "dataByteCount",
        "averageInterarrivalTime",
        "standardDeviationInterarrivalTime",
    ];
    let rows = lake.rows();
    for name in forward {
        let reverse = format!("reverse{}{}", name[..1].to_uppercase(), &name[1..]);
        let found: Vec<bool> = rows.iter().map(|row| row[name].is_null()).collect();
        assert_eq!(found, [false, false, false, false, true], "{name}");
        let found: Vec<bool> = rows.iter().map(|row| row[&reverse].is_null()).collect();
        assert_eq!(found, [false, false, false, true, true], "{reverse}");
    }
}

#[test]
fn tcp_flags_are_a_set_in_the_exporters_order() {
    let written = ["0", "S", "SA", "FSRPAUCE", "ECUAPRSF", ""];
    let lake = lake_of(written.map(|flags| Flow::new().text("initialTCPFlags", flags)));
    assert_eq!(lake.column("initialTCPFlags"), ["0", "S", "AS", "ECUAPRSF", "ECUAPRSF", "0"]);
}

#[test]
fn flow_attributes_are_the_number_their_hexadecimal_digits_spell() {
    let lake =
        lake_of(["00", "01", "1f", "0x10", "FFFF"].map(|digits| Flow::new().text("flowAttributes", digits)));
    assert_eq!(lake.column("flowAttributes"), [0, 1, 31, 16, 65_535]);
}

#[test]
fn rows_go_to_the_month_of_their_start_in_utc_and_keep_the_order_of_the_dump() {
    let starts = [
        "2019-07-31 23:59:59.998",
        "2019-08-01 00:00:00.000",
        "2019-06-30 23:59:59.000",
        "2019-07-01 00:00:00.000",
        "2019-12-31 23:59:59.998",
        "2020-01-01 00:00:00.000",
        "2020-02-29 12:00:00.000",
        "2019-07-15 00:00:00.000",
    ];
    let flows = starts.iter().enumerate().map(|(i, start)| Flow::numbered(i as u64).starting(start));
    let lake = lake_of(flows);
    let found: Vec<String> = lake
        .list("files")
        .iter()
        .map(|file| {
            let ports: Vec<String> =
                super::support::frame_rows(&lake.frame(file["path"].as_str().expect("a path")))
                    .iter()
                    .map(|row| row["IoTTransportPort"].to_string())
                    .collect();
            let text = |key: &str| file[key].as_str().expect("text").to_owned();
            format!(
                "{}: {} ({} to {})",
                text("month"),
                ports.join(" "),
                text("minFlowStart"),
                text("maxFlowStart")
            )
        })
        .collect();
    insta::assert_snapshot!(found.join("\n"), @r"
    2019-06: 50002 (2019-06-30T23:59:59.000Z to 2019-06-30T23:59:59.000Z)
    2019-07: 50000 50003 50007 (2019-07-01T00:00:00.000Z to 2019-07-31T23:59:59.998Z)
    2019-08: 50001 (2019-08-01T00:00:00.000Z to 2019-08-01T00:00:00.000Z)
    2019-12: 50004 (2019-12-31T23:59:59.998Z to 2019-12-31T23:59:59.998Z)
    2020-01: 50005 (2020-01-01T00:00:00.000Z to 2020-01-01T00:00:00.000Z)
    2020-02: 50006 (2020-02-29T12:00:00.000Z to 2020-02-29T12:00:00.000Z)
    ");
    assert_eq!(lake.source()["firstFlowStart"], "2019-06-30T23:59:59.000Z");
    assert_eq!(lake.source()["lastFlowStart"], "2020-02-29T12:00:00.000Z");
}

#[test]
fn a_flow_that_ends_in_the_next_month_or_year_belongs_to_the_one_it_started_in() {
    let over_year = Flow::new().times("2019-12-31 23:59:00.000", "2020-01-01 00:00:30.000", 90_000);
    let over_month = Flow::new().times("2019-06-30 23:59:59.999", "2019-07-01 00:00:00.000", 1);
    let lake = lake_of([over_year, over_month]);
    let months: Vec<_> =
        lake.list("files").iter().map(|file| file["month"].as_str().expect("a month")).collect();
    assert_eq!(months, ["2019-06", "2019-12"]);
    let rows = lake.rows();
    let day = |row: &Map<String, Value>, name: &str| row[name].as_i64().expect("a date");
    for row in &rows {
        assert_eq!(day(row, "flowEndMillisecondsDate") - day(row, "flowStartMillisecondsDate"), 1);
    }
    assert_eq!(rows[0]["flowStartMillisecondsTime"], "23:59:59.999");
    assert_eq!(rows[0]["flowEndMillisecondsTime"], "00:00:00.000");
    assert_eq!(rows[1]["flowDurationMilliseconds"], 90_000);
}

#[test]
fn times_long_before_and_after_ours_have_their_month() {
    let starts = [
        "0001-01-01 00:00:00.000",
        "1969-12-31 23:59:59.998",
        "1970-01-01 00:00:00.000",
        "9999-12-31 23:59:59.998",
    ];
    let lake = lake_of(starts.iter().map(|start| Flow::new().starting(start)));
    let months: Vec<_> =
        lake.list("files").iter().map(|file| file["month"].as_str().expect("a month")).collect();
    assert_eq!(months, ["0001-01", "1969-12", "1970-01", "9999-12"]);
    let clocks = ["00:00:00.000", "23:59:59.998", "00:00:00.000", "23:59:59.998"];
    assert_eq!(lake.column("flowStartMillisecondsTime"), clocks);
}

#[test]
fn numbers_keep_all_their_digits() {
    let flow = Flow::new()
        .raw("octetTotalCount", "9223372036854775807")
        .raw("packetTotalCount", "9007199254740993")
        .raw("dataByteCount", "123456789012345678");
    let row = row_of(flow);
    assert_eq!(row["octetTotalCount"], json!(9_223_372_036_854_775_807_i64));
    assert_eq!(row["packetTotalCount"], json!(9_007_199_254_740_993_i64));
    assert_eq!(row["dataByteCount"], json!(123_456_789_012_345_678_i64));
}

#[test]
fn other_spellings_of_numbers_and_times_mean_the_same() {
    let flow = Flow::new()
        .raw("packetTotalCount", "7.0")
        .raw("octetTotalCount", "9e2")
        .raw("flowDurationMilliseconds", "1.5")
        .raw("reverseFlowDeltaMilliseconds", "2e-2")
        .text("flowStartMilliseconds", "2019-07-01T10:00:00Z")
        .text("flowEndMilliseconds", "2019-07-01 10:00:01.500000");
    assert_eq!(row_of(flow), row_of(Flow::new()));
}

#[test]
fn two_flows_that_are_the_same_are_two_rows() {
    assert_eq!(lake_of([Flow::new(), Flow::new()]).rows().len(), 2);
}

#[test]
fn text_in_any_script_survives() {
    let lake =
        lake_of([Flow::new().text("flowEndReason", "größer als zwölf Bytes, „quoted“, 流れ\t\u{1f600}")]);
    assert_eq!(lake.row()["flowEndReason"], "größer als zwölf Bytes, „quoted“, 流れ\t\u{1f600}");
}
