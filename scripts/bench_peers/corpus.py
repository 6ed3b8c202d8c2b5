"""Corpora of synthetic dumps, made once for each size and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench_peers.product import REPOSITORY, Device, read_devices

_NOTES = "corpus.json"
# What a scale of 1 has, roughly; only to choose scales and to see whether there is room.
JSON_BYTES_OF_SCALE_1 = 29.5e9
ARCHIVE_BYTES_OF_SCALE_1 = 1.3e9


@dataclass(frozen=True)
class Corpus:
    """A directory of dumps and what is in them."""

    path: Path
    scale: float
    archive_bytes: int
    # All lines, decompressed.
    json_bytes: int

    @property
    def gigabytes(self) -> float:
        return self.json_bytes / 1e9

    @property
    def devices(self) -> list[Device]:
        return read_devices(self.path)

    def describe(self) -> str:
        return (
            f"scale {self.scale:g}: {len(self.devices)} archives, {self.archive_bytes / 1e6:.1f} MB, "
            f"{self.gigabytes:.2f} GB of JSON"
        )


def make(binary: Path, scale: float, directory: Path) -> Corpus:
    """The corpus of a scale: the one that is there, or a new one."""
    home = directory / f"corpus-{scale:g}-{_generator()}"
    path = home / "dumps"
    if not (home / _NOTES).is_file():
        # What is left of an earlier attempt has no notes.
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        print(f"making a corpus of scale {scale:g} in {path}", file=sys.stderr)
        subprocess.run(
            [binary, "sample", "--output", path, "--scale", f"{scale:g}"], stdout=subprocess.DEVNULL, check=True
        )
        devices = read_devices(path)
        notes = {"archiveBytes": sum(device.archive_bytes for device in devices), "jsonBytes": _json_bytes(devices)}
        (home / _NOTES).write_text(json.dumps(notes) + "\n")
    notes = json.loads((home / _NOTES).read_text())
    corpus = Corpus(path, scale, notes["archiveBytes"], notes["jsonBytes"])
    # Whoever comes first would wait for the disk: read everything once, in another process for the reason that
    # `measure` gives.
    subprocess.run(feed_command(corpus.devices, 1, "cat > /dev/null"), check=True)
    return corpus


def _generator() -> str:
    """A short name of what corpora are made by: another generator makes others."""
    digest = hashlib.sha256()
    for path in sorted([*(REPOSITORY / "crates/sample/src").glob("*.rs"), *(REPOSITORY / "config").glob("*.toml")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def feed_command(devices: list[Device], jobs: int, program: str) -> list[str]:
    """A command that passes each archive to a shell command, as many at a time as there are threads; no more."""
    dumps = [" ".join(shlex.quote(os.fspath(part)) for part in device.parts) for device in devices]
    # Parts are joined before they are decompressed: the second one on its own is no archive.
    lines = "".join(f"cat {parts} | {program}\\0" for parts in dumps)
    return ["sh", "-c", f"printf {shlex.quote(lines.replace('%', '%%'))} | xargs -0 -n 1 -P {jobs} sh -c"]


def _json_bytes(devices: list[Device]) -> int:
    # Archives add a header and some padding, a few KB each, which does not matter here.
    command = feed_command(devices, os.cpu_count() or 1, "gzip -dc | wc -c")
    counts = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return sum(map(int, counts.split()))
