"""The dumps that are damaged: made by `flowlake sample`, and one of flows that sample devices do not have.

Each is packed in another way, so that every container is there, split and whole, of one member and of several.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import awkward_dumps
from dumps import find_parts, read_lines
from lakes import Device, read_catalogue
from object_stores.stores import flowlake, local_environment
from torture.containers import Files
from torture.lines import judge_lines
from torture.packing import Packing

_SCALE, _SEED = "0.00004", "7"
# Sample dumps by archive stem.
_PACKINGS = {
    "sony_bravia": Packing(".tar.gz", parts=3),
    "panasonic_doorphone": Packing(".json"),
    "i-o_data_qwatch": Packing(".json.gz", members=3),
    "sony_smart_speaker": Packing(".json.zst", members=3),
    "au_wireless_adapter": Packing(".tar.gz", members=4, entries=2),
    "qrio_hub": Packing(".tgz"),
    "jvc_kenwood_cu-hb1": Packing(".json.zst", parts=2, checksum=False),
    "planex_camera_one_shot!": Packing(".json.gz", parts=2),
    "amazon_echo_gen2": Packing(".json", parts=2),
}
# A dump of more than one chunk of the reader, so that rows are on disk when damage is met.
LARGE = "google_home_gen1"
_LARGE_SCALE = "0.0013"
_LARGE_PACKING = Packing(".tar.gz", parts=2)
# IPv6, DHCP, flows of every protocol, times at the ends of months and years.
_AWKWARD = "a-lamp!"
_AWKWARD_PACKING = Packing(".tar.gz")
_AWKWARD_FLOWS = 150


class Unable(Exception):
    """What was to be done cannot begin."""


@dataclass(frozen=True)
class Dump:
    """A dump that nothing is wrong with."""

    device: Device
    packing: Packing
    text: bytes
    files: Files = field(hash=False)

    @property
    def stem(self) -> str:
        return self.device.dump


def make() -> dict[str, Dump]:
    """The corpus, by archive stem."""
    with tempfile.TemporaryDirectory(prefix="flowlake-torture-") as name:
        directory = Path(name)
        dumps = _sample(directory / "sample", _SCALE, _PACKINGS)
        dumps |= _sample(directory / "large", _LARGE_SCALE, {LARGE: _LARGE_PACKING})
        dumps[_AWKWARD] = _awkward(directory)
        assert set(dumps) == {*_PACKINGS, LARGE, _AWKWARD}, "the sample has these dumps"
        return dumps


def _sample(directory: Path, scale: str, packings: dict[str, Packing]) -> dict[str, Dump]:
    """Some dumps of a sample, packed anew."""
    arguments = ["--output", directory, "--scale", scale, "--seed", _SEED]
    run = flowlake("sample", *arguments, environment=local_environment())
    if run.code != 0:
        raise Unable(f"no dumps: {run}")
    dumps = {}
    for device in read_catalogue(directory / "catalogue.toml"):
        if device.dump in packings:
            lines = read_lines(find_parts(directory, device.dump))
            text = b"".join(line + b"\n" for _, line in lines)
            dumps[device.dump] = _dump(device, packings[device.dump], text)
    return dumps


def _dump(device: Device, packing: Packing, text: bytes) -> Dump:
    return Dump(device, packing, text, packing.pack(device.dump, text))


def _awkward(directory: Path) -> Dump:
    """Flows of the awkward dump, with totals that match."""
    (directory / "awkward").mkdir()
    catalogue = awkward_dumps.write(directory / "awkward")
    (device,) = (device for device in read_catalogue(catalogue) if device.dump == _AWKWARD)
    raw = (directory / "awkward" / f"{_AWKWARD}.json").read_bytes()
    flows = [line for line in judge_lines(raw) if line.kind == "flows"][:_AWKWARD_FLOWS]
    assert any(b'"::"' in line.text for line in flows), "an address that DHCP asks for is there"
    protocols = Counter(line.content["protocolIdentifier"] for line in flows)
    assert {1, 6, 17, 58} <= set(protocols), "every protocol is there"
    packets = sum(line.content["packetTotalCount"] + line.content["reversePacketTotalCount"] for line in flows)
    trailer = f'{{"stats":{{"exportedFlowTotalCount":{len(flows)},"packetTotalCount":{packets}}}}}'
    text = b"".join(line.text + b"\n" for line in flows) + trailer.encode() + b"\n"
    return _dump(device, _AWKWARD_PACKING, text)
