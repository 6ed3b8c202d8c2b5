"""Dumps of few devices with many flows, for lakes whose files have several row groups; all of it is made up.

Flows are in order of time and evenly spread over their months, so that a span of time lies in one row group. The
servers of a row group are its own but between those of the others in the order of texts, so that only a bloom filter,
and no minimum and maximum, tells which row groups have none of a server's flows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import zstandard

from engines.reading import Query

ROW_GROUP = 65_536
_ROUTER = "02:00:00:00:00:fe"
_CATALOGUE = """\
[dataset]
name = "deep"
title = "Few devices, many flows"
licence = "CC0-1.0"
citation = "Nobody"
url = "https://example.org/deep"
"""
# Different servers of a row group, and row groups after which servers come again.
_SERVERS = 600
_CYCLE = 4


@dataclass(frozen=True)
class _Device:
    name: str
    device_class: str
    mac: str
    # Flows by month.
    flows: dict[str, int]


_DEVICES = [
    _Device("camera", "networkCamera", "02:00:00:00:00:0a", {"2019-06": 900, "2019-07": 3 * ROW_GROUP + 4_000}),
    _Device("hub", "iotGatewayHub", "02:00:00:00:00:0b", {"2019-06": 700, "2019-07": 20_000}),
]


@dataclass(frozen=True)
class DeepDumps:
    """Where the dumps are, and the flows of the camera in July: (start, server, octets), in the order of the dump."""

    directory: Path
    catalogue: Path
    july: list[tuple[datetime, str, int]]


def server(number: int) -> str:
    """The server of a flow, by its place in the month."""
    group = number // ROW_GROUP % _CYCLE
    place = number % _SERVERS * _CYCLE + group
    return f"198.51.{100 + place // 200}.{place % 200 + 1}"


def write(directory: Path) -> DeepDumps:
    entries = [_CATALOGUE]
    july: list[tuple[datetime, str, int]] = []
    for device in _DEVICES:
        entries.append(
            f'[[device]]\nname = "{device.name}"\nclass = "{device.device_class}"\nmac = "{device.mac}"\n'
            f'archive = "{device.name}"\n'
        )
        lines, packets = [], 0
        for month, count in device.flows.items():
            first = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
            for number in range(count):
                start = first + timedelta(days=28) * number / count
                start = start.replace(microsecond=start.microsecond // 1000 * 1000)
                octets = 40 + number * 7_919 % 100_003
                lines.append(_line(device, start, server(number), number, octets))
                packets += 1
                if device is _DEVICES[0] and month == "2019-07":
                    july.append((start, server(number), octets))
        lines.append(json.dumps({"stats": {"exportedFlowTotalCount": len(lines), "packetTotalCount": packets}}))
        text = "\n".join(lines).encode() + b"\n"
        (directory / f"{device.name}.json.zst").write_bytes(zstandard.compress(text, 1))
    catalogue = directory / "catalogue.toml"
    catalogue.write_text("\n".join(entries))
    return DeepDumps(directory, catalogue, july)


def _line(device: _Device, start: datetime, peer: str, number: int, octets: int) -> str:
    written = start.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    return (
        f'{{"flows":{{"flowStartMilliseconds":"{written}","flowEndMilliseconds":"{written}",'
        f'"flowDurationMilliseconds":0,"reverseFlowDeltaMilliseconds":0,"protocolIdentifier":6,'
        f'"sourceIPv4Address":"192.0.2.10","sourceTransportPort":{1024 + number % 60_000},"packetTotalCount":1,'
        f'"octetTotalCount":{octets},"flowAttributes":"00","sourceMacAddress":"{device.mac}",'
        f'"destinationIPv4Address":"{peer}","destinationTransportPort":443,"reversePacketTotalCount":0,'
        f'"reverseOctetTotalCount":0,"reverseFlowAttributes":"00","destinationMacAddress":"{_ROUTER}",'
        '"initialTCPFlags":"S","unionTCPFlags":"AS","reverseInitialTCPFlags":"0","reverseUnionTCPFlags":"0",'
        '"tcpSequenceNumber":"0x00000000","reverseTcpSequenceNumber":"0x00000000","ingressInterface":0,'
        '"egressInterface":0,"vlanId":"0x000","silkAppLabel":0,"ipClassOfService":"0x00","flowEndReason":"idle",'
        '"collectorName":"C1","observationDomainId":0}}'
    )


def expected(dumps: DeepDumps, query: Query) -> tuple[int, int]:
    """Flows and octets that a query about the camera in July has to find."""
    assert (query.month, query.device_class) == ("2019-07", "networkCamera")
    found = [octets for start, peer, octets in dumps.july if query.begin <= start < query.end and peer == query.server]
    return len(found), sum(found)
