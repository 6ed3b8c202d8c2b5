"""What the files of a dump hold, read with `zlib`, `zstandard` and the definition of tar, as far as checksums allow.

Stricter than Python's own `gzip` and `tarfile`, which take some archives that are cut off for shorter ones.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from dataclasses import dataclass

import zstandard

_SUFFIXES = (".tar.gz", ".tgz", ".json.gz", ".json.zst", ".json")
_NAME = re.compile(r"(?P<stem>.+?)(?P<suffix>\.tar\.gz|\.tgz|\.json\.gz|\.json\.zst|\.json)(?P<number>\d{2,6})?")
_BLOCK = 512
_SHORTEST_GZIP = 18

# Files of an input directory: names and bytes.
Files = dict[str, bytes]


class Unreadable(Exception):
    """A dump that cannot be read to its end. `how` is how that must be told, `part` a file that must be named.

    What was decompressed `before` may be nonsense already: a checksum comes after what it is for.
    """

    def __init__(self, how: str, part: str | None = None, at: int | None = None, before: bytes = b"") -> None:
        super().__init__(f"{how}, in {part} at byte {at}")
        self.how = how
        self.part = part
        self.at = at
        self.before = before


@dataclass(frozen=True)
class Content:
    """The JSON of a dump."""

    text: bytes
    # Decompressed, with what is not JSON.
    size: int
    entries: int


def find_parts(files: Files, stem: str, expected: int | None) -> list[str]:
    """The names of the files of a dump in the order they are joined in; the dump may be there once only."""
    found = []
    for name in files:
        match = _NAME.fullmatch(name)
        if match and match["stem"] == stem and not name.startswith("."):
            found.append((match["suffix"], match["number"], name))
    forms = {(suffix, len(number or "")) for suffix, number, _ in found}
    if len(forms) > 1:
        raise Unreadable("twice")
    numbered = sorted((int(number), name) for _, number, name in found if number)
    if not numbered:
        return [name for _, _, name in found]
    stem_and_suffix = numbered[0][1].rstrip("0123456789")
    digits = len(numbered[0][1]) - len(stem_and_suffix)
    for number in range(max(len(numbered), expected or 0)):
        if number >= len(numbered) or numbered[number][0] != number:
            raise Unreadable("missing", f"{stem_and_suffix}{number:0{digits}}")
    return [name for _, name in numbered]


def read(files: Files, parts: list[str]) -> Content:
    """What the parts hold."""
    joined = b"".join(files[name] for name in parts)
    suffix = _NAME.fullmatch(parts[0])["suffix"]
    try:
        if suffix == ".json":
            return Content(joined, len(joined), 0)
        if suffix == ".json.zst":
            text = unzstd(joined)
            return Content(text, len(text), 0)
        text = gunzip(joined)
        return Content(text, len(text), 0) if suffix == ".json.gz" else untar(text)
    except Unreadable as error:
        if error.how != "truncated":
            raise
        if suffix in (".tar.gz", ".tgz") and _is_nonsense(error.before):
            raise Unreadable("damaged or truncated", before=error.before) from error
        # All that is there was read: the end of the last part is where more should be.
        raise Unreadable("truncated", parts[-1], len(files[parts[-1]]), error.before) from error


def _is_nonsense(archive: bytes) -> bool:
    """Whether the beginning of a tar is damaged before it ends."""
    try:
        untar(archive)
    except Unreadable as error:
        return error.how == "damaged"
    return False


def gunzip(data: bytes) -> bytes:
    """Every member; zeros may follow, with which tapes and block devices pad files."""
    text = bytearray()
    while True:
        member = zlib.decompressobj(wbits=31)
        try:
            text += member.decompress(data)
        except zlib.error as error:
            raise Unreadable("damaged", before=bytes(text) + _as_far_as_possible(data)) from error
        if not member.eof:
            # Of a few bytes nobody can tell whether they are a beginning.
            long = len(data) >= _SHORTEST_GZIP or not data
            raise Unreadable("truncated" if long else "damaged or truncated", before=bytes(text))
        data = member.unused_data
        if not data.strip(b"\0"):
            return bytes(text)
        if data[0] == 0:
            raise Unreadable("damaged", before=bytes(text))


def _as_far_as_possible(data: bytes) -> bytes:
    """What a damaged member gives before the damage shows."""
    text = bytearray()
    member = zlib.decompressobj(wbits=31)
    try:
        for at in range(len(data)):
            text += member.decompress(data[at : at + 1])
    except zlib.error:
        pass
    return bytes(text)


def unzstd(data: bytes) -> bytes:
    """Every frame."""
    text = bytearray()
    while True:
        frame = zstandard.ZstdDecompressor().decompressobj()
        try:
            text += frame.decompress(data)
        except zstandard.ZstdError as error:
            raise Unreadable("damaged") from error
        if not frame.eof:
            raise Unreadable("truncated" if len(data) >= _SHORTEST_GZIP or not data else "damaged or truncated")
        data = frame.unused_data
        if not data:
            return bytes(text)


def untar(archive: bytes) -> Content:
    """All `.json` files of an archive, joined; each begins a line."""
    text = bytearray()
    at = entries = json_files = 0
    size_by_pax: int | None = None
    long_name: bytes | None = None
    while at < len(archive):
        block = archive[at : at + _BLOCK]
        at += _BLOCK
        if not block.strip(b"\0"):
            continue
        if len(block) < _BLOCK:
            raise Unreadable("truncated")
        header = _header(block)
        entries += 1
        content_at, at = at, at + _padded(header.size)
        if header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME):
            if at > len(archive):
                raise Unreadable("truncated")
            content = archive[content_at : content_at + header.size]
            if header.type == tarfile.GNUTYPE_LONGNAME:
                long_name = content.replace(b"\0", b"")
            else:
                records = _pax_records(content)
                long_name = records.get(b"path", long_name)
                size_by_pax = int(records[b"size"]) if b"size" in records else size_by_pax
            continue
        if header.type == tarfile.GNUTYPE_SPARSE:
            raise Unreadable("damaged")
        regular = header.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
        size = size_by_pax if regular and size_by_pax is not None else header.size
        name, size_by_pax, long_name = long_name or header.name.encode("utf-8", "surrogateescape"), None, None
        at = content_at + _padded(size)
        if at > len(archive):
            raise Unreadable("truncated")
        last = name.rsplit(b"/")[-1]
        if regular and last.endswith(b".json") and not last.startswith(b"._"):
            json_files += 1
            if text and not text.endswith(b"\n") and size:
                text += b"\n"
            text += archive[content_at : content_at + size]
    if json_files == 0:
        raise Unreadable("no json")
    return Content(bytes(text), len(archive), entries)


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as error:
        raise Unreadable("damaged") from error
    if header.size < 0:
        raise Unreadable("damaged")
    # `frombuf` makes directories of old files whose name ends in a slash; neither is JSON.
    return header


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _pax_records(content: bytes) -> dict[bytes, bytes]:
    records = {}
    while content:
        digits, space, _ = content.partition(b" ")
        if not space or not digits.isdigit() or not 0 < int(digits) <= len(content):
            raise Unreadable("damaged")
        record, content = content[: int(digits)], content[int(digits) :]
        key, equals, value = record[len(digits) + 1 :].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise Unreadable("damaged")
        records[key] = value[:-1]
    return records
