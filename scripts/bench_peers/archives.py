"""Unpacks dumps for peers, which cannot read them as they are: split archives of one text each.

As fast as can be had: with ISA-L, several dumps at a time, into memory and never to disk.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from isal import igzip

from bench_peers.product import Device

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Text:
    """The text of a dump, as a file in memory."""

    device: Device
    descriptor: int

    @property
    def path(self) -> str:
        """A path under which this process can open it."""
        return f"/proc/self/fd/{self.descriptor}"


def unpack(devices: list[Device], jobs: int) -> list[Text]:
    """The texts of all dumps, in the order of the devices."""

    def one(device: Device) -> Text:
        descriptor = os.memfd_create(device.name)
        with open(descriptor, "wb", closefd=False) as text:
            for block in read_blocks(device):
                text.write(block)
        return Text(device, descriptor)

    # Threads are enough: ISA-L and writing run outside of the interpreter's lock.
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, devices))


def link(texts: list[Text], directory: Path) -> str:
    """A pattern that finds the texts as files of their devices' names, for engines that search a directory."""
    for text in texts:
        (directory / f"{text.device.name}.json").symlink_to(f"/proc/{os.getpid()}/fd/{text.descriptor}")
    return f"{directory}/*.json"


def read_blocks(device: Device) -> Iterator[bytes]:
    """The text of a dump: parts joined, decompressed, and out of the archive."""
    # Joined in memory: that is 5 % of what comes out.
    joined = io.BytesIO(b"".join(part.read_bytes() for part in device.parts))
    with igzip.open(joined, "rb") as archive:
        entry = tarfile.TarInfo.frombuf(archive.read(tarfile.BLOCKSIZE), "utf-8", "strict")
        if not entry.isreg():
            raise ValueError(f"{device.parts[0]}: the first entry is no file")
        left = entry.size
        while left > 0:
            block = archive.read(min(left, _BLOCK))
            if not block:
                raise ValueError(f"{device.parts[0]}: ends too early")
            left -= len(block)
            yield block
