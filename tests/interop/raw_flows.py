"""One raw flow, typed and repaired value by value in plain Python: what every recipe is made from.

Written from the documents alone (docs/input-format.md, docs/recipes.md) and never from flowlake's source: where the two
agree, two people read the documents the same way. One value at a time on purpose; speed is not a goal.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

# Types of columns as the manifest spells them.
STRING, INT32, INT64, DATE, TIMESTAMP = "string", "int32", "int64", "date", "timestamp[ms, UTC]"

# All repairs, in the order manifests list them in.
REPAIRS = ["macTrailingColon", "ipv6Canonical", "ipv4Unspecified", "durationMilliseconds", "flowEndReasonClosed"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{3}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class Unusable(Exception):
    """A flow that cannot be used: flowlake has to reject its line."""


def parse_time(text: str) -> datetime:
    """`2020-02-29 08:36:29.747`: UTC, though nothing in it says so."""
    if not _TIME.fullmatch(text):
        raise Unusable(f"not a time: {text!r}")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise Unusable(str(error)) from error


def integer(number: int | Decimal) -> int:
    if number != int(number) or number < 0:
        raise Unusable(f"not a count: {number!r}")
    return int(number)


def bits(text: str) -> int:
    """Hexadecimal text, with or without `0x`."""
    return int(text, 16)


def tcp_flags(text: str) -> str:
    """A set of letters in one canonical order, whatever the order they were written in."""
    if not set(text) <= set("ECUAPRSF0"):
        raise Unusable(f"not TCP flags: {text!r}")
    return "".join(letter for letter in "ECUAPRSF" if letter in text) or "0"


def mac_address(text: str) -> str:
    """Lower case and `:`, without the stray colon that exporters of the 1.8 line leave at the end."""
    mac = text.lower().replace("-", ":").removesuffix(":")
    if not _MAC.fullmatch(mac):
        raise Unusable(f"not a MAC address: {text!r}")
    return mac


def _as_written(value: Any) -> Any:
    return value


def _reverse(name: str) -> str:
    return "reverse" + name[0].upper() + name[1:]


@dataclass(frozen=True)
class Field:
    """A raw field: the type it has in a lake, and how to read what is written."""

    type: str
    read: Callable[[Any], Any]
    required: bool = False


_STATISTICS = {
    "tcpUrgTotalCount": Field(INT64, integer),
    "smallPacketCount": Field(INT64, integer),
    "nonEmptyPacketCount": Field(INT64, integer),
    "dataByteCount": Field(INT64, integer),
    "averageInterarrivalTime": Field(INT64, integer),
    "firstNonEmptyPacketSize": Field(INT32, integer),
    "largePacketCount": Field(INT64, integer),
    "maxPacketSize": Field(INT32, integer),
    "firstEightNonEmptyPacketDirections": Field(INT32, bits),
    "standardDeviationPayloadLength": Field(INT32, integer),
    "standardDeviationInterarrivalTime": Field(INT64, integer),
    "bytesPerPacket": Field(INT32, integer),
}

# Every raw field, in the order exporters write them.
FIELDS: dict[str, Field] = {
    "flowStartMilliseconds": Field(TIMESTAMP, parse_time, required=True),
    "flowEndMilliseconds": Field(TIMESTAMP, parse_time, required=True),
    "flowDurationMilliseconds": Field(INT64, _as_written),
    "reverseFlowDeltaMilliseconds": Field(INT64, _as_written),
    "protocolIdentifier": Field(INT32, integer, required=True),
    "sourceIPv4Address": Field(STRING, _as_written, required=True),
    "sourceTransportPort": Field(INT32, integer),
    "packetTotalCount": Field(INT64, integer, required=True),
    "octetTotalCount": Field(INT64, integer, required=True),
    "flowAttributes": Field(INT32, bits),
    "sourceMacAddress": Field(STRING, _as_written, required=True),
    "destinationIPv4Address": Field(STRING, _as_written, required=True),
    "destinationTransportPort": Field(INT32, integer),
    "reversePacketTotalCount": Field(INT64, integer, required=True),
    "reverseOctetTotalCount": Field(INT64, integer, required=True),
    "reverseFlowAttributes": Field(INT32, bits),
    "destinationMacAddress": Field(STRING, _as_written, required=True),
    "initialTCPFlags": Field(STRING, tcp_flags),
    "unionTCPFlags": Field(STRING, tcp_flags),
    "reverseInitialTCPFlags": Field(STRING, tcp_flags),
    "reverseUnionTCPFlags": Field(STRING, tcp_flags),
    "tcpSequenceNumber": Field(INT64, bits),
    "reverseTcpSequenceNumber": Field(INT64, bits),
    "ingressInterface": Field(INT64, integer),
    "egressInterface": Field(INT64, integer),
    "vlanId": Field(INT32, bits),
    "silkAppLabel": Field(INT32, integer),
    "ipClassOfService": Field(INT32, bits),
    "flowEndReason": Field(STRING, _as_written),
    "collectorName": Field(STRING, _as_written),
    "observationDomainId": Field(INT64, integer),
    **_STATISTICS,
    **{_reverse(name): field for name, field in _STATISTICS.items() if not name.startswith("firstEight")},
}

# The flow statistics: what is missing where the exporter kept none.
STATISTICS = [*_STATISTICS, *(_reverse(name) for name in _STATISTICS if not name.startswith("firstEight"))]


@dataclass(frozen=True)
class Flow:
    """A usable flow of a dump."""

    # Every raw field, None where it is missing: as the dump says, and after every repair.
    raw: dict[str, Any]
    values: dict[str, Any]
    direction: str
    device: str
    device_class: str
    dump: str
    line: int

    def repairs(self) -> Counter:
        """How many of its values each repair made other than what the dump says."""
        counts: Counter = Counter()
        for name in ("sourceMacAddress", "destinationMacAddress"):
            counts["macTrailingColon"] += self.raw[name] != self.values[name]
        for name in ("sourceIPv4Address", "destinationIPv4Address"):
            written, repaired = self.raw[name], self.values[name]
            kind = "ipv6Canonical" if ":" in repaired else "ipv4Unspecified"
            counts[kind] += written != repaired
        for name in ("flowDurationMilliseconds", "reverseFlowDeltaMilliseconds"):
            counts["durationMilliseconds"] += self.raw[name] not in (None, self.values[name])
        counts["flowEndReasonClosed"] += self.raw["flowEndReason"] == ""
        return counts


def read_flow(content: dict[str, Any], device: str, device_class: str, mac: str, dump: str, line: int) -> Flow:
    """The flow of one line of a dump, which belongs to `device` with the address `mac`."""
    raw: dict[str, Any] = {}
    for name, field in FIELDS.items():
        written = content.get(name)
        if written is None and field.required:
            raise Unusable(f"{name} is missing")
        raw[name] = None if written is None else field.read(written)
    values = repaired(raw)
    direction = direction_of(values["sourceMacAddress"], values["destinationMacAddress"], mac)
    return Flow(raw, values, direction, device, device_class, dump, line)


def repaired(raw: dict[str, Any]) -> dict[str, Any]:
    """The same fields after all five repairs."""
    duration = (raw["flowEndMilliseconds"] - raw["flowStartMilliseconds"]) // timedelta(milliseconds=1)
    source, destination = address_pair(raw["sourceIPv4Address"], raw["destinationIPv4Address"])
    return raw | {
        "flowDurationMilliseconds": duration,
        "reverseFlowDeltaMilliseconds": reverse_delta(
            raw["flowDurationMilliseconds"], raw["reverseFlowDeltaMilliseconds"], duration
        ),
        "sourceMacAddress": mac_address(raw["sourceMacAddress"]),
        "destinationMacAddress": mac_address(raw["destinationMacAddress"]),
        "sourceIPv4Address": source,
        "destinationIPv4Address": destination,
        "flowEndReason": end_reason(raw["flowEndReason"]),
    }


def direction_of(source: str, destination: str, mac: str) -> str:
    """Who started a flow, told from the device's side."""
    if source == mac:
        return "both" if destination == mac else "fromDevice"
    return "toDevice" if destination == mac else "neither"


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


def end_reason(text: str | None) -> str | None:
    """An empty reason is not an unknown one: the flow was closed by its own FIN or RST."""
    return "closed" if text == "" else text
