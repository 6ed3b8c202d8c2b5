"""Damage to the files that a split dump consists of."""

from __future__ import annotations

import random
from collections.abc import Callable

from torture.containers import Files

PartDamage = Callable[[Files, random.Random], Files]


def missing(files: Files, chance: random.Random) -> Files:
    gone = chance.choice(list(files))
    return {name: data for name, data in files.items() if name != gone}


def doubled(files: Files, chance: random.Random) -> Files:
    """One part is there twice, and those behind it are one further."""
    contents = list(files.values())
    at = chance.randrange(len(contents))
    contents.insert(at, contents[at])
    return dict(zip(_names(files, len(contents)), contents, strict=True))


def in_another_order(files: Files, chance: random.Random) -> Files:
    names = list(files)
    first, second = chance.sample(names, 2)
    return files | {first: files[second], second: files[first]}


def empty(files: Files, chance: random.Random) -> Files:
    return files | {chance.choice(list(files)): b""}


def cut_off(files: Files, chance: random.Random) -> Files:
    name = chance.choice(list(files))
    return files | {name: files[name][: chance.randrange(len(files[name]))]}


def beside_the_whole(files: Files, chance: random.Random) -> Files:
    """Somebody joined the parts, and left them there."""
    whole = next(iter(files)).rstrip("0123456789")
    return files | {whole: b"".join(files.values())}


def of_another_dump(files: Files, chance: random.Random) -> Files:
    name = chance.choice(list(files))
    return files | {name: chance.randbytes(len(files[name]))}


def named_otherwise(files: Files, chance: random.Random) -> Files:
    """Part 00 is named as if there was one digit, so that it is no part any more."""
    name = chance.choice(list(files))
    return {(other[:-2] + other[-1] if other == name else other): data for other, data in files.items()}


def _names(files: Files, count: int) -> list[str]:
    stem = next(iter(files)).rstrip("0123456789")
    return [f"{stem}{number:02}" for number in range(count)]


PART_DAMAGE: dict[str, PartDamage] = {
    "part missing": missing,
    "part doubled": doubled,
    "parts in another order": in_another_order,
    "part empty": empty,
    "part cut off": cut_off,
    "parts beside the whole": beside_the_whole,
    "part of something else": of_another_dump,
    "part named otherwise": named_otherwise,
}
