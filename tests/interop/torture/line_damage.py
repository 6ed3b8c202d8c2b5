"""Damage to the lines of a dump: cut, lost, repeated, joined, and in encodings that nobody asked for."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

# Lines without line ends go in; the text of a dump comes out.
LineDamage = Callable[[list[bytes], random.Random], bytes]

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def text_of(lines: list[bytes], end: bytes = b"\n") -> bytes:
    return b"".join(line + end for line in lines)


def cut(lines: list[bytes], chance: random.Random) -> bytes:
    for at in _some(lines, chance):
        lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
    return text_of(lines)


def cut_at_front(lines: list[bytes], chance: random.Random) -> bytes:
    for at in _some(lines, chance):
        lines[at] = lines[at][chance.randrange(len(lines[at]) + 1) :]
    return text_of(lines)


def repeated(lines: list[bytes], chance: random.Random) -> bytes:
    for at in _some(lines, chance):
        lines.insert(chance.choice([at, chance.randrange(len(lines))]), lines[at])
    return text_of(lines)


def swapped(lines: list[bytes], chance: random.Random) -> bytes:
    if chance.random() < 0.3:
        chance.shuffle(lines)
    else:
        first, second = chance.sample(range(len(lines)), 2)
        lines[first], lines[second] = lines[second], lines[first]
    return text_of(lines)


def lost(lines: list[bytes], chance: random.Random) -> bytes:
    for at in _some(lines, chance):
        del lines[at]
    return text_of(lines)


def joined(lines: list[bytes], chance: random.Random) -> bytes:
    """Line ends are lost; sometimes of half the dump, which is a very long line."""
    first = chance.randrange(len(lines) - 1)
    last = min(len(lines) - 1, first + chance.choice([1, 1, 2, len(lines) // 2]))
    between = chance.choice([b"", b"", b" ", b",", b"\t"])
    return text_of([*lines[:first], between.join(lines[first : last + 1]), *lines[last + 1 :]])


def torn(lines: list[bytes], chance: random.Random) -> bytes:
    """Line ends where there should be none."""
    for at in _some(lines, chance):
        middle = chance.randrange(len(lines[at]) + 1)
        lines[at] = lines[at][:middle] + b"\n" + lines[at][middle:]
    return text_of(lines)


def interleaved(lines: list[bytes], chance: random.Random) -> bytes:
    """Two writers of one file: a line stands in the middle of another."""
    for at in _some(lines[:-1], chance):
        middle = chance.randrange(len(lines[at]))
        lines[at] = lines[at][:middle] + lines[at + 1] + lines[at][middle:]
    return text_of(lines)


def invalid_utf8(lines: list[bytes], chance: random.Random) -> bytes:
    # A lone continuation, Latin-1, an overlong slash, half a surrogate pair, beyond Unicode, a character cut off.
    spoilers = [b"\x80", b"caf\xe9", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xff"]
    for at in _some(lines, chance):
        lines[at] = _into_text(lines[at], chance.choice(spoilers), chance)
    return text_of(lines)


def other_text(lines: list[bytes], chance: random.Random) -> bytes:
    """Characters that are legal, and rare."""
    texts = ["é", "日本", "\U0001f4a1", "\u2028", "\ufeff", "\x7f", "\\u0000", "\\ud83d\\udca1"]
    for at in _some(lines, chance):
        lines[at] = _into_text(lines[at], chance.choice(texts).encode(), chance)
    return text_of(lines)


def half_a_pair(lines: list[bytes], chance: random.Random) -> bytes:
    """Half a surrogate pair as an escape: legal JSON that is no text."""
    for at in _some(lines, chance):
        spoiler = chance.choice([rb"\ud800", rb"\udfff", rb"\ud800x", rb"\udc00\ud800"])
        if chance.random() < 0.3:
            # Where nobody reads it, it does no harm.
            lines[at] = lines[at].replace(b'{"flows":{', b'{"flows":{"note":"' + spoiler + b'",', 1)
        else:
            lines[at] = _into_text(lines[at], spoiler, chance)
    return text_of(lines)


def order_marks(lines: list[bytes], chance: random.Random) -> bytes:
    """Byte order marks: of the file, of each file that was joined, inside of lines."""
    where = chance.choice(["file", "lines", "twice", "inside", "rejected"])
    if where == "file":
        lines[0] = BYTE_ORDER_MARK + lines[0]
    for at in _some(lines, chance):
        match where:
            case "lines":
                lines[at] = BYTE_ORDER_MARK + lines[at]
            case "twice":
                lines[at] = BYTE_ORDER_MARK * 2 + lines[at]
            case "inside":
                lines[at] = lines[at][:1] + BYTE_ORDER_MARK + lines[at][1:]
            case "rejected":
                lines[at] = BYTE_ORDER_MARK + lines[at][:-1]
    return text_of(lines)


def utf16(lines: list[bytes], chance: random.Random) -> bytes:
    encoding = chance.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    if chance.random() < 0.4:
        return text_of(lines).decode().encode(encoding)
    for at in _some(lines, chance):
        lines[at] = lines[at].decode().encode(encoding)
    return text_of(lines)


def line_ends(lines: list[bytes], chance: random.Random) -> bytes:
    """Those of other systems, which are accepted, and those that are none."""
    match chance.randrange(5):
        case 0:
            return text_of(lines, b"\r\n")
        case 1:
            return text_of(lines, b"\r")
        case 2:
            return text_of(lines)[:-1]
        case 3:
            return text_of(lines, b"\r\r\n")
        case _:
            ends = [b"\n", b"\r\n", b"\n\n", b"\n \t\n", b" \n", b"\n\x0c\n"]
            return b"".join(line + chance.choice(ends) for line in lines)


def nul_bytes(lines: list[bytes], chance: random.Random) -> bytes:
    for at in _some(lines, chance):
        match chance.randrange(4):
            case 0:
                lines[at] = _into_text(lines[at], b"\0", chance)
            case 1:
                lines[at] += b"\0" * chance.choice([1, 512])
            case 2:
                lines[at] = b"\0" * chance.choice([1, 512]) + lines[at]
            case _:
                lines[at] = b"\0" * len(lines[at])
    return text_of(lines)


def respelt(lines: list[bytes], chance: random.Random) -> bytes:
    """Legal JSON in other words: escapes, white space, another order of keys. Nothing may change."""

    def escaped(match: re.Match[bytes]) -> bytes:
        return b'"' + b"".join(b"\\u%04x" % byte for byte in match[1]) + b'"'

    for at in _some(lines, chance, most=20):
        match chance.randrange(3):
            case 0:
                lines[at] = re.sub(rb'"([A-Za-z]+)"(?=:)', escaped, lines[at], count=chance.choice([1, 5, 0]))
            case 1:
                lines[at] = lines[at].replace(b",", b" ,\t").replace(b":", b" : ", 1).replace(b"}", b"\r}")
            case _:
                lines[at] = _turned(lines[at])
    return text_of(lines)


def _turned(line: bytes) -> bytes:
    """A flow with its keys the other way round."""
    if not line.startswith(b'{"flows":{') or not line.endswith(b"}}"):
        return line
    fields = re.findall(rb'"[^"]*":(?:"[^"]*"|[^,"]*)', line[10:-2])
    return b'{"flows":{' + b",".join(reversed(fields)) + b"}}"


def _into_text(line: bytes, more: bytes, chance: random.Random) -> bytes:
    """Puts bytes behind a quote: into a key, into a value, or between them."""
    quotes = [at for at, byte in enumerate(line) if byte == ord('"')]
    if chance.random() < 0.4:
        # Into a text that may hold anything.
        for name in (b'"flowEndReason":"', b'"collectorName":"'):
            if name in line:
                return line.replace(name, name + more, 1)
    if not quotes:
        return more + line
    at = chance.choice(quotes) + 1
    return line[:at] + more + line[at:]


def _some(lines: list[bytes], chance: random.Random, most: int = 5) -> list[int]:
    """Places of a few lines, the last one first, so that lines can be taken out."""
    count = min(len(lines), chance.randint(1, most))
    return sorted(chance.sample(range(len(lines)), count), reverse=True)


LINE_DAMAGE: dict[str, LineDamage] = {
    "lines cut": cut,
    "lines cut at the front": cut_at_front,
    "lines repeated": repeated,
    "lines swapped": swapped,
    "lines lost": lost,
    "lines joined": joined,
    "lines torn": torn,
    "lines interleaved": interleaved,
    "invalid UTF-8": invalid_utf8,
    "rare characters": other_text,
    "half a surrogate pair": half_a_pair,
    "byte order marks": order_marks,
    "UTF-16, UTF-32": utf16,
    "line ends": line_ends,
    "NUL bytes": nul_bytes,
    "respelt": respelt,
}
