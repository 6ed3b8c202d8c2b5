"""Damage to bytes, whatever they mean: a disk, a network, an editor. Each function gives other bytes than it took."""

from __future__ import annotations

import random
from collections.abc import Callable

Damage = Callable[[bytes, random.Random], bytes]


def flip_bit(data: bytes, chance: random.Random) -> bytes:
    return _xor(data, chance.randrange(len(data)), 1 << chance.randrange(8))


def flip_bit_at_the_ends(data: bytes, chance: random.Random) -> bytes:
    """Headers and checksums are there, and what nobody looks at: times, names, padding."""
    reach = min(24, len(data))
    at = chance.randrange(reach)
    return _xor(data, at if chance.random() < 0.5 else len(data) - 1 - at, 1 << chance.randrange(8))


def flip_bytes(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 8)):
        data = _xor(data, chance.randrange(len(data)), chance.randrange(1, 256))
    return data


def zeros(data: bytes, chance: random.Random) -> bytes:
    """A range that was never written."""
    at, end = _range(data, chance)
    return data[:at] + bytes(end - at) + data[end:]


def truncate(data: bytes, chance: random.Random) -> bytes:
    # The last bytes are where a checksum is cut, or an end mark.
    length = chance.choice([0, chance.randrange(len(data)), chance.randrange(len(data)), len(data) - 1])
    if chance.random() < 0.2:
        length = max(0, len(data) - chance.randint(1, 32))
    return data[:length]


def insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.randbytes(chance.choice([1, 2, 16, 512])) + data[at:]


def append(data: bytes, chance: random.Random) -> bytes:
    """Zeros as tapes have them, or what belongs to something else."""
    tail = chance.choice([bytes(1), bytes(512), bytes(10_240), b"\n", b"\r\n", b"garbage", bytes(16) + b"x"])
    return data + tail


def lose(data: bytes, chance: random.Random) -> bytes:
    at, end = _range(data, chance)
    return data[:at] + data[end:]


def swap_blocks(data: bytes, chance: random.Random) -> bytes:
    size = _block(data, chance)
    first, second = sorted(chance.sample(range(len(data) // size), 2))
    a, b = first * size, second * size
    return data[:a] + data[b : b + size] + data[a + size : b] + data[a : a + size] + data[b + size :]


def repeat_block(data: bytes, chance: random.Random) -> bytes:
    size = _block(data, chance)
    at = chance.randrange(len(data) // size) * size
    return data[: at + size] + data[at : at + size] * chance.choice([1, 1, 3]) + data[at + size :]


def repeat_all(data: bytes, chance: random.Random) -> bytes:
    """The same file twice in one, as `cat` makes it."""
    return data * 2


def _xor(data: bytes, at: int, bits: int) -> bytes:
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]


def _range(data: bytes, chance: random.Random) -> tuple[int, int]:
    size = min(len(data), chance.choice([1, 16, 64, 512, 4096]))
    at = chance.randrange(len(data) - size + 1)
    return at, at + size


def _block(data: bytes, chance: random.Random) -> int:
    """A size of blocks, of which there are at least two."""
    return max(1, min(chance.choice([16, 64, 512, 4096]), len(data) // 2))


BYTE_DAMAGE: dict[str, Damage] = {
    "bit flipped": flip_bit,
    "bit flipped at an end": flip_bit_at_the_ends,
    "bytes changed": flip_bytes,
    "zeros": zeros,
    "truncated": truncate,
    "bytes inserted": insert,
    "bytes appended": append,
    "bytes lost": lose,
    "blocks swapped": swap_blocks,
    "block repeated": repeat_block,
    "all of it twice": repeat_all,
}
