"""Gzip members byte by byte, and compressed streams that become far larger than what was written for them."""

from __future__ import annotations

import os
import struct
import zlib
from functools import cache
from pathlib import Path

import zstandard

TEXT, HEADER_CHECKSUM, EXTRA, NAME, COMMENT = 1, 2, 4, 8, 16


def member(
    content: bytes,
    *,
    method: int = 8,
    flags: int | None = None,
    extra: bytes | None = None,
    name: bytes | None = None,
    comment: bytes | None = None,
    header_checksum: bool | int = False,
    checksum: int | None = None,
    size: int | None = None,
    level: int = 6,
) -> bytes:
    """A member with whatever its header may hold, right or wrong."""
    set_flags = sum(
        flag
        for flag, value in (
            (EXTRA, extra),
            (NAME, name),
            (COMMENT, comment),
            (HEADER_CHECKSUM, header_checksum or None),
        )
        if value is not None
    )
    header = struct.pack("<BBBBIBB", 0x1F, 0x8B, method, set_flags if flags is None else flags, 0, 0, 255)
    if extra is not None:
        header += struct.pack("<H", len(extra)) + extra
    header += b"" if name is None else name + b"\0"
    header += b"" if comment is None else comment + b"\0"
    if header_checksum is not False:
        right = zlib.crc32(header) & 0xFFFF
        header += struct.pack("<H", right if header_checksum is True else header_checksum)
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15)
    body = deflate.compress(content) + deflate.flush()
    crc = zlib.crc32(content) if checksum is None else checksum
    return header + body + struct.pack("<II", crc, (len(content) if size is None else size) & 0xFFFFFFFF)


def repeated(block: bytes, times: int) -> bytes:
    """A member of a block many times over, which is compressed once: it is the same behind every full flush."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    header = struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, 0, 0, 0, 255)
    piece = deflate.compress(block) + deflate.flush(zlib.Z_FULL_FLUSH)
    crc = 0
    for _ in range(times):
        crc = zlib.crc32(block, crc)
    return header + piece * times + deflate.flush() + struct.pack("<II", crc, len(block) * times & 0xFFFFFFFF)


@cache
def gibibyte(of: bytes) -> bytes:
    """A member of a GiB of a byte or a few: about a MiB."""
    block = of * ((1 << 20) // len(of))
    return repeated(block, 1024)


def write_stacked(directory: Path, stem: str, first: bytes, again: bytes, times: int) -> None:
    """A split archive of one part, and of another one many times over: one file by many names, written once."""
    digits = len(str(times + 1)) + 1
    (directory / f"{stem}{0:0{digits}}").write_bytes(first)
    original = directory / f"{stem}{1:0{digits}}"
    original.write_bytes(again)
    for number in range(2, times + 1):
        os.link(original, directory / f"{stem}{number:0{digits}}")


def zstd_repeated(block: bytes, times: int) -> bytes:
    """Zstandard frames of a block many times over; a frame of 64 of them is compressed once."""
    frame = zstandard.ZstdCompressor(level=3).compress
    return frame(block * 64) * (times // 64) + (frame(block * (times % 64)) if times % 64 else b"")
