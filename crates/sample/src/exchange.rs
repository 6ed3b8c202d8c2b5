//! What the two ends of a flow sent each other, as the flow meter counts it.
//!
//! An exchange is drawn as counts and a few packet sizes, never packet by packet: every statistic (small, large,
//! first, maximum, bytes) is computed from the same sizes, so the columns of a flow agree with each other at a cost
//! that does not grow with the flow.

use crate::profiles::{Initiator, Protocol, Service, Span};
use crate::random::Stream;

/// TCP flags, one bit each.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
    pub(crate) const ECE: u8 = 0x40;
    pub(crate) const CWR: u8 = 0x80;
}
use flag::{ACK, CWR, ECE, FIN, PSH, RST, SYN};

/// The meter cuts a flow that goes on for this long.
const ACTIVE_TIMEOUT_MS: u64 = 1_800_000;
/// A longer gap would have ended the flow (the idle timeout is 300 s), so no exchange may need one.
const LONGEST_GAP_MS: u64 = 250_000;
/// Bits of `flowAttributes`.
const SAME_SIZE: u8 = 1;
const OUT_OF_SEQUENCE: u8 = 2;
const FRAGMENTS: u8 = 8;

/// Why the meter exported the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// FIN or RST was seen; the exporter leaves the field empty.
    Closed,
    Idle,
    Active,
    /// The capture ended first.
    Eof,
}

/// One direction of a flow.
#[derive(Debug, Clone, Default)]
pub(crate) struct Side {
    pub(crate) packets: u64,
    pub(crate) octets: u64,
    pub(crate) non_empty: u64,
    pub(crate) small: u64,
    pub(crate) large: u64,
    pub(crate) data: u64,
    pub(crate) first: u64,
    pub(crate) max: u64,
    pub(crate) payload_deviation: u64,
    pub(crate) attributes: u8,
    pub(crate) initial_flags: u8,
    pub(crate) union_flags: u8,
    /// Deviation of the gaps between packets, in 1/128 of their average.
    pub(crate) gap_deviation: u64,
}

/// Both directions; `forward` is the initiator's.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) forward: Side,
    pub(crate) reverse: Side,
    /// `firstEightNonEmptyPacketDirections`.
    pub(crate) directions: u8,
    pub(crate) ending: Ending,
    /// False for TCP without payload and without answer: the meter then leaves all statistics out.
    pub(crate) statistics: bool,
    duration_ms: u64,
    /// The answering end sends the last packet.
    answer_is_last: bool,
}

/// How long things took in one flow, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) duration: u64,
    /// From the first packet to the first answer.
    pub(crate) reverse_delta: u64,
    pub(crate) forward_span: u64,
    pub(crate) reverse_span: u64,
}

/// What a device's network stack always does the same way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stack {
    /// TCP time stamps: 12 more bytes in every header.
    pub(crate) timestamps: bool,
    /// Explicit congestion notification: connections open with SYN, ECE and CWR.
    pub(crate) ecn: bool,
}

impl Exchange {
    /// An exchange as the service has them; one that is `cut_short` is still going on when the capture ends.
    pub(crate) fn draw(service: &Service, stack: Stack, cut_short: bool, stream: &mut Stream) -> Self {
        let active = !cut_short && stream.chance(service.active.0);
        let answered = service.replies.is_some() && !stream.chance(service.unanswered.0);
        let mut exchange = match service.protocol {
            Protocol::Tcp if !answered => Self::tcp_unanswered(service, stack, stream),
            Protocol::Tcp if stream.chance(service.empty.0) => Self::tcp_empty(stack, stream),
            Protocol::Tcp => Self::tcp(service, stack, active, cut_short, stream),
            _ => Self::datagrams(service, active, answered, stream),
        };
        if cut_short {
            exchange.ending = Ending::Eof;
        }
        let packets = exchange.forward.packets + exchange.reverse.packets;
        exchange.duration_ms = exchange.duration_ms.clamp(1, LONGEST_GAP_MS * (packets - 1).max(1));
        exchange
    }

    /// When its packets fall, for answers that take `round_trip` milliseconds.
    pub(crate) fn timing(&self, round_trip: u64, stream: &mut Stream) -> Timing {
        let planned = match self.ending {
            Ending::Active => ACTIVE_TIMEOUT_MS - stream.spread(0, 99),
            _ => self.duration_ms + stream.spread(0, self.duration_ms / 32),
        };
        let (duration, forward_span, reverse_span) = match (self.forward.packets, self.reverse.packets) {
            (1, 0) => (0, 0, 0),
            (_, 0) => (planned, planned, 0),
            (1, 1) => (round_trip, 0, 0),
            (1, _) => (round_trip + planned, 0, planned),
            (_, 1) => (planned.max(round_trip), planned.max(round_trip), 0),
            _ if self.answer_is_last => {
                let duration = planned.max(2 * round_trip);
                (duration, duration - round_trip, duration - round_trip)
            }
            _ => {
                let duration = planned.max(2 * round_trip);
                (duration, duration, duration - 2 * round_trip)
            }
        };
        let reverse_delta = if self.reverse.packets == 0 { 0 } else { round_trip };
        Timing { duration, reverse_delta, forward_span, reverse_span }
    }

    fn datagrams(service: &Service, active: bool, answered: bool, stream: &mut Stream) -> Self {
        let over_ipv6 =
            service.group.is_some_and(|group| group.is_ipv6()) || service.protocol == Protocol::Icmpv6;
        // IP header, and 8 bytes of UDP or ICMP; IGMP has a router alert option instead.
        let header = match service.protocol {
            Protocol::Igmp => 24,
            _ if over_ipv6 => 48,
            _ => 28,
        };
        let packets = packets(service, active, stream);
        let forward = Side::of_datagrams(packets, service.payload, header, stream);
        let mut reverse = Side::default();
        if let Some(replies) = service.replies.filter(|_| answered) {
            let count =
                if active { share_of(packets, stream) } else { stream.spread(replies.low, replies.high) };
            let payload = service.reply_payload.unwrap_or(service.payload);
            reverse = Side::of_datagrams(count, payload, header, stream);
        }
        let ending = if active { Ending::Active } else { Ending::Idle };
        Self::assemble(forward, reverse, ending, span(service.duration_ms, stream), stream)
    }

    fn tcp(service: &Service, stack: Stack, active: bool, cut_short: bool, stream: &mut Stream) -> Self {
        let packets = packets(service, active, stream).max(4);
        let replies = match service.replies {
            Some(replies) if !active => stream.spread(replies.low, replies.high).max(3),
            _ => share_of(packets, stream).max(3),
        };
        let one_sided = stream.chance(service.one_sided.0).then(|| stream.one_in(2));
        let (talks, answers) = (one_sided != Some(false), one_sided != Some(true));
        let with_payload = |count: u64, any: bool, stream: &mut Stream| {
            if any { stream.between(count.div_ceil(3), count * 2 / 3) } else { 0 }
        };
        let mut forward = Side::of_segments(
            packets,
            with_payload(packets - 2, talks, stream),
            service.payload,
            stack,
            stream,
        );
        let mut reverse = Side::of_segments(
            replies,
            with_payload(replies - 2, answers, stream),
            service.reply_payload.unwrap_or(service.payload),
            stack,
            stream,
        );
        let closed = !active && !cut_short && !stream.one_in(8);
        let midway = service.initiator == Initiator::Server || (active && !stream.one_in(8));
        if midway {
            let push = if talks { PSH } else { 0 };
            (forward.initial_flags, reverse.initial_flags) = (ACK | push, ACK);
        } else {
            forward.open(SYN | if stack.ecn { ECE | CWR } else { 0 });
            reverse.open(SYN | ACK | if stack.ecn { ECE } else { 0 });
        }
        forward.union_flags = ACK | if talks { PSH } else { 0 };
        reverse.union_flags = ACK | if answers { PSH } else { 0 };
        if closed {
            forward.union_flags |= FIN;
            match stream.below(8) {
                0 => reverse.union_flags |= RST,
                1 => forward.union_flags |= RST,
                _ => reverse.union_flags |= FIN,
            }
        }
        let ending = match (active, closed) {
            (true, _) => Ending::Active,
            (false, true) => Ending::Closed,
            (false, false) => Ending::Idle,
        };
        Self::assemble(forward, reverse, ending, span(service.duration_ms, stream), stream)
    }

    /// Nobody answers: a SYN and its repetitions, a straggler of a connection long closed, or data into the void.
    fn tcp_unanswered(service: &Service, stack: Stack, stream: &mut Stream) -> Self {
        let none = Span::default();
        // Towards a port of its own choosing a server opens nothing; it only speaks into what was open before.
        let outcomes = if service.initiator == Initiator::Server { 3 } else { 10 };
        let (forward, ending, duration) = match stream.below(outcomes) {
            0 => {
                let count = stream.between(1, 5);
                let mut side = Side::of_segments(count, count, service.payload, stack, stream);
                (side.initial_flags, side.union_flags) = (ACK | PSH, if count > 1 { ACK | PSH } else { 0 });
                (side, Ending::Idle, stream.spread(200, 60_000))
            }
            1 | 2 => {
                let mut side = Side::of_segments(1, 0, none, stack, stream);
                side.initial_flags = [ACK, RST, ACK | RST, ACK | FIN][stream.below(4) as usize];
                let closed = side.initial_flags & (RST | FIN) != 0;
                (side, if closed { Ending::Closed } else { Ending::Idle }, 0)
            }
            _ => {
                let count = stream.between(1, 6);
                let mut side = Side::of_segments(count, 0, none, stack, stream);
                side.open(SYN);
                side.union_flags = if count > 1 { SYN } else { 0 };
                // The wait doubles with every repetition.
                (side, Ending::Idle, ((1 << (count - 1)) - 1) * 1_000 + stream.below(40))
            }
        };
        Self::assemble(forward, Side::default(), ending, duration, stream)
    }

    /// Both ends speak and neither says anything: a refused connection, or a connection kept alive.
    fn tcp_empty(stack: Stack, stream: &mut Stream) -> Self {
        let none = Span::default();
        if stream.one_in(2) {
            let mut forward = Side::of_segments(1, 0, none, stack, stream);
            forward.open(SYN);
            let mut reverse = Side::of_segments(1, 0, none, stack, stream);
            reverse.initial_flags = ACK | RST;
            return Self::assemble(forward, reverse, Ending::Closed, 1, stream);
        }
        let count = stream.spread(2, 30);
        let mut forward = Side::of_segments(count, 0, none, stack, stream);
        let mut reverse = Side::of_segments(count, 0, none, stack, stream);
        for side in [&mut forward, &mut reverse] {
            (side.initial_flags, side.union_flags) = (ACK, ACK);
        }
        Self::assemble(forward, reverse, Ending::Idle, 45_000 * (count - 1), stream)
    }

    fn assemble(forward: Side, reverse: Side, ending: Ending, duration_ms: u64, stream: &mut Stream) -> Self {
        Self {
            directions: directions(forward.non_empty, reverse.non_empty, stream),
            statistics: forward.non_empty > 0 || reverse.packets > 0,
            answer_is_last: stream.one_in(2),
            forward,
            reverse,
            ending,
            duration_ms,
        }
    }
}

impl Side {
    fn of_datagrams(packets: u64, payload: Span, header: u64, stream: &mut Stream) -> Self {
        let mut side = Self::sized(packets, packets, payload, stream);
        side.octets = side.data + packets * header;
        if side.max > 1_000 && stream.one_in(6) {
            side.attributes |= FRAGMENTS;
        }
        side
    }

    fn of_segments(packets: u64, non_empty: u64, payload: Span, stack: Stack, stream: &mut Stream) -> Self {
        let mut side = Self::sized(packets, non_empty, payload, stream);
        side.octets = side.data + packets * if stack.timestamps { 52 } else { 40 };
        if non_empty > 2 && stream.one_in(48) {
            side.attributes |= OUT_OF_SEQUENCE;
        }
        side
    }

    /// Marks its first packet as one that opens a connection, which is longer by its options.
    fn open(&mut self, flags: u8) {
        self.initial_flags = flags;
        self.octets += 8;
        if self.non_empty > 0 {
            self.attributes &= !SAME_SIZE;
        }
    }

    /// The payload: one first packet, then a common size and a big one.
    fn sized(packets: u64, non_empty: u64, payload: Span, stream: &mut Stream) -> Self {
        let mut side = Self { packets, non_empty, gap_deviation: stream.between(8, 160), ..Self::default() };
        let uniform = non_empty == packets || non_empty == 0;
        if non_empty == 0 {
            side.attributes = if uniform && packets > 1 { SAME_SIZE } else { 0 };
            return side;
        }
        let first = stream.spread(payload.low, payload.high);
        let common = stream.spread(payload.low, payload.high);
        let big = stream.between(common, payload.high);
        let rest = non_empty - 1;
        let bigs = stream.below(rest + 1) / 2;
        for (size, count) in [(first, 1), (common, rest - bigs), (big, bigs)] {
            if count > 0 {
                side.data += size * count;
                side.max = side.max.max(size);
                side.small += if size < 60 { count } else { 0 };
                side.large += if size > 220 { count } else { 0 };
            }
        }
        side.first = first;
        let same = (rest == bigs || common == first) && (bigs == 0 || big == first);
        if uniform && packets > 1 && same {
            side.attributes = SAME_SIZE;
        }
        // Over the first ten packets, around the mean of all of them: that is how the meter does it.
        let observed = non_empty.min(10);
        let observed_bigs = (bigs * (observed - 1)).checked_div(rest).unwrap_or(0);
        let mean = side.data as f64 / non_empty as f64;
        let square = |size: u64, count: u64| (size as f64 - mean) * (size as f64 - mean) * count as f64;
        let squares =
            square(first, 1) + square(common, observed - 1 - observed_bigs) + square(big, observed_bigs);
        side.payload_deviation = (squares / observed as f64).sqrt() as u64;
        side
    }
}

/// Packets the initiator sends.
fn packets(service: &Service, active: bool, stream: &mut Stream) -> u64 {
    let range = if active { service.active_packets } else { service.packets };
    stream.spread(range.low, range.high)
}

/// About as many packets as the other end.
fn share_of(packets: u64, stream: &mut Stream) -> u64 {
    (packets * stream.between(80, 110) / 100).max(1)
}

fn span(range: Span, stream: &mut Stream) -> u64 {
    stream.spread(range.low, range.high)
}

/// Who sent the first eight packets with payload, lowest bit first, 1 for the answering end.
fn directions(mut forward: u64, mut reverse: u64, stream: &mut Stream) -> u8 {
    let mut bits = 0;
    let mut answering = forward == 0;
    for place in 0..8 {
        if forward + reverse == 0 {
            break;
        }
        if answering {
            bits |= 1 << place;
            reverse -= 1;
        } else {
            forward -= 1;
        }
        let turn = if stream.one_in(4) { answering } else { !answering };
        answering = if turn { reverse > 0 } else { forward == 0 };
    }
    bits
}
