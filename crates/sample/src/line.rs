//! How the exporter spells a flow: one line of JSON, keys in its order, times as text, seconds with three decimals.
//!
//! Written by hand into one reused buffer. A dump has millions of lines of which nine tenths are the same text, so
//! copying whole stretches of it is what makes the generator as fast as what it is meant to measure.

use crate::clock::TimeStamps;
use crate::device::Flow;
use crate::exchange::{Ending, Exchange, Side, flag};

/// The lines of a dump, until they are taken away.
#[derive(Default)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    stamps: TimeStamps,
}

/// What the trailer of a dump reports.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) flows: u64,
    pub(crate) device_initiated: u64,
    /// Packets of both directions.
    pub(crate) packets: u64,
}

impl Lines {
    /// Everything written since the last [`Lines::clear`].
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the bytes and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Appends a `flows` line.
    pub(crate) fn flow(&mut self, flow: &Flow<'_>) {
        let Exchange { forward, reverse, .. } = flow.exchange;
        let timing = flow.timing;
        self.text("{\"flows\":{\"flowStartMilliseconds\":\"");
        self.stamps.write(flow.start, &mut self.bytes);
        self.text("\",\"flowEndMilliseconds\":\"");
        self.stamps.write(flow.start + timing.duration as i64, &mut self.bytes);
        self.text("\",\"flowDurationMilliseconds\":");
        self.seconds(timing.duration);
        self.text(",\"reverseFlowDeltaMilliseconds\":");
        self.seconds(timing.reverse_delta);
        self.text(",\"protocolIdentifier\":");
        self.number(flow.protocol.into());
        self.text(",\"sourceIPv4Address\":\"");
        self.text(&flow.source.ip);
        self.text("\",\"sourceTransportPort\":");
        self.number(flow.source_port.into());
        self.text(",\"packetTotalCount\":");
        self.number(forward.packets);
        self.text(",\"octetTotalCount\":");
        self.number(forward.octets);
        self.text(",\"flowAttributes\":\"");
        self.hex_byte(forward.attributes);
        self.text("\",\"sourceMacAddress\":\"");
        self.text(&flow.source.mac);
        self.text("\",\"destinationIPv4Address\":\"");
        self.text(&flow.destination.ip);
        self.text("\",\"destinationTransportPort\":");
        self.number(flow.destination_port.into());
        self.text(",\"reversePacketTotalCount\":");
        self.number(reverse.packets);
        self.text(",\"reverseOctetTotalCount\":");
        self.number(reverse.octets);
        self.text(",\"reverseFlowAttributes\":\"");
        self.hex_byte(reverse.attributes);
        self.text("\",\"destinationMacAddress\":\"");
        self.text(&flow.destination.mac);
        self.text("\",\"initialTCPFlags\":\"");
        self.flags(forward.initial_flags);
        self.text("\",\"unionTCPFlags\":\"");
        self.flags(forward.union_flags);
        self.text("\",\"reverseInitialTCPFlags\":\"");
        self.flags(reverse.initial_flags);
        self.text("\",\"reverseUnionTCPFlags\":\"");
        self.flags(reverse.union_flags);
        self.text("\",\"tcpSequenceNumber\":\"0x");
        flow.sequence[0].to_be_bytes().iter().for_each(|byte| self.hex_byte(*byte));
        self.text("\",\"reverseTcpSequenceNumber\":\"0x");
        flow.sequence[1].to_be_bytes().iter().for_each(|byte| self.hex_byte(*byte));
        self.text("\",\"ingressInterface\":0,\"egressInterface\":0,\"vlanId\":\"0x000\",\"silkAppLabel\":0,\"ipClassOfService\":\"0x");
        self.hex_byte(flow.class_of_service);
        self.text("\",\"flowEndReason\":\"");
        self.text(match flow.exchange.ending {
            Ending::Closed => "",
            Ending::Idle => "idle",
            Ending::Active => "active",
            Ending::Eof => "eof",
        });
        self.text("\",\"collectorName\":\"C1\",\"observationDomainId\":0");
        if flow.exchange.statistics {
            self.forward_statistics(forward, timing.forward_span, flow.exchange.directions);
        }
        if reverse.packets > 0 {
            self.reverse_statistics(reverse, timing.reverse_span);
        }
        self.text("}}\n");
    }

    fn forward_statistics(&mut self, side: &Side, span: u64, directions: u8) {
        let (gap, gap_deviation) = gaps(side, span);
        self.text(",\"tcpUrgTotalCount\":0,\"smallPacketCount\":");
        self.number(side.small);
        self.text(",\"nonEmptyPacketCount\":");
        self.number(side.non_empty);
        self.text(",\"dataByteCount\":");
        self.number(side.data);
        self.text(",\"averageInterarrivalTime\":");
        self.number(gap);
        self.text(",\"firstNonEmptyPacketSize\":");
        self.number(side.first);
        self.text(",\"largePacketCount\":");
        self.number(side.large);
        self.text(",\"maxPacketSize\":");
        self.number(side.max);
        self.text(",\"firstEightNonEmptyPacketDirections\":\"");
        self.hex_byte(directions);
        self.text("\",\"standardDeviationPayloadLength\":");
        self.number(side.payload_deviation);
        self.text(",\"standardDeviationInterarrivalTime\":");
        self.number(gap_deviation);
        if let Some(mean) = side.data.checked_div(side.non_empty) {
            self.text(",\"bytesPerPacket\":");
            self.number(mean);
        }
    }

    fn reverse_statistics(&mut self, side: &Side, span: u64) {
        let (gap, gap_deviation) = gaps(side, span);
        self.text(",\"reverseTcpUrgTotalCount\":0,\"reverseSmallPacketCount\":");
        self.number(side.small);
        self.text(",\"reverseNonEmptyPacketCount\":");
        self.number(side.non_empty);
        self.text(",\"reverseDataByteCount\":");
        self.number(side.data);
        self.text(",\"reverseAverageInterarrivalTime\":");
        self.number(gap);
        self.text(",\"reverseFirstNonEmptyPacketSize\":");
        self.number(side.first);
        self.text(",\"reverseLargePacketCount\":");
        self.number(side.large);
        self.text(",\"reverseMaxPacketSize\":");
        self.number(side.max);
        self.text(",\"reverseStandardDeviationPayloadLength\":");
        self.number(side.payload_deviation);
        self.text(",\"reverseStandardDeviationInterarrivalTime\":");
        self.number(gap_deviation);
        if let Some(mean) = side.data.checked_div(side.non_empty) {
            self.text(",\"reverseBytesPerPacket\":");
            self.number(mean);
        }
    }

    /// Appends the trailer: the exporter's statistics, then its tombstone. `closed` is the capture's end in
    /// seconds; the real trailers hold the day of the conversion, and a sample has no clock.
    pub(crate) fn trailer(&mut self, totals: Totals, closed: i64) {
        let Totals { flows, packets, .. } = totals;
        let (rate, packet_rate) = (flows.min(400), packets.min(50_000));
        let trailer = format!(
            "{{\"stats\":{{\"exportedFlowTotalCount\":{flows},\"packetTotalCount\":{packets},\
             \"droppedPacketTotalCount\":0,\"ignoredPacketTotalCount\":0,\"expiredFragmentCount\":0,\
             \"assembledFragmentCount\":0,\"flowTableFlushEvents\":{flows},\"flowTablePeakCount\":32,\
             \"exporterIPv4Address\":\"127.0.0.1\",\"exportingProcessId\":1,\"meanFlowRate\":{rate},\
             \"meanPacketRate\":{packet_rate},\"observationDomainId\":0,\"exporterName\":\"C1\"}}}}\n\
             {{\"tombstone\":{{\"observationDomainId\":0,\"exportingProcessId\":1,\"exporterConfiguredId\":0,\
             \"tombstoneId\":0,\"observationTimeSeconds\":{closed},\"tombstoneAccessList\":[\
             {{\"tombstoneAccessEntry\":{{\"certToolId\":1,\"observationTimeSeconds\":{closed}}}}},\
             {{\"tombstoneAccessEntry\":{{\"certToolId\":2,\"observationTimeSeconds\":{closed}}}}}]}}}}\n"
        );
        self.text(&trailer);
    }

    fn text(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, value: u64) {
        self.bytes.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Milliseconds, as seconds with three decimals.
    fn seconds(&mut self, millis: u64) {
        self.number(millis / 1_000);
        let digit = |value: u64| b'0' + (value % 10) as u8;
        self.bytes.extend_from_slice(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis)]);
    }

    fn hex_byte(&mut self, byte: u8) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.bytes.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }

    /// The letters of the set flags in the exporter's order, `0` for none.
    fn flags(&mut self, flags: u8) {
        const LETTERS: [(u8, u8); 7] = [
            (flag::ECE, b'E'),
            (flag::CWR, b'C'),
            (flag::ACK, b'A'),
            (flag::PSH, b'P'),
            (flag::RST, b'R'),
            (flag::SYN, b'S'),
            (flag::FIN, b'F'),
        ];
        if flags == 0 {
            self.bytes.push(b'0');
        }
        self.bytes.extend(LETTERS.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, letter)| *letter));
    }
}

impl Totals {
    /// Counts a flow in.
    pub(crate) fn add(&mut self, flow: &Flow<'_>) {
        self.flows += 1;
        self.device_initiated += u64::from(flow.device_initiated);
        self.packets += flow.exchange.forward.packets + flow.exchange.reverse.packets;
    }
}

/// Average gap between the packets of one direction, and its deviation.
fn gaps(side: &Side, span: u64) -> (u64, u64) {
    let average = span.checked_div(side.packets - 1).unwrap_or(0);
    let deviation = if side.packets > 2 { average * side.gap_deviation / 128 } else { 0 };
    (average, deviation)
}
