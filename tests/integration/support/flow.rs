//! Flows and dumps, line by line, in the spelling of the exporter (super_mediator 1.x).

/// MAC address of the device of every fixture.
pub(crate) const DEVICE_MAC: &str = "02:00:00:00:00:01";
/// MAC address of the other end.
pub(crate) const ROUTER_MAC: &str = "02:00:00:00:00:fe";
/// MAC address of somebody else.
pub(crate) const OTHER_MAC: &str = "02:00:00:00:00:77";

/// All 54 keys in the exporter's order, with the values of an everyday HTTPS flow from the device.
const EVERYDAY: [(&str, &str); 54] = [
    ("flowStartMilliseconds", "\"2019-07-01 10:00:00.000\""),
    ("flowEndMilliseconds", "\"2019-07-01 10:00:01.500\""),
    ("flowDurationMilliseconds", "1.500"),
    ("reverseFlowDeltaMilliseconds", "0.020"),
    ("protocolIdentifier", "6"),
    ("sourceIPv4Address", "\"192.0.2.10\""),
    ("sourceTransportPort", "50000"),
    ("packetTotalCount", "7"),
    ("octetTotalCount", "900"),
    ("flowAttributes", "\"00\""),
    ("sourceMacAddress", "\"02:00:00:00:00:01:\""),
    ("destinationIPv4Address", "\"198.51.100.7\""),
    ("destinationTransportPort", "443"),
    ("reversePacketTotalCount", "5"),
    ("reverseOctetTotalCount", "4000"),
    ("reverseFlowAttributes", "\"02\""),
    ("destinationMacAddress", "\"02:00:00:00:00:fe:\""),
    ("initialTCPFlags", "\"S\""),
    ("unionTCPFlags", "\"APF\""),
    ("reverseInitialTCPFlags", "\"AS\""),
    ("reverseUnionTCPFlags", "\"APF\""),
    ("tcpSequenceNumber", "\"0x1a2b3c4d\""),
    ("reverseTcpSequenceNumber", "\"0x4d3c2b1a\""),
    ("ingressInterface", "0"),
    ("egressInterface", "0"),
    ("vlanId", "\"0x000\""),
    ("silkAppLabel", "0"),
    ("ipClassOfService", "\"0x00\""),
    ("flowEndReason", "\"idle\""),
    ("collectorName", "\"C1\""),
    ("observationDomainId", "0"),
    ("tcpUrgTotalCount", "0"),
    ("smallPacketCount", "2"),
    ("nonEmptyPacketCount", "4"),
    ("dataByteCount", "601"),
    ("averageInterarrivalTime", "250"),
    ("firstNonEmptyPacketSize", "200"),
    ("largePacketCount", "1"),
    ("maxPacketSize", "230"),
    ("firstEightNonEmptyPacketDirections", "\"06\""),
    ("standardDeviationPayloadLength", "70"),
    ("standardDeviationInterarrivalTime", "120"),
    ("bytesPerPacket", "150"),
    ("reverseTcpUrgTotalCount", "0"),
    ("reverseSmallPacketCount", "1"),
    ("reverseNonEmptyPacketCount", "3"),
    ("reverseDataByteCount", "3700"),
    ("reverseAverageInterarrivalTime", "300"),
    ("reverseFirstNonEmptyPacketSize", "1400"),
    ("reverseLargePacketCount", "2"),
    ("reverseMaxPacketSize", "1448"),
    ("reverseStandardDeviationPayloadLength", "400"),
    ("reverseStandardDeviationInterarrivalTime", "90"),
    ("reverseBytesPerPacket", "1233"),
];

/// Keys of which an exporter without payload statistics writes none.
const STATISTICS: [&str; 12] = [
    "tcpUrgTotalCount",
    "smallPacketCount",
    "nonEmptyPacketCount",
    "dataByteCount",
    "averageInterarrivalTime",
    "firstNonEmptyPacketSize",
    "largePacketCount",
    "maxPacketSize",
    "firstEightNonEmptyPacketDirections",
    "standardDeviationPayloadLength",
    "standardDeviationInterarrivalTime",
    "bytesPerPacket",
];

/// A `flows` record: keys in order, each with its value as JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    fields: Vec<(String, String)>,
}

impl Flow {
    /// An everyday HTTPS flow from the device, with all 54 keys.
    pub(crate) fn new() -> Self {
        let fields = EVERYDAY.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { fields }
    }

    /// The same, but from port 50000 + `number`, so that rows can be told apart.
    pub(crate) fn numbered(number: u64) -> Self {
        Self::new()
            .number("sourceTransportPort", 50_000 + number % 10_000)
            .number("octetTotalCount", 900 + number)
    }

    /// A flow that the other end started.
    pub(crate) fn inbound() -> Self {
        Self::new().between(ROUTER_MAC, DEVICE_MAC)
    }

    /// A flow between two ends, MAC addresses written as the exporter does.
    pub(crate) fn between(self, source: &str, destination: &str) -> Self {
        self.text("sourceMacAddress", &format!("{source}:"))
            .text("destinationMacAddress", &format!("{destination}:"))
    }

    /// From `start` to `end`, with the duration in seconds between them, given in milliseconds.
    pub(crate) fn times(self, start: &str, end: &str, duration_millis: u64) -> Self {
        let duration = format!("{}.{:03}", duration_millis / 1000, duration_millis % 1000);
        self.text("flowStartMilliseconds", start)
            .text("flowEndMilliseconds", end)
            .raw("flowDurationMilliseconds", &duration)
    }

    /// A flow of `duration_millis` = 1 ms that starts at `start`, which ends in `.mmm` below 999.
    pub(crate) fn starting(self, start: &str) -> Self {
        let (head, millis) = start.split_at(start.len() - 3);
        let end = format!("{head}{:03}", millis.parse::<u64>().expect("milliseconds") + 1);
        self.times(start, &end, 1).raw("reverseFlowDeltaMilliseconds", "0.000")
    }

    /// Sets a key to a JSON text as it stands; a new key goes to the end.
    pub(crate) fn raw(mut self, key: &str, json: &str) -> Self {
        match self.fields.iter_mut().find(|(known, _)| known == key) {
            Some((_, value)) => json.clone_into(value),
            None => self.fields.push((key.to_owned(), json.to_owned())),
        }
        self
    }

    /// Sets a key to a string.
    pub(crate) fn text(self, key: &str, text: &str) -> Self {
        let json = serde_json::to_string(text).expect("a string");
        self.raw(key, &json)
    }

    /// Sets a key to an integer.
    pub(crate) fn number(self, key: &str, number: u64) -> Self {
        self.raw(key, &number.to_string())
    }

    /// Takes a key away.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.fields.retain(|(known, _)| known != key);
        self
    }

    /// Without an answer: reverse counters 0 and no reverse statistics (43 keys).
    pub(crate) fn unanswered(mut self) -> Self {
        self.fields.retain(|(key, _)| {
            !STATISTICS.iter().any(|statistic| key.eq_ignore_ascii_case(&format!("reverse{statistic}")))
        });
        self.number("reversePacketTotalCount", 0)
            .number("reverseOctetTotalCount", 0)
            .raw("reverseFlowDeltaMilliseconds", "0.000")
            .text("reverseFlowAttributes", "00")
            .text("reverseInitialTCPFlags", "0")
            .text("reverseUnionTCPFlags", "0")
            .text("reverseTcpSequenceNumber", "0x00000000")
    }

    /// Without any statistics (31 keys when it was unanswered).
    pub(crate) fn without_statistics(mut self) -> Self {
        self.fields.retain(|(key, _)| !STATISTICS.contains(&key.as_str()));
        self
    }

    /// Number of keys.
    pub(crate) fn keys(&self) -> usize {
        self.fields.len()
    }

    /// Keys and their values as JSON text.
    pub(crate) fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// The value of a key as JSON text.
    fn value(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Packets of both directions, as the trailer counts them.
    pub(crate) fn packets(&self) -> u64 {
        let count = |key| self.value(key).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
        count("packetTotalCount") + count("reversePacketTotalCount")
    }

    /// The line, without its end.
    pub(crate) fn line(&self) -> String {
        let fields: Vec<String> =
            self.fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{\"flows\":{{{}}}}}", fields.join(","))
    }
}

/// The text of a dump, with the control totals an exporter would keep.
#[derive(Debug, Clone, Default)]
pub(crate) struct DumpText {
    bytes: Vec<u8>,
    flows: u64,
    packets: u64,
}

impl DumpText {
    /// Flows and a trailer with their totals.
    pub(crate) fn of(flows: impl IntoIterator<Item = Flow>) -> Self {
        flows.into_iter().fold(Self::default(), |dump, flow| dump.flow(&flow)).trailer()
    }

    /// Appends a flow.
    pub(crate) fn flow(self, flow: &Flow) -> Self {
        self.spelled(flow, flow.line())
    }

    /// Appends a flow in another spelling than its own, damaged or not: the exporter's totals count it all the same.
    pub(crate) fn spelled(mut self, flow: &Flow, line: impl AsRef<[u8]>) -> Self {
        self.flows += 1;
        self.packets += flow.packets();
        self.line(line)
    }

    /// Appends a line that the exporter's totals do not count.
    pub(crate) fn line(mut self, line: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(line.as_ref());
        self.bytes.push(b'\n');
        self
    }

    /// Appends what exporters write at the end: a `stats` line with the totals, and a tombstone.
    pub(crate) fn trailer(self) -> Self {
        let (flows, packets) = (self.flows, self.packets);
        self.stats(flows, packets).line(
            "{\"tombstone\":{\"observationDomainId\":0,\"exportingProcessId\":1,\"exporterConfiguredId\":0,\
             \"tombstoneId\":0,\"observationTimeSeconds\":1562000000,\"tombstoneAccessList\":[\
             {\"tombstoneAccessEntry\":{\"certToolId\":1,\"observationTimeSeconds\":1562000000}}]}}",
        )
    }

    /// Appends a `stats` line with these totals.
    pub(crate) fn stats(self, flows: u64, packets: u64) -> Self {
        self.line(format!(
            "{{\"stats\":{{\"exportedFlowTotalCount\":{flows},\"packetTotalCount\":{packets},\
             \"droppedPacketTotalCount\":0,\"ignoredPacketTotalCount\":0,\"exporterName\":\"C1\"}}}}"
        ))
    }

    /// The bytes so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Offset at which the next line will begin.
    pub(crate) fn offset(&self) -> usize {
        self.bytes.len()
    }

    /// Flows appended so far.
    pub(crate) fn flow_count(&self) -> u64 {
        self.flows
    }

    /// Packets of the flows appended so far.
    pub(crate) fn packet_count(&self) -> u64 {
        self.packets
    }
}
