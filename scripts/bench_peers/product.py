"""The product that every peer builds: recipe `flows`, said once, so that each engine can be told in its own words.

What a peer is spared: it need not count anything (repairs, removed rows, evidence of dropped columns, control totals),
write a manifest, digest its output or put it on disk safely. All of that is in flowlake's time and in no peer's.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

TEXT, INT32, INT64, DECIMAL = "text", "int32", "int64", "decimal"


def reverse(name: str) -> str:
    return "reverse" + name[0].upper() + name[1:]


# Counted for both directions, in the order of the product.
_COUNTS = {
    "packetTotalCount": INT64,
    "octetTotalCount": INT64,
    "smallPacketCount": INT64,
    "largePacketCount": INT64,
    "nonEmptyPacketCount": INT64,
    "firstNonEmptyPacketSize": INT32,
    "maxPacketSize": INT32,
    "dataByteCount": INT64,
    "bytesPerPacket": INT32,
}
COUNTS = {**_COUNTS, **{reverse(name): kind for name, kind in _COUNTS.items()}}
INTERARRIVAL_TIMES = [
    "averageInterarrivalTime",
    "standardDeviationInterarrivalTime",
    "reverseAverageInterarrivalTime",
    "reverseStandardDeviationInterarrivalTime",
]
FLAGS = ["initialTCPFlags", "unionTCPFlags", "reverseInitialTCPFlags"]

# The raw fields that the product needs. An engine that is told of no others can skip them, so peers are not.
RAW_FIELDS: dict[str, str] = {
    "flowStartMilliseconds": TEXT,
    "flowEndMilliseconds": TEXT,
    "flowDurationMilliseconds": DECIMAL,
    "reverseFlowDeltaMilliseconds": DECIMAL,
    "protocolIdentifier": INT32,
    "sourceIPv4Address": TEXT,
    "sourceTransportPort": INT32,
    "flowAttributes": TEXT,
    "sourceMacAddress": TEXT,
    "destinationIPv4Address": TEXT,
    "destinationTransportPort": INT32,
    "reverseFlowAttributes": TEXT,
    "destinationMacAddress": TEXT,
    **dict.fromkeys(FLAGS, TEXT),
    "flowEndReason": TEXT,
    **dict.fromkeys(INTERARRIVAL_TIMES, INT64),
    **COUNTS,
}

# Zeros that IPv6 groups are padded with. The exporter puts `::` where it belongs, so this is all there is to repair.
PADDING = "(^|:)0+([0-9a-f])"


@dataclass(frozen=True)
class Device:
    """A device of the corpus and the files its dump lies in, in the order they are joined."""

    name: str
    device_class: str
    mac: str
    parts: tuple[Path, ...]

    @property
    def archive_bytes(self) -> int:
        return sum(part.stat().st_size for part in self.parts)


def read_devices(corpus: Path) -> list[Device]:
    """The devices of a corpus, the one with the largest dump first: what takes longest should not begin last."""
    catalogue = tomllib.loads((corpus / "catalogue.toml").read_text())
    devices = []
    for entry in catalogue["device"]:
        name = entry["archive"] + ".tar.gz"
        # Names are compared and never used as patterns: a stem can hold any character.
        parts = sorted(path for path in corpus.iterdir() if path.name.startswith(name))
        devices.append(Device(entry["name"], entry["class"], entry["mac"], tuple(parts)))
    return sorted(devices, key=lambda device: (-device.archive_bytes, device.name))


def service_table() -> list[tuple[str, int, int]]:
    """(service, protocol, port of the server), as the recipe has it."""
    return [tuple(row) for row in _recipe()["tables"]["serviceType"]["rows"]]


def protocol_table() -> dict[int, str]:
    return {number: name for name, number in _recipe()["tables"]["protocolName"]["rows"]}


def columns() -> list[str]:
    """The columns inside the files of the product, in order."""
    return [column["name"] for column in _recipe()["column"]]


def _recipe() -> dict:
    return tomllib.loads((REPOSITORY / "config" / "recipes" / "flows.toml").read_text())
