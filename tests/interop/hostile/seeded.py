"""Archives drawn by a seed: odd entries, odd lines, odd packaging, and in some of them a flaw that has to be found."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cache

from hostile import flows, lines
from hostile.cases import Case, Write, dump_case
from hostile.gzips import member
from hostile.lines import KEPT, PASSED_OVER, REJECTED, Line
from hostile.sandbox import Sandbox
from hostile.tars import (
    CHARACTER,
    DIRECTORY,
    END,
    FIFO,
    GNU_SPARSE,
    HARD_LINK,
    PAX_GLOBAL,
    SYMBOLIC_LINK,
    Header,
    archive,
    base_256,
    entry,
    gnu_name,
    pax,
    pax_record,
)

GROUP = "drawn archives"
_NAMES = [b"hub.json", b"../../outside/evil.json", b"/var/tmp/flowlake-was-here.json", b"d/e/f.json", b"\xff.json"]
_NO_DUMPS = [b"notes.txt", b"hub.json.bak", b"._hub.json", b"d/.json/x", b"hub.JSON"]


@cache
def usual_lines() -> list[Line]:
    """Hostile lines that are small and whose fate is settled."""
    return [line for line in lines.lines() if len(line.text) < 20_000]


@dataclass
class Drawn:
    """What an archive holds: the lines as they stand, and as exporters would have written them."""

    chance: random.Random
    entries: list[bytes] = field(default_factory=list)
    stands: list[bytes] = field(default_factory=list)
    plain: list[bytes] = field(default_factory=list)
    unusable: list[int] = field(default_factory=list)

    def add_json(self, number: int) -> None:
        text = []
        for _ in range(self.chance.randrange(1, 6)):
            if self.chance.random() < 0.5:
                stands = plain = flows.flow(self.chance.randrange(65_536))
            else:
                line = self.chance.choice(usual_lines())
                stands = line.text
                plain = {KEPT: line.plain, REJECTED: b"", PASSED_OVER: b'{"dns":1}' if line.text.strip() else b""}[
                    line.fate
                ]
                if line.fate == REJECTED:
                    self.unusable.append(len(self.stands) + 1)
            self.stands.append(stands)
            self.plain.append(plain)
            text.append(stands)
        content = b"\n".join(text) + b"\n"
        # A line that an entry breaks off in ends with it.
        if self.chance.random() < 0.2 and text[-1]:
            content = content[:-1]
        self.entries.append(self.named(self.chance.choice(_NAMES), content, number))

    def named(self, name: bytes, content: bytes, number: int) -> bytes:
        """An entry whose name and size are said in one of the ways there are."""
        way = self.chance.randrange(6)
        if way == 0:
            return pax(pax_record("path", name)) + entry("a.txt", content)
        if way == 1:
            return gnu_name(name) + entry("a.txt", content)
        if way == 2:
            return pax(pax_record("size", str(len(content)))) + entry(name, content, size=number)
        if way == 3:
            return entry(name, content, size=base_256(len(content)))
        if way == 4:
            return gnu_name(b"x" * 200 + b"/" + name) + entry("a.txt", content)
        return entry(name, content)

    def add_other(self, number: int) -> None:
        kind = self.chance.choice([DIRECTORY, SYMBOLIC_LINK, HARD_LINK, CHARACTER, FIFO])
        self.entries.append(
            self.chance.choice(
                [
                    entry("evil.json", type=kind, link=b"../outside/secret.json"),
                    entry("evil.json"),
                    self.named(self.chance.choice(_NO_DUMPS), flows.flow(number) + b"\n", number),
                    pax(pax_record("comment", "nothing"), type=PAX_GLOBAL),
                    END,
                    entry("d.json/", type=DIRECTORY),
                ]
            )
        )


FLAWS = [
    "a cut",
    "a cut archive",
    "a checksum",
    "a size",
    "a sparse file",
    "garbage",
    "a flipped trailer",
    "a PAX length",
]


def draw(seed: int) -> Case:
    """The case of a seed: the same on every machine."""
    chance = random.Random(seed)
    drawn = Drawn(chance)
    for number in range(chance.randrange(1, 12)):
        (drawn.add_json if number == 0 or chance.random() < 0.6 else drawn.add_other)(number)
    flaw = chance.choice(FLAWS) if chance.random() < 0.4 else ""
    at = chance.randrange(len(drawn.entries) + 1)
    if flaw == "a checksum":
        drawn.entries.insert(at, entry("x.json", b"x", checksum=b"000001\0 "))
    elif flaw == "a size":
        drawn.entries.append(entry("x.json", b"x", size=chance.choice([base_256(-512), base_256(2**62), b"x" * 12])))
    elif flaw == "a sparse file":
        drawn.entries.insert(at, Header(b"x.json", 0, GNU_SPARSE, magic=b"ustar  \0").block())
    elif flaw == "a PAX length":
        drawn.entries.insert(at, pax(b"3 path=x\n") + entry("x.json"))
    whole = archive(*drawn.entries)
    if flaw == "a cut archive":
        # Within the last entry that has content, whose header says how much there is.
        whole = archive(*drawn.entries, entry("x.json", bytes(5_000)))[: -1024 - chance.randrange(600, 4_000)]
    packed = _pack(whole, chance)
    if flaw == "a cut":
        packed = packed[: chance.randrange(1, len(packed) - 8)] if len(packed) > 20 else b"\x1f"
    elif flaw == "garbage":
        packed += b"garbage"
    elif flaw == "a flipped trailer":
        packed = packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:]
    parts = sorted(chance.randrange(len(packed) + 1) for _ in range(chance.choice([0, 0, 1, 3])))
    content = b"".join(line + b"\n" for line in drawn.stands)
    plain = b"".join(line + b"\n" for line in drawn.plain)
    return dump_case(
        GROUP,
        f"seed {seed}" + (f", {flaw}" if flaw else ""),
        _split(packed, parts),
        code=3 if flaw else 0,
        content=content,
        plain=plain,
        unusable=drawn.unusable,
    )


def _pack(whole: bytes, chance: random.Random) -> bytes:
    """Gzip of one member or several, with headers of all kinds."""
    cuts = sorted(chance.randrange(len(whole)) for _ in range(chance.choice([0, 0, 1, 5])))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    headers = [{}, {"name": b"../evil"}, {"extra": b"x" * 300}, {"comment": b"c", "header_checksum": True}]
    return b"".join(member(piece, level=chance.choice([0, 1, 9]), **chance.choice(headers)) for piece in pieces)


def _split(packed: bytes, cuts: list[int]) -> Write:
    def write(place: Sandbox) -> None:
        if not cuts:
            (place.dumps / "hub.tar.gz").write_bytes(packed)
            return
        for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(packed)], strict=True)):
            (place.dumps / f"hub.tar.gz{number:02}").write_bytes(packed[start:end])

    return write
