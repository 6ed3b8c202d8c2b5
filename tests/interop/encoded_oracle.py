"""The recipe `encoded`: device-initiated flows as numbers for models, the published 66 columns behind `deviceName`."""

from __future__ import annotations

import ipaddress
from typing import Any

from raw_flows import FIELDS, INT32, INT64, STATISTICS, STRING, Flow
from recompute import RecipeOracle, Rule

_ADDRESSES = ["sourceIPv4Address", "destinationIPv4Address"]

_FORWARD = [
    "smallPacketCount",
    "nonEmptyPacketCount",
    "dataByteCount",
    "averageInterarrivalTime",
    "firstNonEmptyPacketSize",
    "largePacketCount",
    "maxPacketSize",
    "standardDeviationPayloadLength",
    "standardDeviationInterarrivalTime",
    "bytesPerPacket",
]

_NUMBERS = [
    "flowDurationMilliseconds",
    "reverseFlowDeltaMilliseconds",
    "protocolIdentifier",
    "sourceIPv4Address",
    "sourceTransportPort",
    "packetTotalCount",
    "octetTotalCount",
    "flowAttributes",
    "destinationIPv4Address",
    "destinationTransportPort",
    "reversePacketTotalCount",
    "reverseOctetTotalCount",
    "reverseFlowAttributes",
    *_FORWARD,
    *("reverse" + name[0].upper() + name[1:] for name in _FORWARD),
]

_TIME_PARTS = ["Month", "Day", "Hour", "Minute", "Second", "Millisecond"]

# The published names of end reasons. An empty reason was published as `Unknown`, though it means that the flow closed
# normally.
_END_REASONS = {"Unknown": "closed", "eof": "eof", "active": "active", "idle": "idle"}

_FLAG_FIELDS = ["initialTCPFlags", "unionTCPFlags", "reverseInitialTCPFlags", "reverseUnionTCPFlags"]
_FLAG_LETTERS = "APSR"

_COLUMNS: dict[str, str] = {
    "deviceName": STRING,
    **{name: INT64 if name in _ADDRESSES else FIELDS[name].type for name in _NUMBERS},
    **{f"{end}{part}": INT32 for end in ("flowStart", "flowEnd") for part in _TIME_PARTS},
    "device_type": STRING,
    **{f"flowEndReason_{name}": INT32 for name in _END_REASONS},
    **{f"{name}_{letter}": INT32 for name in _FLAG_FIELDS for letter in _FLAG_LETTERS},
}

# What exporters write of every flow, statistics or none: a flow without one of these is damaged.
_CRITICAL = [
    name for name in FIELDS if (name in _NUMBERS or name in _FLAG_FIELDS or name == "flowEndReason")
    and name not in STATISTICS
]  # fmt: skip

_MOST_PACKETS = 200_000


def _rules() -> dict[str, Rule]:
    seen: set[tuple[Any, ...]] = set()

    def is_duplicate(flow: Flow) -> bool:
        key = tuple(flow.raw.values())
        if key in seen:
            return True
        seen.add(key)
        return False

    return {
        "toDevice": lambda flow: flow.direction == "toDevice",
        "neither": lambda flow: flow.direction == "neither",
        "duplicate": is_duplicate,
        "incomplete": lambda flow: any(flow.values[name] is None for name in _CRITICAL),
        "outlier": lambda flow: flow.values["packetTotalCount"] > _MOST_PACKETS,
    }


def _row(flow: Flow) -> dict[str, Any]:
    values = flow.values
    row: dict[str, Any] = {"deviceName": flow.device, "device_type": flow.device_class}
    for name in _NUMBERS:
        row[name] = 0 if values[name] is None else values[name]
    for name in _ADDRESSES:
        row[name] = _address_number(values[name])
    for end in ("flowStart", "flowEnd"):
        time = values[f"{end}Milliseconds"]
        parts = [time.month, time.day, time.hour, time.minute, time.second, time.microsecond // 1000]
        row |= {f"{end}{part}": number for part, number in zip(_TIME_PARTS, parts, strict=True)}
    for name, reason in _END_REASONS.items():
        row[f"flowEndReason_{name}"] = int(values["flowEndReason"] == reason)
    for name in _FLAG_FIELDS:
        for letter in _FLAG_LETTERS:
            row[f"{name}_{letter}"] = int(letter in (values[name] or ""))
    return {name: row[name] for name in _COLUMNS}


def _address_number(text: str) -> int | None:
    """An IPv4 address as the number its 32 bits are; an IPv6 address has none."""
    return None if ":" in text else int(ipaddress.IPv4Address(text))


_USED = {*_NUMBERS, *_FLAG_FIELDS, "flowEndReason", "flowStartMilliseconds", "flowEndMilliseconds"}

ENCODED = RecipeOracle(
    name="encoded",
    columns=_COLUMNS,
    nullable=set(_ADDRESSES),
    ipv4_numbers=_ADDRESSES,
    # It has no MAC addresses, and an IPv6 address is null, however it is spelt.
    repairs=["ipv4Unspecified", "durationMilliseconds", "flowEndReasonClosed"],
    dropped=[name for name in FIELDS if name not in _USED],
    rules=_rules,
    row=_row,
)
