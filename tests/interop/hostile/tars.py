"""Tar archives byte by byte: what Python's tarfile refuses to write."""

from __future__ import annotations

from dataclasses import dataclass

BLOCK = 512
REGULAR, OLD_REGULAR, HARD_LINK, SYMBOLIC_LINK = b"0", b"\0", b"1", b"2"
CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO, CONTIGUOUS = b"3", b"4", b"5", b"6", b"7"
PAX, PAX_GLOBAL, GNU_NAME, GNU_LINK, GNU_SPARSE = b"x", b"g", b"L", b"K", b"S"


@dataclass(frozen=True)
class Header:
    """A header, each field as its bytes; what is too short is filled with zeros."""

    name: bytes = b"hub.json"
    size: int | bytes = 0
    type: bytes = REGULAR
    link: bytes = b""
    mode: bytes = b"0000644\0"
    time: bytes = b"13504000000\0"
    magic: bytes = b"ustar\x0000"
    device: bytes = b"0000000\x000000000\0"
    # What is behind the magic: names of the owner, devices, prefix.
    prefix: bytes = b""
    # Of old GNU headers, at their place.
    gnu: bytes = b""
    checksum: bytes | None = None

    def block(self) -> bytes:
        size = b"%011o\0" % self.size if isinstance(self.size, int) else self.size
        parts = [
            (self.name, 100),
            (self.mode, 8),
            (b"0001750\0", 8),
            (b"0001750\0", 8),
            (size, 12),
            (self.time, 12),
            (b" " * 8, 8),
            (self.type, 1),
            (self.link, 100),
            (self.magic, 8),
            (b"", 64),
            (self.device, 16),
            (self.prefix, 155),
            (b"", 12),
        ]
        block = b"".join(value[:length].ljust(length, b"\0") for value, length in parts)
        if self.gnu:
            block = block[:345] + self.gnu[:167].ljust(167, b"\0")
        checksum = b"%06o\0 " % sum(block) if self.checksum is None else self.checksum
        return block[:148] + checksum + block[156:]


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % BLOCK)


def entry(name: bytes | str, content: bytes = b"", **header: object) -> bytes:
    """An entry with its content."""
    name = name.encode() if isinstance(name, str) else name
    made = Header(**({"name": name, "size": len(content)} | header))  # type: ignore[arg-type]
    return made.block() + padded(content)


END = bytes(2 * BLOCK)


def archive(*entries: bytes, end: bytes = END) -> bytes:
    return b"".join(entries) + end


def base_256(number: int) -> bytes:
    """A size of 12 bytes in base 256, as GNU writes what no octal digits hold; negative ones too."""
    if number < 0:
        return (number % (1 << 96)).to_bytes(12, "big")
    return bytes([0x80 | (number >> 88), *(number & ((1 << 88) - 1)).to_bytes(11, "big")])


def pax_record(key: str | bytes, value: str | bytes) -> bytes:
    key = key.encode() if isinstance(key, str) else key
    value = value.encode() if isinstance(value, str) else value
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def pax(*records: bytes, **header: object) -> bytes:
    """An extended header, which is about the next entry."""
    return entry("./PaxHeaders/hub.json", b"".join(records), **({"type": PAX} | header))


def gnu_name(name: bytes, **header: object) -> bytes:
    """A long name, which is that of the next entry."""
    return entry("././@LongLink", name + b"\0", **({"type": GNU_NAME, "magic": b"ustar  \0"} | header))
