"""Decompresses dumps for peers, which cannot read them as they are: split archives of one text each.

As fast as can be had: with ISA-L, on threads beside the engine, and never onto a disk.
"""

from __future__ import annotations

import fcntl
import io
import os
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from isal import igzip

from bench_peers.product import Device

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Text:
    """The text of a dump and where this process can read it."""

    device: Device
    path: str


def stream(devices: list[Device], directory: Path) -> list[Text]:
    """The texts of all dumps as named pipes in a directory, decompressed while they are read.

    For engines that read a file once, from its start to its end: it spares them 1.5 GB of memory, and the time to
    get it.
    """
    texts = []
    for device in devices:
        path = directory / f"{device.name}.json"
        os.mkfifo(path)
        # It waits for a reader. If it fails, rows are missing, which is found out.
        Thread(target=_feed, args=(device, path), daemon=True).start()
        texts.append(Text(device, str(path)))
    return texts


def _feed(device: Device, path: Path) -> None:
    with path.open("wb", buffering=0) as pipe:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _BLOCK)
        for block in read_blocks(device):
            rest = memoryview(block)
            while rest:
                rest = rest[pipe.write(rest) :]


def unpack(devices: list[Device]) -> Iterator[Text]:
    """The texts of all dumps as files in memory, one after the other, each there until the next one is asked for.

    For engines that need to know how long a file is. The next dump is decompressed meanwhile.
    """
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(_to_memory, devices[0])
        for i, device in enumerate(devices):
            descriptor = coming.result()
            if i + 1 < len(devices):
                coming = pool.submit(_to_memory, devices[i + 1])
            yield Text(device, f"/proc/self/fd/{descriptor}")
            os.close(descriptor)


def _to_memory(device: Device) -> int:
    descriptor = os.memfd_create(device.name)
    with open(descriptor, "wb", closefd=False) as text:
        for block in read_blocks(device):
            text.write(block)
    return descriptor


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
