"""Reads flow dumps with nothing but Python's standard library (and `zstandard` for .zst).

This is one half of the independent oracle: it shares no code and no cleverness with flowlake's own reader. Lines come
out one at a time, in order, each with its number, so that a difference can be traced to the line that caused it.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import zstandard

# The spellings in which a dump may lie in a directory. Only the tar.gz form is ever split.
_SPLIT_PART = re.compile(r"\.tar\.gz\d+$")
_WHOLE_SUFFIXES = (".tar.gz", ".json", ".json.gz", ".json.zst")


def find_parts(directory: Path, stem: str) -> list[Path]:
    """The files of the dump `stem` in `directory`, in the order in which they are to be joined.

    There may be none. A stem can hold any character (`!`, `-`, spaces): names are compared, never used as patterns.
    """
    split = sorted(
        path
        for path in directory.iterdir()
        if path.name.startswith(stem) and _SPLIT_PART.fullmatch(path.name[len(stem) :])
    )
    whole = [path for suffix in _WHOLE_SUFFIXES if (path := directory / f"{stem}{suffix}").is_file()]
    if (split and whole) or len(whole) > 1:
        raise ValueError(f"{directory}: the dump {stem} is there more than once: {[p.name for p in split + whole]}")
    return split or whole


class _Joined(io.RawIOBase):
    """The parts of a split archive as one stream: they must be joined before they can be decompressed."""

    def __init__(self, parts: list[Path]) -> None:
        self._waiting = list(parts)
        self._current: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        while True:
            if self._current is None:
                if not self._waiting:
                    return 0
                self._current = self._waiting.pop(0).open("rb")
            read = self._current.readinto(buffer)
            if read:
                return read
            self._current.close()
            self._current = None


def read_lines(parts: list[Path]) -> Iterator[tuple[int, bytes]]:
    """The lines of a dump with their numbers, from 1, without their line ends."""
    name = parts[0].name
    joined = io.BufferedReader(_Joined(parts))
    if name.endswith(".zst"):
        text = zstandard.ZstdDecompressor().stream_reader(joined, read_across_frames=True)
        yield from _number(io.BufferedReader(text))
    elif name.endswith(".json"):
        yield from _number(joined)
    elif name.endswith(".json.gz"):
        # GzipFile goes on to the next member where one ends.
        yield from _number(io.BufferedReader(gzip.GzipFile(fileobj=joined)))
    else:
        with tarfile.open(fileobj=gzip.GzipFile(fileobj=joined), mode="r|") as archive:
            entries = 0
            for entry in archive:
                if not entry.isfile():
                    continue
                entries += 1
                if entries > 1:
                    raise ValueError(f"{name}: more than one file in the archive")
                content = archive.extractfile(entry)
                assert content is not None, "a regular file of an archive has content"
                yield from _number(content)


def _number(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(stream, start=1):
        line = line.rstrip(b"\r\n")
        if line:
            yield number, line


def read_records(parts: list[Path]) -> Iterator[tuple[int, str | None, dict]]:
    """The records of a dump: line number, kind (`flows`, `stats`, …) and content.

    A line that is not one JSON object comes out with the kind None: whoever counts needs to know of it.
    """
    for number, line in read_lines(parts):
        try:
            # Decimal keeps 1799.999 what it is, so that no rounding of ours hides a rounding of flowlake's.
            record = json.loads(line, parse_float=Decimal)
        except (ValueError, UnicodeDecodeError):
            yield number, None, {}
            continue
        if not isinstance(record, dict) or len(record) != 1:
            yield number, None, {}
            continue
        ((kind, content),) = record.items()
        yield number, kind, content if isinstance(content, dict) else {}
