"""The recipe `flows`: device-initiated flows with the 45 published features and the two full timestamps."""

from __future__ import annotations

from typing import Any

from raw_flows import DATE, INT32, INT64, REPAIRS, STRING, TIMESTAMP, Flow, time_of_day
from recompute import RecipeOracle, Rule

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


_COLUMNS: dict[str, str] = dict(
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

_NEVER_NULL = {
    "deviceName",
    "IoTMacAddress",
    "IoTIPAddress",
    "serverMacAddress",
    "serverIPAddress",
    "protocolIdentifier",
    "protocolName",
    "serviceType",
    "flowStartMilliseconds",
    "flowEndMilliseconds",
    "flowStartMillisecondsDate",
    "flowEndMillisecondsDate",
    "flowStartMillisecondsTime",
    "flowEndMillisecondsTime",
    "flowDurationMilliseconds",
    "packetTotalCount",
    "octetTotalCount",
    "reversePacketTotalCount",
    "reverseOctetTotalCount",
}

_DROPPED = [
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


def _rules() -> dict[str, Rule]:
    return {
        "toDevice": lambda flow: flow.direction == "toDevice",
        "neither": lambda flow: flow.direction == "neither",
    }


def _row(flow: Flow) -> dict[str, Any]:
    """A flow as a row: its source becomes the device ("IoT"), its destination the other end ("server")."""
    values = flow.values
    start, end = values["flowStartMilliseconds"], values["flowEndMilliseconds"]
    protocol, server_port = values["protocolIdentifier"], values["destinationTransportPort"]
    made = {
        "deviceName": flow.device,
        "IoTMacAddress": values["sourceMacAddress"],
        "IoTIPAddress": values["sourceIPv4Address"],
        "serverMacAddress": values["destinationMacAddress"],
        "serverIPAddress": values["destinationIPv4Address"],
        "IoTTransportPort": values["sourceTransportPort"],
        "serverTransportPort": server_port,
        "protocolName": _PROTOCOL_NAMES.get(protocol, "Other"),
        "serviceType": _SERVICE_OF.get((protocol, server_port), "Other"),
        "flowStartMillisecondsDate": start.date(),
        "flowEndMillisecondsDate": end.date(),
        "flowStartMillisecondsTime": time_of_day(start),
        "flowEndMillisecondsTime": time_of_day(end),
    }
    # Whatever is left is published after repairs under its own name: missing statistics are null, not 0.
    return {name: made[name] if name in made else values[name] for name in _COLUMNS}


FLOWS = RecipeOracle(
    name="flows",
    columns=_COLUMNS,
    nullable=set(_COLUMNS) - _NEVER_NULL,
    ipv4_numbers=[],
    repairs=REPAIRS,
    dropped=_DROPPED,
    rules=_rules,
    row=_row,
)
