"""Writes dumps in which everything that devices hardly ever do happens all the time; all of it is made up.

Equal flows side by side and megabytes apart, the same flow in two dumps, flows that differ in one field that hardly a
product has, fields that are missing one by one, flags out of order, IPv6 beside IPv4, counts around thresholds, flows
that end in another month or year than they began in, lines that are no flows. The generator is seeded: the dumps are
the same on every machine.
"""

from __future__ import annotations

import gzip
import json
import random
from datetime import datetime, timedelta
from pathlib import Path

# A flow as it will be written: each value is JSON text, so that 1.500 stays 1.500.
Written = dict[str, str]

_LAMP, _HUB, _ROUTER, _OTHER = (f"02:00:00:00:00:{last}" for last in ("0a", "0b", "fe", "77"))

# Name, class, MAC address, archive, how it is packed, number of flows. More flows than fit one chunk of the reader.
_DEVICES = [
    ("lamp", "lightBulb", _LAMP, "a-lamp!", ".json", 600),
    ("hub", "iotGatewayHub", _HUB, "b_hub", ".json.gz", 9_000),
]

_CATALOGUE = """\
[dataset]
name = "awkward"
title = "Flows that are hardly ever seen"
licence = "CC0-1.0"
citation = "Nobody"
url = "https://example.org/awkward"

[limits]
max_rejected_share = 0.5
"""

# Starts near the ends of days, months and years, where a time is easily put into the wrong one.
_STARTS = [
    datetime(2019, 6, 25, 12, 34, 56, 789_000),
    datetime(2019, 6, 30, 23, 59, 59, 999_000),
    datetime(2019, 7, 1),
    datetime(2019, 12, 31, 23, 59, 59, 1_000),
    datetime(2020, 1, 1),
    datetime(2020, 2, 29, 9, 8, 7, 6_000),
]
_LENGTHS = [0, 1, 2, 60, 999, 1_000, 1_500, 61_001, 1_799_999, 3_600_000]
_COUNTS = [0, 1, 2, 59, 1_448, 70_000, 2**31, 2**53 + 1]
_PACKETS = [1, 2, 7, 60, 199_999, 200_000, 200_001, 2**40]
_FLAGS = ["0", "", "S", "AS", "SA", "FRPA", "APF", "ECUAPRSF", "U", "F", "RPSA", "E", "C"]
_REASONS = ["", "", "idle", "idle", "active", "eof", "rsrc", "force", "somethingElse"]
_ADDRESSES = [
    ("192.0.2.10", "198.51.100.7"),
    ("0.0.0.0", "255.255.255.255"),
    ("127.255.255.255", "128.0.0.0"),
    ("::", "255.255.255.255"),
    ("192.0.2.10", "::"),
    ("::", "ff02::0016"),
    ("fe80::00a0:0001", "ff02::00fb"),
    ("2001:db8:0:0:1:0:0:1", "2001:DB8:0:1::"),
    ("::ffff:c000:0201", "2001:db8::1"),
    ("fe80::01", "192.0.2.1"),
    ("192.0.2.1", "2001:0db8::0001"),
]
_PORTS = {6: [(50_000, 443), (1, 65_535)], 17: [(5_353, 5_353), (0, 53)], 1: [(8, 0), (3, 3)], 58: [(0, 34_304)]}

_ALWAYS_WRITTEN = [
    "flowDurationMilliseconds",
    "reverseFlowDeltaMilliseconds",
    "sourceTransportPort",
    "destinationTransportPort",
    "flowAttributes",
    "reverseFlowAttributes",
    "initialTCPFlags",
    "unionTCPFlags",
    "reverseInitialTCPFlags",
    "reverseUnionTCPFlags",
    "tcpSequenceNumber",
    "vlanId",
    "ipClassOfService",
    "flowEndReason",
    "collectorName",
    "observationDomainId",
]
_REQUIRED = ["flowStartMilliseconds", "sourceMacAddress", "packetTotalCount", "destinationIPv4Address"]
_UNPUBLISHED = {
    "vlanId": '"0x00a"',
    "tcpSequenceNumber": '"0xffffffff"',
    "collectorName": '"C2"',
    "silkAppLabel": "443",
    "tcpUrgTotalCount": "3",
}
_NO_FLOWS = [
    "no JSON",
    '{"flows":{}}',
    '{"flows":{"flowStartMilliseconds":"2019-07-01 00:00:00.000"',
    '{"tombstone":{"exporterId":1}}',
    '{"dns":{"a":[1]}}',
    '{"stats":{"exportedFlowTotalCount":1,"packetTotalCount":1}}',
]


def write(directory: Path) -> Path:
    """Writes the dumps of all devices, and gives their catalogue."""
    entries = [_CATALOGUE]
    shared: list[Written] = []
    for name, device_class, mac, archive, ending, count in _DEVICES:
        entries.append(f'[[device]]\nname = "{name}"\nclass = "{device_class}"\nmac = "{mac}"\narchive = "{archive}"\n')
        text = _dump(random.Random(archive), mac, count, shared).encode()
        packed = gzip.compress(text, compresslevel=1, mtime=0) if ending == ".json.gz" else text
        (directory / f"{archive}{ending}").write_bytes(packed)
    catalogue = directory / "catalogue.toml"
    catalogue.write_text("\n".join(entries))
    return catalogue


def _dump(chance: random.Random, mac: str, count: int, shared: list[Written]) -> str:
    """The text of a dump. It begins with the flows `shared` with the dump before it, and leaves some for the next."""
    flows = list(shared)
    lines = [_line(flow) for flow in shared]
    while len(flows) < count:
        kind = chance.random()
        if kind < 0.04:
            flow = flows[-1] if flows and chance.random() < 0.5 else chance.choice(flows or [_flow(chance, mac)])
        elif kind < 0.06:
            flow = _respelt(chance, chance.choice(flows or [_flow(chance, mac)]))
        elif kind < 0.07:
            flow = _readdressed(chance.choice(flows or [_flow(chance, mac)]))
        elif kind < 0.09:
            name = chance.choice(list(_UNPUBLISHED))
            flow = chance.choice(flows or [_flow(chance, mac)]) | {name: _UNPUBLISHED[name]}
        else:
            flow = _flow(chance, mac)
        if kind > 0.99:
            lines.append(chance.choice(_NO_FLOWS))
        if kind > 0.995:
            lines.append(_line(_without(flow, [chance.choice(_REQUIRED)])))
        flows.append(flow)
        lines.append(_line(flow))
    shared[:] = flows[:40]
    packets = sum(int(flow["packetTotalCount"]) + int(flow["reversePacketTotalCount"]) for flow in flows)
    lines.append(f'{{"stats":{{"exportedFlowTotalCount":{len(flows)},"packetTotalCount":{packets}}}}}')
    # Blank lines count where lines are numbered, and nowhere else.
    return "".join(line + chance.choices(["\n", "\r\n", "\n\n"], [50, 1, 1])[0] for line in lines)


def _line(flow: Written) -> str:
    return '{"flows":{' + ",".join(f'"{name}":{value}' for name, value in flow.items()) + "}}"


def _without(flow: Written, names: list[str]) -> Written:
    return {name: value for name, value in flow.items() if name not in names}


def _respelt(chance: random.Random, flow: Written) -> Written:
    """The same flow in other words: keys and flags in another order, and null for what is missing."""
    names = list(flow)
    chance.shuffle(names)
    missing = [name for name in ("bytesPerPacket", *_ALWAYS_WRITTEN) if name not in flow]
    other = {name: flow[name] for name in names} | dict.fromkeys(missing, "null")
    for name in names:
        if name.endswith("TCPFlags"):
            other[name] = f'"{json.loads(flow[name])[::-1]}"'
        elif name.endswith("SequenceNumber"):
            other[name] = flow[name].upper().replace("0X", "0x")
    if "sourceTransportPort" in flow:
        other["sourceTransportPort"] = flow["sourceTransportPort"] + ".0"
    return other


def _readdressed(flow: Written) -> Written:
    """The same flow with an address in another spelling: as it stands in the dump, that is another flow."""
    return flow | {"sourceMacAddress": flow["sourceMacAddress"].swapcase()}


def _flow(chance: random.Random, mac: str) -> Written:
    protocol = chance.choice([6, 6, 6, 17, 17, 1, 58, 2])
    source_port, destination_port = chance.choice(_PORTS.get(protocol, [(0, 0)]))
    source, destination = chance.choice(_ADDRESSES[:1] * 6 + _ADDRESSES)
    source_mac, destination_mac = chance.choices(
        [(mac, _ROUTER), (_ROUTER, mac), (mac, mac), (_OTHER, _ROUTER)], [12, 3, 1, 1]
    )[0]
    length = chance.choice(_LENGTHS)
    start = chance.choice(_STARTS) + timedelta(milliseconds=chance.randrange(3) * chance.randrange(2_000))
    delta = chance.choice([0, length, length // 2, chance.randint(0, length)])
    reverse_packets = chance.choice([0, 0, 1, 5, 200_001])
    flags = [chance.choice(_FLAGS) if protocol == 6 else "0" for _ in range(4)]
    flow = {
        "flowStartMilliseconds": _time(start),
        "flowEndMilliseconds": _time(start + timedelta(milliseconds=length)),
        "flowDurationMilliseconds": _duration(chance, length),
        "reverseFlowDeltaMilliseconds": "",
        "protocolIdentifier": str(protocol),
        "sourceIPv4Address": json.dumps(source),
        "sourceTransportPort": str(source_port),
        "packetTotalCount": str(chance.choice(_PACKETS[:4] * 4 + _PACKETS)),
        "octetTotalCount": str(chance.choice(_COUNTS)),
        "flowAttributes": f'"{chance.randrange(32):02x}"',
        "sourceMacAddress": _mac(chance, source_mac),
        "destinationIPv4Address": json.dumps(destination),
        "destinationTransportPort": str(destination_port),
        "reversePacketTotalCount": str(reverse_packets),
        "reverseOctetTotalCount": str(chance.choice(_COUNTS)),
        "reverseFlowAttributes": f'"{chance.randrange(32):02X}"',
        "destinationMacAddress": _mac(chance, destination_mac),
        "initialTCPFlags": f'"{flags[0]}"',
        "unionTCPFlags": f'"{flags[1]}"',
        "reverseInitialTCPFlags": f'"{flags[2]}"',
        "reverseUnionTCPFlags": f'"{flags[3]}"',
        "tcpSequenceNumber": f'"0x{chance.getrandbits(32):08x}"',
        "reverseTcpSequenceNumber": '"0x00000000"',
        "ingressInterface": "0",
        "egressInterface": "4294967295",
        "vlanId": '"0x000"',
        "silkAppLabel": "0",
        "ipClassOfService": f'"0x{chance.choice([0, 0, 0, 0xB8]):02x}"',
        "flowEndReason": json.dumps(chance.choice(_REASONS)),
        "collectorName": '"C1"',
        "observationDomainId": "0",
    }
    # The delta stands in the unit of the duration before it.
    in_seconds = "." in flow["flowDurationMilliseconds"]
    flow["reverseFlowDeltaMilliseconds"] = f"{delta / 1000:.3f}" if in_seconds else str(delta)
    if chance.random() < 0.9:
        flow |= _statistics(chance, "")
        if reverse_packets:
            flow |= _statistics(chance, "reverse")
    if chance.random() < 0.15:
        flow = _without(flow, chance.sample(_ALWAYS_WRITTEN, chance.choice([1, 1, 1, 2, 5])))
    return flow


def _statistics(chance: random.Random, prefix: str) -> Written:
    def name(plain: str) -> str:
        return prefix + plain[0].upper() + plain[1:] if prefix else plain

    payload, packets = chance.choice(_COUNTS), chance.choice([0, 1, 3, 10])
    values = {
        "tcpUrgTotalCount": 0,
        "smallPacketCount": chance.choice(_COUNTS),
        "nonEmptyPacketCount": packets,
        "dataByteCount": payload,
        "averageInterarrivalTime": chance.choice(_COUNTS),
        "firstNonEmptyPacketSize": chance.choice([0, 1, 1_448, 2**31 - 1]),
        "largePacketCount": chance.choice(_COUNTS),
        "maxPacketSize": chance.choice([0, 1, 1_448, 2**31 - 1]),
        "standardDeviationPayloadLength": chance.choice([0, 70, 2**31 - 1]),
        "standardDeviationInterarrivalTime": chance.choice(_COUNTS),
    }
    written = {name(plain): str(value) for plain, value in values.items()}
    if not prefix:
        written["firstEightNonEmptyPacketDirections"] = f'"{chance.randrange(256):02x}"'
    if packets:
        written[name("bytesPerPacket")] = str(min(payload // packets, 2**31 - 1))
    return written


def _time(time: datetime) -> str:
    return json.dumps(time.isoformat(sep=" ", timespec="milliseconds"))


def _duration(chance: random.Random, length: int) -> str:
    """The length of a flow as exporters of the 1.x line write it, or of the 2.x line, or wrong by the last digit."""
    written = length + chance.choice([0, 0, 0, 0, 1])
    return str(written) if chance.random() < 0.2 else f"{written / 1000:.3f}"


def _mac(chance: random.Random, mac: str) -> str:
    """The spellings of an address; the first is by far the usual one."""
    spellings = [f"{mac}:", mac, mac.upper(), mac.replace(":", "-")]
    return json.dumps(chance.choices(spellings, [20, 4, 1, 1])[0])
