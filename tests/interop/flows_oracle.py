"""Recomputes the recipe `flows` from the raw lines, in plain Python.

Written from the documents alone (docs/FORMAT.md, docs/DESIGN.md) and never from flowlake's source: where the two agree,
two people read the documents the same way. One row at a time and one value at a time on purpose; speed is not a goal.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

STRING, INT32, INT64, DATE, TIMESTAMP = "string", "int32", "int64", "date", "timestamp[ms, UTC]"

_DIRECTION_COLUMNS = [
    ("packetTotalCount", INT64),
    ("octetTotalCount", INT64),
    ("smallPacketCount", INT64),
    ("largePacketCount", INT64),
    ("nonEmptyPacketCount", INT64),
    ("firstNonEmptyPacketSize", INT32),
    ("maxPacketSize", INT32),
    ("dataByteCount", INT64),
    ("bytesPerPacket", INT32),
]


def _reverse(name: str) -> str:
    return "reverse" + name[0].upper() + name[1:]


# Columns inside the data files, in file order, with their types as the manifest spells them.
COLUMNS: dict[str, str] = dict(
    [
        ("deviceName", STRING),
        ("IoTMacAddress", STRING),
        ("IoTIPAddress", STRING),
        ("serverMacAddress", STRING),
        ("serverIPAddress", STRING),
        ("IoTTransportPort", INT32),
        ("serverTransportPort", INT32),
        ("protocolIdentifier", INT32),
        ("protocolName", STRING),
        ("serviceType", STRING),
        ("flowStartMilliseconds", TIMESTAMP),
        ("flowEndMilliseconds", TIMESTAMP),
        ("flowStartMillisecondsDate", DATE),
        ("flowEndMillisecondsDate", DATE),
        ("flowStartMillisecondsTime", STRING),
        ("flowEndMillisecondsTime", STRING),
        ("flowDurationMilliseconds", INT64),
        ("reverseFlowDeltaMilliseconds", INT64),
        ("averageInterarrivalTime", INT64),
        ("standardDeviationInterarrivalTime", INT64),
        ("reverseAverageInterarrivalTime", INT64),
        ("reverseStandardDeviationInterarrivalTime", INT64),
        ("flowAttributes", INT32),
        ("reverseFlowAttributes", INT32),
        ("flowEndReason", STRING),
        ("initialTCPFlags", STRING),
        ("unionTCPFlags", STRING),
        ("reverseInitialTCPFlags", STRING),
        *_DIRECTION_COLUMNS,
        *[(_reverse(name), data_type) for name, data_type in _DIRECTION_COLUMNS],
    ]
)

# Raw fields that the recipe leaves out, each with evidence in the manifest.
DROPPED = [
    "ingressInterface",
    "egressInterface",
    "observationDomainId",
    "silkAppLabel",
    "tcpUrgTotalCount",
    "reverseTcpUrgTotalCount",
    "vlanId",
    "collectorName",
    "ipClassOfService",
    "tcpSequenceNumber",
    "reverseTcpSequenceNumber",
    "reverseUnionTCPFlags",
    "standardDeviationPayloadLength",
    "reverseStandardDeviationPayloadLength",
    "firstEightNonEmptyPacketDirections",
]

_TCP, _UDP = 6, 17
_PROTOCOL_NAMES = {_TCP: "TCP", _UDP: "UDP", 1: "ICMP", 58: "ICMPv6"}
_SERVICES = {
    "DNS": [(_TCP, 53), (_UDP, 53), (_UDP, 5353)],
    "NTP": [(_UDP, 123)],
    "SSDP": [(_UDP, 1900)],
    "NetBIOS": [(_UDP, 137), (_UDP, 138), (_TCP, 139)],
    "MQTT": [(_TCP, 1883), (_TCP, 8883)],
    "HTTP/S": [(_TCP, 80), (_TCP, 443), (_TCP, 8080), (_TCP, 8443), (_UDP, 443)],
}
_SERVICE_OF = {key: name for name, keys in _SERVICES.items() for key in keys}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{3}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class Unusable(Exception):
    """A flow that cannot be used: flowlake has to reject its line."""


@dataclass
class Recomputed:
    """What one dump must become."""

    device: str
    # Rows by month, in the order of the dump. A row has every column of COLUMNS, and `_line`, its line in the dump.
    months: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    # Lines by record kind; `flows` are all flows, usable or not; None is a line that is no record.
    records: Counter = field(default_factory=Counter)
    directions: Counter = field(default_factory=Counter)
    rejected: int = 0
    # Σ (packetTotalCount + reversePacketTotalCount) over all usable flows, for the trailer.
    packets: int = 0
    # Flows and packets as the last `stats` line has them; None without one.
    trailer: tuple[int, int] | None = None
    # Values of the dropped fields over the rows kept, as they stand in the dump; None is a missing one.
    dropped: dict[str, Counter] = field(default_factory=lambda: {name: Counter() for name in DROPPED})

    @property
    def kept(self) -> int:
        return sum(len(rows) for rows in self.months.values())

    @property
    def removed(self) -> dict[str, int]:
        return {"toDevice": self.directions["toDevice"], "neither": self.directions["neither"]}


def recompute(records: Iterable[tuple[int, str | None, dict]], device: str, mac: str) -> Recomputed:
    """Applies the recipe to the records of one dump, which belongs to `device` with the address `mac`."""
    result = Recomputed(device)
    for line, kind, content in records:
        result.records[kind] += 1
        if kind == "stats":
            result.trailer = (content["exportedFlowTotalCount"], content["packetTotalCount"])
        if kind is None:
            result.rejected += 1
        if kind != "flows":
            continue
        try:
            row = flow_row(content, device)
        except Unusable:
            result.rejected += 1
            continue
        result.packets += row["packetTotalCount"] + row["reversePacketTotalCount"]
        direction = direction_of(row["IoTMacAddress"], row["serverMacAddress"], mac)
        result.directions[direction] += 1
        if direction not in ("fromDevice", "both"):
            continue
        row["_line"] = line
        result.months[row["flowStartMilliseconds"].strftime("%Y-%m")].append(row)
        for name, values in result.dropped.items():
            values[content.get(name)] += 1
    return result


def direction_of(source: str, destination: str, mac: str) -> str:
    """Who started a flow, told from the device's side."""
    if source == mac:
        return "both" if destination == mac else "fromDevice"
    return "toDevice" if destination == mac else "neither"


def flow_row(flow: dict[str, Any], device: str) -> dict[str, Any]:
    """One raw flow as a row: its source becomes the device ("IoT"), its destination the other end ("server")."""
    start = parse_time(required(flow, "flowStartMilliseconds"))
    end = parse_time(required(flow, "flowEndMilliseconds"))
    duration = (end - start) // timedelta(milliseconds=1)
    protocol = required(flow, "protocolIdentifier")
    server_port = flow.get("destinationTransportPort")
    iot_address, server_address = address_pair(
        required(flow, "sourceIPv4Address"), required(flow, "destinationIPv4Address")
    )
    row = {
        "deviceName": device,
        "IoTMacAddress": mac_address(required(flow, "sourceMacAddress")),
        "IoTIPAddress": iot_address,
        "serverMacAddress": mac_address(required(flow, "destinationMacAddress")),
        "serverIPAddress": server_address,
        "IoTTransportPort": flow.get("sourceTransportPort"),
        "serverTransportPort": server_port,
        "protocolIdentifier": protocol,
        "protocolName": _PROTOCOL_NAMES.get(protocol, "Other"),
        "serviceType": _SERVICE_OF.get((protocol, server_port), "Other"),
        "flowStartMilliseconds": start,
        "flowEndMilliseconds": end,
        "flowStartMillisecondsDate": start.date(),
        "flowEndMillisecondsDate": end.date(),
        "flowStartMillisecondsTime": time_of_day(start),
        "flowEndMillisecondsTime": time_of_day(end),
        "flowDurationMilliseconds": duration,
        "reverseFlowDeltaMilliseconds": reverse_delta(
            flow.get("flowDurationMilliseconds"), flow.get("reverseFlowDeltaMilliseconds"), duration
        ),
        "flowAttributes": bits(flow.get("flowAttributes")),
        "reverseFlowAttributes": bits(flow.get("reverseFlowAttributes")),
        "flowEndReason": end_reason(flow.get("flowEndReason")),
        "initialTCPFlags": tcp_flags(flow.get("initialTCPFlags")),
        "unionTCPFlags": tcp_flags(flow.get("unionTCPFlags")),
        "reverseInitialTCPFlags": tcp_flags(flow.get("reverseInitialTCPFlags")),
    }
    for name in ("packetTotalCount", "octetTotalCount", "reversePacketTotalCount", "reverseOctetTotalCount"):
        row[name] = required(flow, name)
    # Whatever is left is a statistic, published as it stands: missing ones are null, not 0.
    return {name: row[name] if name in row else flow.get(name) for name in COLUMNS}


def required(flow: dict[str, Any], name: str) -> Any:
    if flow.get(name) is None:
        raise Unusable(f"{name} is missing")
    return flow[name]


def parse_time(text: str) -> datetime:
    """`2019-06-25 08:36:29.747`: UTC, though nothing in it says so."""
    if not _TIME.fullmatch(text):
        raise Unusable(f"not a time: {text!r}")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise Unusable(str(error)) from error


def time_of_day(time: datetime) -> str:
    return time.strftime("%H:%M:%S.") + f"{time.microsecond // 1000:03}"


def to_millis(time: datetime) -> int:
    """Milliseconds since 1970-01-01 00:00 UTC."""
    return (time - _EPOCH) // timedelta(milliseconds=1)


def reverse_delta(
    written_duration: int | Decimal | None, written_delta: int | Decimal | None, duration: int
) -> int | None:
    """The delay until the reverse direction's first packet, in ms; the unit it is written in is told by the duration.

    Exporters of the 1.x line write seconds, those of 2.x milliseconds, under the same name. Only the duration beside it
    can be compared with something known: end − start. Where that leaves it open (a flow of at most 1 ms fits both),
    the answer has to lie within the flow.
    """
    if written_delta is None:
        return None
    in_seconds = to_whole(written_delta * 1000)
    in_millis = to_whole(written_delta)
    reads_as_seconds = written_duration is not None and abs(written_duration * 1000 - duration) <= 1
    reads_as_millis = written_duration is not None and abs(written_duration - duration) <= 1
    if reads_as_seconds != reads_as_millis:
        return in_seconds if reads_as_seconds else in_millis
    return in_seconds if in_seconds <= duration + 1 else in_millis


def to_whole(number: int | Decimal) -> int:
    return int(Decimal(number).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def mac_address(text: str) -> str:
    """Lower case, without the stray colon that exporters of the 1.8 line leave at the end."""
    mac = text.lower().removesuffix(":")
    if not _MAC.fullmatch(mac):
        raise Unusable(f"not a MAC address: {text!r}")
    return mac


def address_pair(source: str, destination: str) -> tuple[str, str]:
    """Both addresses of a flow, canonical. IPv6 stands under the IPv4 keys; `::` opposite IPv4 is 0.0.0.0."""
    both_v6 = ":" in source and ":" in destination
    return _address(source, both_v6), _address(destination, both_v6)


def _address(text: str, v6: bool) -> str:
    try:
        if v6 or (":" in text and text != "::"):
            address = ipaddress.IPv6Address(text)
            # RFC 5952, section 5: Python writes these with dots from 3.13 on only.
            return f"::ffff:{address.ipv4_mapped}" if address.ipv4_mapped else str(address)
        return "0.0.0.0" if text == "::" else str(ipaddress.IPv4Address(text))
    except ipaddress.AddressValueError as error:
        raise Unusable(str(error)) from error


def tcp_flags(text: str | None) -> str | None:
    """A set of letters in one canonical order, whatever the order they were written in."""
    if text is None:
        return None
    if not set(text) <= set("ECUAPRSF0"):
        raise Unusable(f"not TCP flags: {text!r}")
    return "".join(letter for letter in "ECUAPRSF" if letter in text) or "0"


def end_reason(text: str | None) -> str | None:
    """An empty reason is not an unknown one: the flow was closed by its own FIN or RST."""
    return "closed" if text == "" else text


def bits(text: str | None) -> int | None:
    """A hexadecimal bit field without prefix."""
    return None if text is None else int(text, 16)
