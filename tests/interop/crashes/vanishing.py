"""Dumps and lakes that vanish or shrink while they are read: a run is stopped at a read, and goes on after that."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from crashes.corpus import PARTS, PLAIN, SINGLE
from crashes.points import Undisturbed
from crashes.runs import run, traced, when_stopped
from crashes.verdicts import Case

# Where the plain dump is cut: the run has read less, and the dump has more.
CUT = 350_000


def cases() -> Iterator[tuple]:
    kind = "input vanishes while it is read"
    plain, first, second, third = f"{PLAIN}.json", *(f"{PARTS}.tar.gz{part:02}" for part in range(3))
    for work in ("fresh", "replace"):
        # What is open stays readable, whatever becomes of its name.
        yield f"open-renamed-{work}", kind, work, _change(plain, 2, plain, _rename, 0)
        yield f"open-unlinked-{work}", kind, work, _change(plain, 2, plain, Path.unlink, 0)
        yield f"open-replaced-{work}", kind, work, _change(plain, 2, plain, _replace, 0)
        yield f"open-truncated-{work}", kind, work, _change(plain, 2, plain, _truncate, 3)
        yield f"open-cut-at-line-{work}", kind, work, _change(plain, 2, plain, _cut_at_line, 3)
        yield f"open-overwritten-{work}", kind, work, _change(plain, 2, plain, _overwrite, 3)
        yield f"part-unlinked-{work}", kind, work, _change(first, 1, second, Path.unlink, 3)
        yield f"part-renamed-{work}", kind, work, _change(first, 1, third, _rename, 3)
        yield f"part-truncated-{work}", kind, work, _change(first, 1, third, _truncate_half, 3)
        yield f"part-replaced-{work}", kind, work, _change(first, 1, second, _replace, 3)
        yield f"dumps-renamed-{work}", kind, work, _change(first, 1, ".", _rename, 3)
        # Which of two dumps is read first nobody promised: it was read whole, or it is missing.
        yield f"other-unlinked-{work}", kind, work, _change(first, 1, f"{SINGLE}.tar.gz", Path.unlink, 0, 3)
    kind = "lake vanishes while it is released"
    for name, action in (("unlinked", Path.unlink), ("truncated", _truncate_half), ("replaced", _replace)):
        yield f"lake-{name}-release", kind, "release", _change_lake(action)


def own_source(case: Case) -> Path:
    """A copy of what the case reads, for it alone."""
    source = case.place.root / "source"
    shared = case.corpus.lake("now") if case.work == "release" else case.corpus.dumps
    shutil.copytree(shared, source)
    if case.work != "release":
        shutil.copy(case.corpus.catalogue, source.with_name("catalogue.toml"))
    case.source = source
    return source


def _change(at: str, read: int, what: str, action: Callable[[Path], None], *codes: int) -> Callable:
    """Changes something when the run has read a dump that many times."""

    def attempt(case: Case, _: random.Random, __: Undisturbed) -> None:
        case.jobs = 1
        case.begin()
        source = own_source(case)
        _stopped(case, source / at, "read", read, source / what, action, codes)

    return attempt


def _change_lake(action: Callable[[Path], None]) -> Callable:
    """Changes the last file of a lake when the first one is opened to be copied, after it was opened to be verified."""

    def attempt(case: Case, _: random.Random, __: Undisturbed) -> None:
        case.jobs = 1
        case.begin()
        files = sorted((own_source(case) / "data").rglob("*.parquet"))
        _stopped(case, files[0], "openat", 2, files[-1], action, (1, 3))

    return attempt


def _stopped(
    case: Case, at: Path, call: str, nth: int, what: Path, action: Callable[[Path], None], codes: tuple[int, ...]
) -> None:
    log = case.place.root / "calls"
    happened = []

    def change() -> None:
        action(what)
        happened.append(what)

    under = traced(log, [call], "-P", str(at), "-e", f"inject={call}:signal=SIGSTOP:when={nth}")
    done = run(case.arguments(), case.place.environment, under=under, meanwhile=when_stopped(log, change))
    if not happened:
        case.verdict.wrong.append(f"it never came to {call} number {nth} of {at.name}")
    # A part that is cut is found where the archive ends, so that the dump is what has a name.
    dump = what.name.split(".tar.gz")[0].split(".json")[0] or what.name
    case.judge(done, codes, [what, dump])


def _rename(path: Path) -> None:
    path.rename(path.with_name(path.name + "-elsewhere"))


def _replace(path: Path) -> None:
    other = path.with_name("shorter")
    content = path.read_bytes()
    other.write_bytes(content[: len(content) // 2])
    other.replace(path)


def _truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(CUT)


def _truncate_half(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def _cut_at_line(path: Path) -> None:
    end = path.read_bytes().index(b"\n", CUT) + 1
    with path.open("r+b") as file:
        file.truncate(end)


def _overwrite(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:CUT])
