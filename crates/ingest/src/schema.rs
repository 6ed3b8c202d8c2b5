//! The raw schema: the 54 fields of a `flows` record as the exporter writes them.
//!
//! One table drives the decoder, the columns of a [`RawBatch`](crate::RawBatch) and the data dictionary in `docs/`, so
//! that they cannot disagree. Names are the IPFIX information elements as super_mediator prints them; units in a name can
//! be wrong (two durations are written in seconds under a name that says milliseconds), which is why decoding stays
//! literal here.

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
    /// Where its definition is.
    pub element: Element,
    /// Unit of the number as it is written.
    pub unit: Option<&'static str>,
    /// What it says, for people.
    pub description: &'static str,
}

/// Which information element a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Of the registry of IPFIX itself.
    Iana(u16),
    /// The reverse of one of these, by RFC 5103.
    IanaReverse(u16),
    /// Of the enterprise that makes the meter and the exporter, CERT.
    Cert(u16),
    /// The reverse of one of these: the same number with the bit of 16384 set.
    CertReverse(u16),
    /// None: the exporter makes it when it writes JSON.
    Exporter,
}

/// Private enterprise number under which the reverse of a registered element is, by RFC 5103.
const REVERSE_ENTERPRISE: u16 = 29_305;
/// Private enterprise number of CERT.
const CERT_ENTERPRISE: u16 = 6_871;
/// The bit that makes an element of CERT its reverse.
const CERT_REVERSE: u16 = 1 << 14;

impl std::fmt::Display for Element {
    /// `152` as in the registry, `6871/21` with the number of an enterprise.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Iana(number) => write!(formatter, "{number}"),
            Self::IanaReverse(number) => write!(formatter, "{REVERSE_ENTERPRISE}/{number}"),
            Self::Cert(number) => write!(formatter, "{CERT_ENTERPRISE}/{number}"),
            Self::CertReverse(number) => write!(formatter, "{CERT_ENTERPRISE}/{}", number | CERT_REVERSE),
            Self::Exporter => formatter.write_str("the exporter's own"),
        }
    }
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
    Field { name, kind, required: true, element: Element::Exporter, unit: None, description: "" }
}

const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { required: false, ..required(name, kind) }
}

impl Field {
    const fn element(self, element: Element) -> Self {
        Self { element, ..self }
    }

    const fn in_unit(self, unit: &'static str) -> Self {
        Self { unit: Some(unit), ..self }
    }

    const fn means(self, description: &'static str) -> Self {
        Self { description, ..self }
    }
}

/// Number of fields.
pub const FIELD_COUNT: usize = 54;

/// Every field, in the order exporters write them.
pub const FIELDS: [Field; FIELD_COUNT] = [
    required("flowStartMilliseconds", Kind::Timestamp)
        .element(Element::Iana(152))
        .means("Time of the first packet, UTC"),
    required("flowEndMilliseconds", Kind::Timestamp)
        .element(Element::Iana(153))
        .means("Time of the last packet, UTC"),
    optional("flowDurationMilliseconds", Kind::Thousandths)
        .element(Element::Iana(161))
        .in_unit("s or ms")
        .means("Last packet minus first; s by exporters of the 1.x line, ms by those of 2.x"),
    optional("reverseFlowDeltaMilliseconds", Kind::Thousandths)
        .element(Element::Cert(21))
        .in_unit("s or ms")
        .means("First packet to first reverse packet, 0 without one; same unit as the duration"),
    required("protocolIdentifier", Kind::Integer(255)).element(Element::Iana(4)).means("IP protocol number"),
    required("sourceIPv4Address", Kind::Ip)
        .element(Element::Iana(8))
        .means("Address the first packet is from; IPv6 (element 27) under the same name"),
    optional("sourceTransportPort", Kind::Integer(65_535))
        .element(Element::Iana(7))
        .means("Port the first packet is from; for ICMP the type, for ICMPv6 0"),
    required("packetTotalCount", Kind::Integer(COUNT))
        .element(Element::Iana(86))
        .in_unit("packets")
        .means("Packets"),
    required("octetTotalCount", Kind::Integer(COUNT))
        .element(Element::Iana(85))
        .in_unit("B")
        .means("Bytes with IP headers"),
    optional("flowAttributes", Kind::Hex(65_535))
        .element(Element::Cert(40))
        .means("Bits: 1 one size, 2 out of sequence, 4 MP_CAPABLE, 8 fragments, 16 partial fragments"),
    required("sourceMacAddress", Kind::Mac)
        .element(Element::Iana(56))
        .means("MAC address the first packet is from"),
    required("destinationIPv4Address", Kind::Ip)
        .element(Element::Iana(12))
        .means("Address the first packet went to; IPv6 (element 28) under the same name"),
    optional("destinationTransportPort", Kind::Integer(65_535))
        .element(Element::Iana(11))
        .means("Port the first packet went to; for ICMP the code, for ICMPv6 type × 256 + code"),
    required("reversePacketTotalCount", Kind::Integer(COUNT))
        .element(Element::IanaReverse(86))
        .in_unit("packets")
        .means("Packets, reverse direction"),
    required("reverseOctetTotalCount", Kind::Integer(COUNT))
        .element(Element::IanaReverse(85))
        .in_unit("B")
        .means("Bytes with IP headers, reverse direction"),
    optional("reverseFlowAttributes", Kind::Hex(65_535))
        .element(Element::CertReverse(40))
        .means("As `flowAttributes`, reverse direction"),
    required("destinationMacAddress", Kind::Mac)
        .element(Element::Iana(80))
        .means("MAC address the first packet went to: a router, a neighbour or a multicast group"),
    optional("initialTCPFlags", Kind::TcpFlags)
        .element(Element::Cert(14))
        .means("TCP flags of the first packet"),
    optional("unionTCPFlags", Kind::TcpFlags)
        .element(Element::Cert(15))
        .means("TCP flags of all packets but the first"),
    optional("reverseInitialTCPFlags", Kind::TcpFlags)
        .element(Element::CertReverse(14))
        .means("TCP flags of the first reverse packet"),
    optional("reverseUnionTCPFlags", Kind::TcpFlags)
        .element(Element::CertReverse(15))
        .means("TCP flags of all reverse packets but the first"),
    optional("tcpSequenceNumber", Kind::Hex(U32))
        .element(Element::Iana(184))
        .means("TCP sequence number of the first packet; 0 for all but TCP"),
    optional("reverseTcpSequenceNumber", Kind::Hex(U32))
        .element(Element::IanaReverse(184))
        .means("TCP sequence number of the first reverse packet; 0 for all but TCP"),
    optional("ingressInterface", Kind::Integer(U32))
        .element(Element::Iana(10))
        .means("Interface packets came in by"),
    optional("egressInterface", Kind::Integer(U32))
        .element(Element::Iana(14))
        .means("Interface packets left by"),
    optional("vlanId", Kind::Hex(65_535)).element(Element::Iana(58)).means("VLAN tag of the first packet"),
    optional("silkAppLabel", Kind::Integer(65_535))
        .element(Element::Cert(33))
        .means("Application as its usual port; 0 for none, or where labelling is off"),
    optional("ipClassOfService", Kind::Hex(255))
        .element(Element::Iana(5))
        .means("Type of service (IPv4) or traffic class (IPv6) of the first packet"),
    optional("flowEndReason", Kind::Text)
        .element(Element::Iana(136))
        .means("Why it ended: `idle`, `active`, `eof`, `rsrc`, `force`; empty: closed (FIN or RST)"),
    optional("collectorName", Kind::Text)
        .element(Element::Exporter)
        .means("Name of the collector the flow came through"),
    optional("observationDomainId", Kind::Integer(U32))
        .element(Element::Iana(149))
        .means("Observation domain of the meter"),
    optional("tcpUrgTotalCount", Kind::Integer(COUNT))
        .element(Element::Iana(223))
        .in_unit("packets")
        .means("TCP packets with the flag URG"),
    optional("smallPacketCount", Kind::Integer(COUNT))
        .element(Element::Cert(500))
        .in_unit("packets")
        .means("Packets with less than 60 B of payload"),
    optional("nonEmptyPacketCount", Kind::Integer(COUNT))
        .element(Element::Cert(501))
        .in_unit("packets")
        .means("Packets with payload"),
    optional("dataByteCount", Kind::Integer(COUNT))
        .element(Element::Cert(502))
        .in_unit("B")
        .means("Bytes of payload"),
    optional("averageInterarrivalTime", Kind::Integer(COUNT))
        .element(Element::Cert(503))
        .in_unit("ms")
        .means("Mean time between packets"),
    optional("firstNonEmptyPacketSize", Kind::Integer(I32))
        .element(Element::Cert(505))
        .in_unit("B")
        .means("Payload of the first packet that has one"),
    optional("largePacketCount", Kind::Integer(COUNT))
        .element(Element::Cert(510))
        .in_unit("packets")
        .means("Packets with more than 220 B of payload (225 B in later exporters)"),
    optional("maxPacketSize", Kind::Integer(I32))
        .element(Element::Cert(506))
        .in_unit("B")
        .means("Largest payload of a packet"),
    optional("firstEightNonEmptyPacketDirections", Kind::Hex(255))
        .element(Element::Cert(507))
        .means("First 8 packets with payload, lowest bit first: 0 forward, 1 reverse"),
    optional("standardDeviationPayloadLength", Kind::Integer(I32))
        .element(Element::Cert(508))
        .in_unit("B")
        .means("Spread of the first 10 around the mean of all packets: no true standard deviation"),
    optional("standardDeviationInterarrivalTime", Kind::Integer(COUNT))
        .element(Element::Cert(504))
        .in_unit("ms")
        .means("Spread of the first 10 times around the mean of all: no true standard deviation"),
    optional("bytesPerPacket", Kind::Integer(I32))
        .element(Element::Exporter)
        .in_unit("B")
        .means("Payload per packet with payload, rounded down; missing where none has any"),
    optional("reverseTcpUrgTotalCount", Kind::Integer(COUNT))
        .element(Element::IanaReverse(223))
        .in_unit("packets")
        .means("TCP packets with the flag URG, reverse direction"),
    optional("reverseSmallPacketCount", Kind::Integer(COUNT))
        .element(Element::CertReverse(500))
        .in_unit("packets")
        .means("Packets with less than 60 B of payload, reverse direction"),
    optional("reverseNonEmptyPacketCount", Kind::Integer(COUNT))
        .element(Element::CertReverse(501))
        .in_unit("packets")
        .means("Packets with payload, reverse direction"),
    optional("reverseDataByteCount", Kind::Integer(COUNT))
        .element(Element::CertReverse(502))
        .in_unit("B")
        .means("Bytes of payload, reverse direction"),
    optional("reverseAverageInterarrivalTime", Kind::Integer(COUNT))
        .element(Element::CertReverse(503))
        .in_unit("ms")
        .means("Mean time between packets, reverse direction"),
    optional("reverseFirstNonEmptyPacketSize", Kind::Integer(I32))
        .element(Element::CertReverse(505))
        .in_unit("B")
        .means("Payload of the first packet that has one, reverse direction"),
    optional("reverseLargePacketCount", Kind::Integer(COUNT))
        .element(Element::CertReverse(510))
        .in_unit("packets")
        .means("Packets with more than 220 B of payload (225 B in later exporters), reverse direction"),
    optional("reverseMaxPacketSize", Kind::Integer(I32))
        .element(Element::CertReverse(506))
        .in_unit("B")
        .means("Largest payload of a packet, reverse direction"),
    optional("reverseStandardDeviationPayloadLength", Kind::Integer(I32))
        .element(Element::CertReverse(508))
        .in_unit("B")
        .means("As `standardDeviationPayloadLength`, reverse direction"),
    optional("reverseStandardDeviationInterarrivalTime", Kind::Integer(COUNT))
        .element(Element::CertReverse(504))
        .in_unit("ms")
        .means("As `standardDeviationInterarrivalTime`, reverse direction"),
    optional("reverseBytesPerPacket", Kind::Integer(I32)).element(Element::Exporter).in_unit("B").means(
        "Payload per packet with payload, rounded down, reverse direction; missing where none has any",
    ),
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
