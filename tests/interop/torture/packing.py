"""Packs the JSON of a dump in every way that flowlake reads: containers, members, frames, entries, parts."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from dataclasses import dataclass

import zstandard

from torture.containers import Files


@dataclass(frozen=True)
class Packing:
    """How a dump is packed."""

    suffix: str
    # Number of files it is split into; 0 is one file without a number.
    parts: int = 0
    # gzip members or zstd frames.
    members: int = 1
    # `.json` files inside a tar; beside several lie a directory, a text file and headers of the PAX kind.
    entries: int = 1
    checksum: bool = True

    @property
    def is_tar(self) -> bool:
        return self.suffix in (".tar.gz", ".tgz")

    @property
    def is_checked(self) -> bool:
        """Whether changed bytes cannot go unnoticed: a checksum stands over all of them."""
        return self.suffix != ".json" and self.checksum

    def pack(self, stem: str, text: bytes, damage_tar: Callable[[bytes], bytes] | None = None) -> Files:
        """The files of a dump. What `damage_tar` does to the tar is packed up again as if nothing had happened."""
        if self.is_tar:
            text = self.tar(stem, text)
            if damage_tar is not None:
                text = damage_tar(text)
        return self.split(stem, self.compress(text))

    def tar(self, stem: str, text: bytes) -> bytes:
        buffer = io.BytesIO()
        several = self.entries > 1
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            if several:
                directory = tarfile.TarInfo("export")
                directory.type = tarfile.DIRTYPE
                archive.addfile(directory)
                add(archive, "export/README.txt", b"not a record\n")
            for number, piece in enumerate(cut_at_lines(text, self.entries)):
                # Too long for a plain header.
                name = f"export/{'long-' * 30}{stem}-{number}.json" if several else f"{stem}.json"
                add(archive, name, piece)
        return buffer.getvalue()

    def compress(self, data: bytes) -> bytes:
        if self.suffix == ".json":
            return data
        step = -(-len(data) // self.members) or 1
        pieces = [data[at : at + step] for at in range(0, len(data), step)] or [b""]
        if self.suffix == ".json.zst":
            packer = zstandard.ZstdCompressor(level=3, write_checksum=self.checksum)
            return b"".join(packer.compress(piece) for piece in pieces)
        return b"".join(gzip.compress(piece, compresslevel=6, mtime=0) for piece in pieces)

    def split(self, stem: str, data: bytes, like: list[int] | None = None) -> Files:
        """The parts of a compressed stream: of equal sizes, or of those of `like` as far as they go."""
        if self.parts == 0:
            return {stem + self.suffix: data}
        sizes = like or [-(-len(data) // self.parts)] * self.parts
        files: Files = {}
        at = 0
        for number, size in enumerate(sizes):
            end = len(data) if number == len(sizes) - 1 else at + size
            files[f"{stem}{self.suffix}{number:02}"] = data[at:end]
            at = min(end, len(data))
        return files


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def cut_at_lines(text: bytes, pieces: int) -> list[bytes]:
    """Pieces of about the same size that end with a line, where there are lines."""
    found = []
    for left in range(pieces, 1, -1):
        middle = len(text) // left
        line_end = text.find(b"\n", middle)
        at = middle if line_end < 0 else line_end + 1
        found.append(text[:at])
        text = text[at:]
    return [*found, text]
