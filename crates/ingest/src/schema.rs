//! The raw schema: the 54 fields of a `flows` record as the exporter writes them.
//!
//! One table drives the decoder, the columns of a [`RawBatch`](crate::RawBatch) and the documentation, so that they
//! cannot disagree. Names are the IPFIX information elements as super_mediator prints them; units in a name can be wrong
//! (two durations are written in seconds under a name that says milliseconds), which is why decoding stays literal here.

/// How a field is written, and with it the type of its raw column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `2019-06-25 08:36:29.747`, UTC. Column: `Datetime(ms)`.
    Timestamp,
    /// A number with decimals. Column: `Int64`, the written number in thousandths, because its unit is not known yet.
    Thousandths,
    /// An integer from 0 to the bound, both included. Column: `Int64`.
    Integer(i64),
    /// Hexadecimal text, with or without `0x`, from 0 to the bound. Column: `Int64`.
    Hex(i64),
    /// A set of TCP flags as letters of `ECUAPRSF`, `0` for none. Column: `Int64`, the bits of the TCP header.
    TcpFlags,
    /// A MAC address. Column: `String`, as written.
    Mac,
    /// An IPv4 or IPv6 address. Column: `String`, as written.
    Ip,
    /// Any text. Column: `String`.
    Text,
}

/// One field of a `flows` record.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The JSON key.
    pub name: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// Whether a flow without it is rejected.
    pub required: bool,
}

/// Largest 32-bit unsigned value.
const U32: i64 = u32::MAX as i64;
/// Largest value of a counter: what Parquet readers without unsigned 64-bit types can hold.
const COUNT: i64 = i64::MAX;
/// Largest value of a size or of milliseconds that must fit 32 bits with a sign.
const I32: i64 = i32::MAX as i64;
/// Largest value of a field that takes part in arithmetic on thousandths.
pub(crate) const MAX_THOUSANDTHS: i64 = 1 << 53;

const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: true }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, required: false }
}

/// Number of fields.
pub const FIELD_COUNT: usize = 54;

/// Every field, in the order exporters write them.
pub const FIELDS: [Field; FIELD_COUNT] = [
    required("flowStartMilliseconds", Kind::Timestamp),
    required("flowEndMilliseconds", Kind::Timestamp),
    optional("flowDurationMilliseconds", Kind::Thousandths),
    optional("reverseFlowDeltaMilliseconds", Kind::Thousandths),
    required("protocolIdentifier", Kind::Integer(255)),
    required("sourceIPv4Address", Kind::Ip),
    optional("sourceTransportPort", Kind::Integer(65_535)),
    required("packetTotalCount", Kind::Integer(COUNT)),
    required("octetTotalCount", Kind::Integer(COUNT)),
    optional("flowAttributes", Kind::Hex(65_535)),
    required("sourceMacAddress", Kind::Mac),
    required("destinationIPv4Address", Kind::Ip),
    optional("destinationTransportPort", Kind::Integer(65_535)),
    required("reversePacketTotalCount", Kind::Integer(COUNT)),
    required("reverseOctetTotalCount", Kind::Integer(COUNT)),
    optional("reverseFlowAttributes", Kind::Hex(65_535)),
    required("destinationMacAddress", Kind::Mac),
    optional("initialTCPFlags", Kind::TcpFlags),
    optional("unionTCPFlags", Kind::TcpFlags),
    optional("reverseInitialTCPFlags", Kind::TcpFlags),
    optional("reverseUnionTCPFlags", Kind::TcpFlags),
    optional("tcpSequenceNumber", Kind::Hex(U32)),
    optional("reverseTcpSequenceNumber", Kind::Hex(U32)),
    optional("ingressInterface", Kind::Integer(U32)),
    optional("egressInterface", Kind::Integer(U32)),
    optional("vlanId", Kind::Hex(65_535)),
    optional("silkAppLabel", Kind::Integer(65_535)),
    optional("ipClassOfService", Kind::Hex(255)),
    optional("flowEndReason", Kind::Text),
    optional("collectorName", Kind::Text),
    optional("observationDomainId", Kind::Integer(U32)),
    optional("tcpUrgTotalCount", Kind::Integer(COUNT)),
    optional("smallPacketCount", Kind::Integer(COUNT)),
    optional("nonEmptyPacketCount", Kind::Integer(COUNT)),
    optional("dataByteCount", Kind::Integer(COUNT)),
    optional("averageInterarrivalTime", Kind::Integer(COUNT)),
    optional("firstNonEmptyPacketSize", Kind::Integer(I32)),
    optional("largePacketCount", Kind::Integer(COUNT)),
    optional("maxPacketSize", Kind::Integer(I32)),
    optional("firstEightNonEmptyPacketDirections", Kind::Hex(255)),
    optional("standardDeviationPayloadLength", Kind::Integer(I32)),
    optional("standardDeviationInterarrivalTime", Kind::Integer(COUNT)),
    optional("bytesPerPacket", Kind::Integer(I32)),
    optional("reverseTcpUrgTotalCount", Kind::Integer(COUNT)),
    optional("reverseSmallPacketCount", Kind::Integer(COUNT)),
    optional("reverseNonEmptyPacketCount", Kind::Integer(COUNT)),
    optional("reverseDataByteCount", Kind::Integer(COUNT)),
    optional("reverseAverageInterarrivalTime", Kind::Integer(COUNT)),
    optional("reverseFirstNonEmptyPacketSize", Kind::Integer(I32)),
    optional("reverseLargePacketCount", Kind::Integer(COUNT)),
    optional("reverseMaxPacketSize", Kind::Integer(I32)),
    optional("reverseStandardDeviationPayloadLength", Kind::Integer(I32)),
    optional("reverseStandardDeviationInterarrivalTime", Kind::Integer(COUNT)),
    optional("reverseBytesPerPacket", Kind::Integer(I32)),
];

/// Column of a [`RawBatch`](crate::RawBatch) that holds the line number of each flow in its dump, from 1. `Int64`.
pub const LINE: &str = "line";

/// Letters of the TCP flags in the order exporters print them, with their bit in the TCP header.
pub const TCP_FLAG_LETTERS: [(u8, u8); 8] = [
    (b'E', 0x40),
    (b'C', 0x80),
    (b'U', 0x20),
    (b'A', 0x10),
    (b'P', 0x08),
    (b'R', 0x04),
    (b'S', 0x02),
    (b'F', 0x01),
];

/// Looks a field up by its key.
#[must_use]
pub fn field_index(name: &str) -> Option<usize> {
    FIELDS.iter().position(|field| field.name == name)
}

/// Index of a field known at compile time; a wrong name does not compile where this is a constant.
pub(crate) const fn index(name: &str) -> usize {
    let mut i = 0;
    while i < FIELD_COUNT {
        if same(FIELDS[i].name.as_bytes(), name.as_bytes()) {
            return i;
        }
        i += 1;
    }
    panic!("no such field")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

impl Kind {
    /// Whether the column holds text rather than numbers.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Kind::Mac | Kind::Ip | Kind::Text)
    }
}
