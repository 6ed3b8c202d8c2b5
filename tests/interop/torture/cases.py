"""What is done in a case of the campaign: drawn from seed and number, and nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from torture.byte_damage import BYTE_DAMAGE, Damage
from torture.containers import Files
from torture.corpus import LARGE, Dump
from torture.expected import Limits, Options
from torture.line_damage import LINE_DAMAGE, LineDamage
from torture.part_damage import PART_DAMAGE
from torture.value_damage import VALUE_DAMAGE

# Where damage is done, as tables tell it.
PACKED, PARTS, TAR, TEXT, LINES, VALUES = "archive", "parts", "tar", "JSON", "lines", "values"

# Damage to bytes that leaves none out and adds none.
CHANGES = ("bit flipped", "bit flipped at an end", "bytes changed", "zeros")
# One case in so many is of the large dump, which every kind fits.
_LARGE_EVERY = 30

Make = Callable[[Dump, random.Random], Files]


@dataclass(frozen=True)
class Kind:
    """A kind of damage: where, what, and which dumps it can be done to."""

    where: str
    what: str
    make: Make
    fits: Callable[[Dump], bool]

    @property
    def name(self) -> str:
        return f"{self.where}: {self.what}"


def _packed(damage: Damage) -> Make:
    def make(dump: Dump, chance: random.Random) -> Files:
        sizes = [len(data) for data in dump.files.values()]
        data = damage(b"".join(dump.files.values()), chance)
        return dump.packing.split(dump.stem, data, like=sizes)

    return make


def _tar(damage: Damage) -> Make:
    return lambda dump, chance: dump.packing.pack(dump.stem, dump.text, lambda tar: damage(tar, chance))


def _text(damage: Damage) -> Make:
    return lambda dump, chance: dump.packing.pack(dump.stem, damage(dump.text, chance))


def _lines(damage: LineDamage) -> Make:
    def make(dump: Dump, chance: random.Random) -> Files:
        lines = dump.text.split(b"\n")
        assert not lines.pop(), "the last line of a dump has an end"
        return dump.packing.pack(dump.stem, damage(lines, chance))

    return make


def _any(dump: Dump) -> bool:
    return True


def _is_tar(dump: Dump) -> bool:
    return dump.packing.is_tar


def _is_split(dump: Dump) -> bool:
    return dump.packing.parts > 1


KINDS = [
    *(Kind(PACKED, what, _packed(damage), _any) for what, damage in BYTE_DAMAGE.items()),
    *(
        Kind(PARTS, what, lambda d, c, damage=damage: damage(dict(d.files), c), _is_split)
        for what, damage in PART_DAMAGE.items()
    ),
    *(Kind(TAR, what, _tar(damage), _is_tar) for what, damage in BYTE_DAMAGE.items()),
    *(Kind(TEXT, what, _text(damage), _any) for what, damage in BYTE_DAMAGE.items()),
    *(Kind(LINES, what, _lines(damage), _any) for what, damage in LINE_DAMAGE.items()),
    *(Kind(VALUES, what, _lines(damage), _any) for what, damage in VALUE_DAMAGE.items()),
]


@dataclass(frozen=True)
class Case:
    """A build of a damaged dump beside others that are whole."""

    seed: int
    number: int
    kind: Kind
    dump: str
    # Dumps that nothing was done to.
    beside: tuple[str, ...]
    files: Files
    options: Options
    # Whether the catalogue says how many parts dumps have.
    parts_known: bool
    # Whether a lake is there that is to be replaced.
    replaces: bool
    jobs: int

    def __str__(self) -> str:
        options = " ".join(self.options.arguments())
        usual = vars(Limits())
        limits = {name: value for name, value in vars(self.options.limits).items() if value != usual[name]}
        beside = ", ".join(self.beside) or "nothing"
        more = " --replace" if self.replaces else ""
        known = "known" if self.parts_known else "unknown"
        return (
            f"seed {self.seed} case {self.number}: {self.kind.name}\n"
            f"  {self.dump} ({', '.join(self.files)}) beside {beside}, number of parts {known}\n"
            f"  {options} --jobs {self.jobs}{more}, limits {limits}"
        )


def draw(seed: int, number: int, corpus: dict[str, Dump]) -> Case:
    """The case of a number, from 1. Kinds take turns, so that every one has its share."""
    chance = random.Random(f"torture {seed} {number}")
    kind = KINDS[(number - 1) % len(KINDS)]
    # The large one seldom: it takes seconds to know what to expect of it.
    dump = chance.choice([dump for dump in corpus.values() if kind.fits(dump) and dump.stem != LARGE])
    if number % _LARGE_EVERY == 0:
        dump = corpus[LARGE]
    others = [stem for stem in corpus if stem not in (dump.stem, LARGE)]
    beside = tuple(chance.sample(others, chance.choice([0, 1, 1, 2])))
    limits = draw_limits(chance, dump)
    if replace(limits, max_rejected_share=0, max_rejected_lines=0) != Limits(0, 0):
        # Other dumps would pass these limits, and that would be all there is to see.
        beside = ()
    first = chance.choice(["2019-07", "2019-08"]) if chance.random() < 0.1 else None
    return Case(
        seed=seed,
        number=number,
        kind=kind,
        dump=dump.stem,
        beside=beside,
        options=Options(
            recipe=chance.choices(["full", "flows", "encoded"], [6, 3, 2])[0],
            limits=limits,
            strict=chance.random() < 0.25,
            first=first,
            behind="2019-10" if chance.random() < 0.1 else None,
        ),
        parts_known=chance.random() < 0.3,
        # Half of the cases, of each kind.
        replaces=((number - 1) // len(KINDS) + number) % 2 == 0,
        jobs=chance.choice([1, 2, 4]),
        files=kind.make(dump, chance),
    )


def draw_limits(chance: random.Random, dump: Dump) -> Limits:
    """Mostly such that rejected lines do not end a build: then there are rows to look at."""
    level = chance.choices(
        ["lenient", "default", "share", "lines", "line", "size", "entries", "months"], [50, 12, 10, 8, 6, 5, 3, 4]
    )[0]
    match level:
        case "default":
            return Limits()
        case "share":
            return Limits(max_rejected_share=0.05)
        case "lines":
            return Limits(max_rejected_share=1.0, max_rejected_lines=chance.choice([0, 1, 3]))
        case "line":
            return Limits(max_rejected_share=1.0, max_line_bytes=64 << 10)
        case "size":
            return Limits(max_rejected_share=1.0, max_decompressed_bytes=len(dump.text) + 20_480)
        case "entries":
            return Limits(max_rejected_share=1.0, max_archive_entries=chance.choice([1, 6]))
        case "months":
            return Limits(max_rejected_share=1.0, max_months=chance.choice([1, 5, 6]))
        case _:
            return Limits(max_rejected_share=1.0)
