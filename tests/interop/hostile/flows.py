"""Flows that hostile dumps hold beside everything else: taken from a sample, so that they are what exporters write."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import lakes
from dumps import find_parts, read_records
from flows_oracle import FLOWS
from raw_flows import FIELDS
from recompute import Recomputed, recompute

DEVICE, DEVICE_CLASS, DUMP = "hub", "iotGatewayHub", "hub"


@dataclass(frozen=True)
class Sample:
    """A flow of a sample that has all its fields, and the device it is of."""

    mac: str
    fields: dict[str, Any]


@cache
def sample() -> Sample:
    """A flow out of dumps that flowlake's own generator makes."""
    with TemporaryDirectory(prefix="flowlake-hostile-sample-") as directory:
        dumps = Path(directory) / "dumps"
        lakes.run("sample", "--output", dumps, "--scale", "0.0001", "--seed", "7")
        for device in lakes.read_catalogue(dumps / "catalogue.toml"):
            for _, kind, fields in read_records(find_parts(dumps, device.dump)):
                if kind != "flows" or not fields["sourceMacAddress"].startswith(device.mac):
                    continue
                if set(fields) == set(FIELDS) and fields["protocolIdentifier"] == 6:
                    return Sample(device.mac, fields)
    raise AssertionError("no flow of the sample has all fields")


def fields_of(number: int, **changes: Any) -> dict[str, Any]:
    """The fields of a flow that its source port tells from others; a field that becomes `...` is left out."""
    made = sample().fields | {"sourceTransportPort": number} | changes
    return {name: value for name, value in made.items() if value is not ...}


def flow(number: int, **changes: Any) -> bytes:
    """The line of a flow, as exporters write it, without its line end."""
    return dump_json({"flows": fields_of(number, **changes)})


def spelled(number: int, field: str, value: str) -> bytes:
    """The line of a flow with a field spelled in a certain way: it is put in the place that it has, or at the end."""
    marked = flow(number, **{field: "<here>"})
    return marked.replace(b'"<here>"', value.encode())


def dump_json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=float).encode()


def lines(first: int, count: int) -> bytes:
    """Flows of successive numbers, each with its line end."""
    return b"".join(flow(number) + b"\n" for number in range(first, first + count))


def trailer(flows: int) -> bytes:
    packets = flows * (sample().fields["packetTotalCount"] + sample().fields["reversePacketTotalCount"])
    return dump_json({"stats": {"exportedFlowTotalCount": flows, "packetTotalCount": packets}}) + b"\n"


def catalogue(limits: str = "") -> str:
    """A catalogue of the one device."""
    return f"""\
[dataset]
name = "hostile"
title = "Hostile input"
licence = "CC0-1.0"
redistribution = true
citation = "Nobody"
url = "https://example.org/hostile"

[limits]
{limits}

[[device]]
name = "{DEVICE}"
class = "{DEVICE_CLASS}"
mac = "{sample().mac}"
archive = "{DUMP}"
"""


def recomputed(content: bytes, unusable: Collection[int] = ()) -> Recomputed:
    """What the default recipe makes of a dump of this text, as Python reads it; some lines are of no use."""
    return recompute(
        FLOWS, _records(content, unusable), device=DEVICE, device_class=DEVICE_CLASS, mac=sample().mac, dump=DUMP
    )


def _records(content: bytes, unusable: Collection[int]) -> Iterator[tuple[int, str | None, dict]]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if number in unusable:
            yield number, None, {}
            continue
        line = line.removesuffix(b"\r").removeprefix(b"\xef\xbb\xbf")
        if not line.strip(b" \t\r\n"):
            continue
        try:
            record = json.loads(line.decode(), parse_float=Decimal, parse_constant=_no_json)
        except ValueError:
            yield number, None, {}
            continue
        if not isinstance(record, dict) or len(record) != 1:
            yield number, None, {}
            continue
        ((kind, fields),) = record.items()
        yield number, kind, fields if isinstance(fields, dict) else {}


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
