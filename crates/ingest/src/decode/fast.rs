//! The fast decoder: a reader of exactly the spelling exporters write.
//!
//! Keys come in a fixed order, so the next one is predicted and compared as a constant instead of being looked up, and
//! the values between them are read in place. The line end is never searched for. A missing statistic is a key that does
//! not match and is passed over; everything else that differs makes [`FastDecoder::decode`] say `None`.

use polars_arrow::array::View;

use super::columns::{Interner, Judged, REQUIRED, Row, TEXT_SLOT};
use super::value::{Timestamps, hex, is_ip, is_mac, take_integer, take_text, take_thousandths, tcp_flags};
use crate::schema::{FIELDS, Kind, index};

/// Longest address as text (IPv6 with an embedded IPv4), and more than any MAC address, flag set or hex number.
const LONGEST_ADDRESS: usize = 45;
/// Longest free text; longer text is legal and goes to the full decoder.
const LONGEST_TEXT: usize = 64;

/// Reads lines; remembers the dates it saw last.
#[derive(Default)]
pub(super) struct FastDecoder {
    start: Timestamps,
    end: Timestamps,
}

/// Strips a constant from the front.
macro_rules! expect {
    ($input:ident, $constant:expr) => {{
        const CONSTANT: &[u8] = $constant.as_bytes();
        match $input.split_first_chunk::<{ CONSTANT.len() }>() {
            Some((head, rest)) if head.as_slice() == CONSTANT => {
                $input = rest;
                true
            }
            _ => false,
        }
    }};
}

/// Reads one field after its key has matched.
macro_rules! value {
    ($self:ident, $input:ident, $row:ident, $interner:ident, $name:literal, integer) => {{
        const INDEX: usize = index($name);
        const MAX: i64 = match FIELDS[INDEX].kind {
            Kind::Integer(max) => max,
            _ => panic!("not an integer"),
        };
        let (value, rest) = take_integer($input)?;
        if value > MAX {
            return None;
        }
        $row.numbers[INDEX] = value;
        $input = rest;
    }};
    ($self:ident, $input:ident, $row:ident, $interner:ident, $name:literal, thousandths) => {{
        let (value, rest) = take_thousandths($input)?;
        $row.numbers[const { index($name) }] = value;
        $input = rest;
    }};
    ($self:ident, $input:ident, $row:ident, $interner:ident, $name:literal, hex) => {{
        const INDEX: usize = index($name);
        const MAX: i64 = match FIELDS[INDEX].kind {
            Kind::Hex(max) => max,
            _ => panic!("not hexadecimal"),
        };
        let (text, rest) = take_text($input, LONGEST_ADDRESS)?;
        let value = hex(text)?;
        if value > MAX {
            return None;
        }
        $row.numbers[INDEX] = value;
        $input = rest;
    }};
    ($self:ident, $input:ident, $row:ident, $interner:ident, $name:literal, flags) => {{
        let (text, rest) = take_text($input, LONGEST_ADDRESS)?;
        $row.numbers[const { index($name) }] = tcp_flags(text)?;
        $input = rest;
    }};
    ($self:ident, $input:ident, $row:ident, $interner:ident, $name:literal, ip) => {{
        let (text, rest) = take_text($input, LONGEST_ADDRESS)?;
        $row.texts[const { TEXT_SLOT[index($name)] }] = $interner.intern(text, Judged::Ip, is_ip)?;
        $input = rest;
    }};
    ($self:ident, $input:ident, $row:ident, $interner:ident, $name:literal, mac) => {{
        let (text, rest) = take_text($input, LONGEST_ADDRESS)?;
        $row.texts[const { TEXT_SLOT[index($name)] }] = $interner.intern(text, Judged::Mac, is_mac)?;
        $input = rest;
    }};
    ($self:ident, $input:ident, $row:ident, $interner:ident, $name:literal, text) => {{
        let (text, rest) = take_text($input, LONGEST_TEXT)?;
        $row.texts[const { TEXT_SLOT[index($name)] }] = plain_text(text, $interner)?;
        $input = rest;
    }};
    ($self:ident, $input:ident, $row:ident, $interner:ident, $name:literal, start) => {{
        let (value, rest) = $self.start.take($input)?;
        $row.numbers[const { index($name) }] = value;
        $input = rest;
    }};
    ($self:ident, $input:ident, $row:ident, $interner:ident, $name:literal, end) => {{
        let (value, rest) = $self.end.take($input)?;
        $row.numbers[const { index($name) }] = value;
        $input = rest;
    }};
}

/// Text without escapes, in a view of its own when it is short.
#[inline(always)]
fn plain_text(text: &[u8], interner: &mut Interner) -> Option<View> {
    if text.iter().any(|&byte| byte < 0x20 || byte == b'\\' || byte >= 0x80) {
        return None;
    }
    if text.len() <= View::MAX_INLINE_SIZE as usize {
        Some(View::new_inline(text))
    } else {
        interner.intern(text, Judged::Text, |_| true)
    }
}

impl FastDecoder {
    /// Decodes the line at the front of `input` into `row` and gives what is behind its line end, or `None` when the line
    /// is not spelled as expected; `row` is of no meaning then.
    ///
    /// `input` must go on behind the chunk by some bytes: words are loaded whole.
    #[inline]
    pub(super) fn decode<'a>(
        &mut self,
        mut input: &'a [u8],
        row: &mut Row,
        interner: &mut Interner,
    ) -> Option<&'a [u8]> {
        let mut present = 0;
        /// A field that may be missing: its key is the prediction, another key means that it is not there.
        macro_rules! field {
            ($name:literal, $kind:ident) => {
                field!(concat!(",\"", $name, "\":"), $name, $kind)
            };
            ($name:literal, $kind:ident, quoted) => {
                field!(concat!(",\"", $name, "\":\""), $name, $kind)
            };
            ($key:expr, $name:literal, $kind:ident) => {
                if expect!(input, $key) {
                    value!(self, input, row, interner, $name, $kind);
                    present |= 1 << const { index($name) };
                }
            };
        }
        field!("{\"flows\":{\"flowStartMilliseconds\":\"", "flowStartMilliseconds", start);
        if present == 0 {
            return None;
        }
        field!("flowEndMilliseconds", end, quoted);
        field!("flowDurationMilliseconds", thousandths);
        field!("reverseFlowDeltaMilliseconds", thousandths);
        field!("protocolIdentifier", integer);
        field!("sourceIPv4Address", ip, quoted);
        field!("sourceTransportPort", integer);
        field!("packetTotalCount", integer);
        field!("octetTotalCount", integer);
        field!("flowAttributes", hex, quoted);
        field!("sourceMacAddress", mac, quoted);
        field!("destinationIPv4Address", ip, quoted);
        field!("destinationTransportPort", integer);
        field!("reversePacketTotalCount", integer);
        field!("reverseOctetTotalCount", integer);
        field!("reverseFlowAttributes", hex, quoted);
        field!("destinationMacAddress", mac, quoted);
        field!("initialTCPFlags", flags, quoted);
        field!("unionTCPFlags", flags, quoted);
        field!("reverseInitialTCPFlags", flags, quoted);
        field!("reverseUnionTCPFlags", flags, quoted);
        field!("tcpSequenceNumber", hex, quoted);
        field!("reverseTcpSequenceNumber", hex, quoted);
        field!("ingressInterface", integer);
        field!("egressInterface", integer);
        field!("vlanId", hex, quoted);
        field!("silkAppLabel", integer);
        field!("ipClassOfService", hex, quoted);
        field!("flowEndReason", text, quoted);
        field!("collectorName", text, quoted);
        field!("observationDomainId", integer);
        field!("tcpUrgTotalCount", integer);
        field!("smallPacketCount", integer);
        field!("nonEmptyPacketCount", integer);
        field!("dataByteCount", integer);
        field!("averageInterarrivalTime", integer);
        field!("firstNonEmptyPacketSize", integer);
        field!("largePacketCount", integer);
        field!("maxPacketSize", integer);
        field!("firstEightNonEmptyPacketDirections", hex, quoted);
        field!("standardDeviationPayloadLength", integer);
        field!("standardDeviationInterarrivalTime", integer);
        field!("bytesPerPacket", integer);
        field!("reverseTcpUrgTotalCount", integer);
        field!("reverseSmallPacketCount", integer);
        field!("reverseNonEmptyPacketCount", integer);
        field!("reverseDataByteCount", integer);
        field!("reverseAverageInterarrivalTime", integer);
        field!("reverseFirstNonEmptyPacketSize", integer);
        field!("reverseLargePacketCount", integer);
        field!("reverseMaxPacketSize", integer);
        field!("reverseStandardDeviationPayloadLength", integer);
        field!("reverseStandardDeviationInterarrivalTime", integer);
        field!("reverseBytesPerPacket", integer);
        if !expect!(input, "}}\n") && !expect!(input, "}}\r\n") {
            return None;
        }
        if present & REQUIRED != REQUIRED {
            return None;
        }
        row.present = present;
        Some(input)
    }
}
