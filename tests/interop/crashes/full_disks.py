"""Disks that fill at any phase, and disks that are read-only: small file systems, mounted for a case."""

from __future__ import annotations

import contextlib
import random
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from crashes.corpus import WORKS
from crashes.places import Bucket, Disk
from crashes.points import Undisturbed
from crashes.runs import Missing, run
from crashes.verdicts import Case

# How many sizes of disks each work meets.
SIZES = 8
PAGE = 4096
# As few as a build on two threads asks for, and anything else.
DESCRIPTORS = {"fresh": 48, "replace": 48, "release": 32}
ROOMY = "size=256m,nr_inodes=100000"


def cases() -> Iterator[tuple]:
    for work in WORKS:
        for number in range(1, SIZES + 1):
            yield f"full-{work}-{number}", "disk full", work, _full(number)
            yield f"inodes-{work}-{number}", "disk out of inodes", work, _out_of_inodes(number)
            yield f"file-limit-{work}-{number}", "file size limit", work, _file_limit(number, ignored=True)
        yield f"file-limit-signal-{work}", "file size limit, killed by it", work, _file_limit(4, ignored=False)
        yield f"read-only-{work}", "target read-only", work, _read_only
        yield f"descriptors-{work}", "too few file descriptors", work, _few_descriptors
    for where in ("conditional", "unconditional"):
        for work in ("fresh", "replace"):
            for number in range(1, 3):
                name = f"full-tmpdir-{where}-{work}-{number}"
                yield name, f"store, {where}: TMPDIR full", work, _full_temporary(number), where
            yield f"read-only-tmpdir-{where}-{work}", f"store, {where}: TMPDIR read-only", work, _no_temporary, where


@contextlib.contextmanager
def mounted(directory: Path, options: str) -> Iterator[Callable[[str], None]]:
    """A file system of memory in a directory; what it gives mounts it again with other options."""
    command = shutil.which("mount")
    if command is None:
        raise Missing("there is no mount command")
    directory.mkdir(exist_ok=True)
    made = subprocess.run(
        [command, "-t", "tmpfs", "-o", options, "flowlake-crash", directory],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise Missing(f"no file system may be mounted here: {made.stderr.strip()}")
    try:
        yield lambda other: subprocess.run([command, "-o", f"remount,{other}", directory], check=True)
    finally:
        subprocess.run(["umount", directory], check=True)


def _blocks(directory: Path) -> int:
    """Bytes that a tree takes in such a file system."""
    return sum(-(-path.stat().st_size // PAGE) * PAGE for path in directory.rglob("*") if path.is_file())


def _entries(directory: Path) -> int:
    return 1 + sum(1 for _ in directory.rglob("*"))


def _lake_made(case: Case) -> Path:
    return case.corpus.lake("release" if case.work == "release" else "now")


def _on_small_disk(case: Case, options: str) -> None:
    assert isinstance(case.place, Disk)
    place = case.place
    place.parent_stays = True
    with mounted(place.parent, options) as remount:
        case.begin()
        done = run(case.arguments(), place.environment)
        case.judge(done, (0, 4), [place.parent], mend=lambda: remount(ROOMY))


def _full(number: int) -> Callable[[Case, random.Random, Undisturbed], None]:
    def attempt(case: Case, chance: random.Random, _: Undisturbed) -> None:
        # The last one is as likely to suffice as not.
        share = (number - 1 + chance.random()) / (SIZES - 0.5)
        there = _blocks(case.corpus.lake("before")) if case.work == "replace" else 0
        size = PAGE * round((there + share * _blocks(_lake_made(case))) / PAGE + 1)
        case.verdict.notes.append(f"{size} bytes, of which a lake has {there} already")
        _on_small_disk(case, f"size={size}")

    return attempt


def _out_of_inodes(number: int) -> Callable[[Case, random.Random, Undisturbed], None]:
    def attempt(case: Case, chance: random.Random, _: Undisturbed) -> None:
        there = _entries(case.corpus.lake("before")) if case.work == "replace" else 0
        share = (number - 1 + chance.random()) / (SIZES - 0.5)
        inodes = 1 + there + round(share * _entries(_lake_made(case)))
        case.verdict.notes.append(f"{inodes} inodes, of which a lake has {there} already")
        _on_small_disk(case, f"size=256m,nr_inodes={max(2, inodes)}")

    return attempt


def _read_only(case: Case, _: random.Random, __: Undisturbed) -> None:
    assert isinstance(case.place, Disk)
    place = case.place
    place.parent_stays = True
    with mounted(place.parent, ROOMY) as remount:
        case.begin()
        remount("ro")
        case.judge(run(case.arguments(), place.environment), (4,), [place.parent], mend=lambda: remount("rw"))


def _file_limit(number: int, ignored: bool) -> Callable[[Case, random.Random, Undisturbed], None]:
    """Writes that end short at a size of files: the signal that comes with it ends a program, unless it is ignored."""

    def attempt(case: Case, chance: random.Random, _: Undisturbed) -> None:
        assert isinstance(case.place, Disk)
        largest = max(path.stat().st_size for path in _lake_made(case).rglob("*") if path.is_file())
        limit = round(largest * (number - 1 + chance.random()) / SIZES)
        case.verdict.notes.append(f"files of at most {limit} bytes")
        case.begin()

        def limited() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN if ignored else signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        done = run(case.arguments(), case.place.environment, limits=limited, restore_signals=False)
        if not ignored and done.code == -signal.SIGXFSZ:
            case.judge_killed()
        else:
            case.judge(done, (4,), [case.place.parent])

    return attempt


def _few_descriptors(case: Case, chance: random.Random, _: Undisturbed) -> None:
    assert isinstance(case.place, Disk)
    case.begin()
    enough = DESCRIPTORS[case.work]
    few = chance.randint(8, 2 * enough)
    case.verdict.notes.append(f"{few} descriptors")
    done = run(
        case.arguments(),
        case.place.environment,
        limits=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (few, few)),
    )
    # It is told before anything is touched: tidying up takes some, too.
    case.judge(done, (0,) if few >= enough else (2,), ["ulimit -n"])


def _full_temporary(number: int) -> Callable[[Case, random.Random, Undisturbed], None]:
    def attempt(case: Case, chance: random.Random, _: Undisturbed) -> None:
        assert isinstance(case.place, Bucket)
        case.begin()
        # Files leave it as soon as they are uploaded, so that little is needed.
        size = PAGE * (1 + number * chance.randint(1, 6))
        case.verdict.notes.append(f"TMPDIR of {size} bytes")
        with mounted(case.place.temporary, f"size={size}") as remount:
            done = run(case.arguments(), case.place.environment)
            # Whoever looks needs room there, too.
            remount(ROOMY)
            case.judge(done, (4,), [case.place.temporary])

    return attempt


def _no_temporary(case: Case, _: random.Random, __: Undisturbed) -> None:
    case.begin()
    with mounted(case.place.temporary, "ro") as remount:
        done = run(case.arguments(), case.place.environment)
        remount("rw")
        case.judge(done, (4,), [case.place.temporary])
