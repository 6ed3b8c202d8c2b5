//! The recipe `full`: nothing is left out.

use serde_json::{Value, json};

use super::support::{DEVICE_MAC, DumpText, Flow, OTHER_MAC, World};

#[test]
fn every_flow_is_there_with_every_field_and_the_line_it_comes_from() {
    let dump = DumpText::default()
        .flow(&Flow::new().text("flowEndReason", "").text("destinationIPv4Address", "2001:0db8::0001"))
        .line("")
        .flow(&Flow::inbound().unanswered().without_statistics())
        .line("{\"dns\":{}}")
        .flow(&Flow::new().between(OTHER_MAC, OTHER_MAC))
        .flow(&Flow::new().between(DEVICE_MAC, DEVICE_MAC))
        .flow(&Flow::new())
        .trailer();
    let world = World::with_hub(&dump);
    world.build().args(["--recipe", "full"]).run().expect_code(0);
    let lake = world.lake();
    assert_eq!(lake.accounting(), json!({"read": 5, "kept": 5, "removed": {}, "rejected": 0}));
    assert_eq!(lake.column("line"), [1, 3, 5, 6, 7]);
    assert_eq!(lake.column("dump"), ["hub"; 5]);
    assert_eq!(lake.column("direction"), ["fromDevice", "toDevice", "neither", "both", "fromDevice"]);
    assert_eq!(lake.list("droppedColumns").len(), 0);

    let rows = lake.rows();
    // As written but for the repairs: hexadecimal as numbers, flags as letters.
    let expected: Value = serde_json::from_str(
        r#"{
        "deviceName": "hub", "direction": "fromDevice", "dump": "hub", "line": 1,
        "flowStartMilliseconds": 1561975200000, "flowEndMilliseconds": 1561975201500,
        "flowDurationMilliseconds": 1500, "reverseFlowDeltaMilliseconds": 20, "protocolIdentifier": 6,
        "sourceIPv4Address": "192.0.2.10", "sourceTransportPort": 50000, "packetTotalCount": 7,
        "octetTotalCount": 900, "flowAttributes": 0, "sourceMacAddress": "02:00:00:00:00:01",
        "destinationIPv4Address": "2001:db8::1", "destinationTransportPort": 443, "reversePacketTotalCount": 5,
        "reverseOctetTotalCount": 4000, "reverseFlowAttributes": 2, "destinationMacAddress": "02:00:00:00:00:fe",
        "initialTCPFlags": "S", "unionTCPFlags": "APF", "reverseInitialTCPFlags": "AS",
        "reverseUnionTCPFlags": "APF", "tcpSequenceNumber": 439041101, "reverseTcpSequenceNumber": 1295788826,
        "ingressInterface": 0, "egressInterface": 0, "vlanId": 0, "silkAppLabel": 0, "ipClassOfService": 0,
        "flowEndReason": "closed", "collectorName": "C1", "observationDomainId": 0, "tcpUrgTotalCount": 0,
        "smallPacketCount": 2, "nonEmptyPacketCount": 4, "dataByteCount": 601, "averageInterarrivalTime": 250,
        "firstNonEmptyPacketSize": 200, "largePacketCount": 1, "maxPacketSize": 230,
        "firstEightNonEmptyPacketDirections": 6, "standardDeviationPayloadLength": 70,
        "standardDeviationInterarrivalTime": 120, "bytesPerPacket": 150, "reverseTcpUrgTotalCount": 0,
        "reverseSmallPacketCount": 1, "reverseNonEmptyPacketCount": 3, "reverseDataByteCount": 3700,
        "reverseAverageInterarrivalTime": 300, "reverseFirstNonEmptyPacketSize": 1400,
        "reverseLargePacketCount": 2, "reverseMaxPacketSize": 1448, "reverseStandardDeviationPayloadLength": 400,
        "reverseStandardDeviationInterarrivalTime": 90, "reverseBytesPerPacket": 1233
    }"#,
    )
    .expect("JSON");
    assert_eq!(json!(rows[0]), expected);
    assert_eq!(expected.as_object().map(serde_json::Map::len), Some(54 + 4));
    let nulls = rows[1].values().filter(|value| value.is_null()).count();
    assert_eq!(nulls, 54 - 31, "what was not written is null");
}

#[test]
fn flows_that_are_alike_are_told_apart_by_their_line() {
    let world = World::with_hub(&DumpText::of([Flow::new(), Flow::new(), Flow::new()]));
    world.build().args(["--recipe", "full"]).run().expect_code(0);
    assert_eq!(world.lake().column("line"), [1, 2, 3]);
}
