"""Files and directories that may not be read or written. Root may everything, so it gives up that power for the run."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from crashes.corpus import PARTS, WORKS
from crashes.places import Disk
from crashes.points import Undisturbed
from crashes.runs import Missing, run
from crashes.vanishing import own_source
from crashes.verdicts import Case

Attempt = Callable[[Case, random.Random, Undisturbed], None]


def cases() -> Iterator[tuple]:
    kind = "permission denied"
    for work in ("fresh", "replace"):
        yield f"denied-dump-{work}", kind, work, _input(f"{PARTS}.tar.gz01", 0o000, 3)
        yield f"denied-dumps-{work}", kind, work, _input(".", 0o000, 3)
        yield f"denied-catalogue-{work}", kind, work, _input("../catalogue.toml", 0o000, 2)
    yield "denied-lake-release", kind, "release", _input("manifest.json", 0o000, 3)
    yield "denied-lake-data-release", kind, "release", _input("data", 0o000, 1, 3)
    for work in WORKS:
        yield f"denied-parent-{work}", kind, work, _output("", 0o555, 4)
    yield "denied-old-manifest-replace", kind, "replace", _output("lake/manifest.json", 0o000, 4)
    yield "denied-old-lake-replace", kind, "replace", _output("lake", 0o000, 4)
    yield "denied-lock-fresh", "lock of another user", "fresh", _lock
    yield "denied-old-data-replace", "old lake cannot be removed", "replace", _old_data


def powerless() -> list[str]:
    """What stands before a command for which the modes of files count."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise Missing("as root, setpriv is needed (Debian and Ubuntu: package util-linux)")
    return [setpriv, "--bounding-set", "-dac_override,-dac_read_search,-fowner"]


def _with_mode(case: Case, path: Path, mode: int, codes: tuple[int, ...]) -> None:
    before = path.stat().st_mode
    under = powerless()
    path.chmod(mode)
    try:
        done = run(case.arguments(), case.place.environment, under=under)
    finally:
        # Those who look may be others than root.
        path.chmod(before)
    case.judge(done, codes, [path, path.parent])


def _input(name: str, mode: int, *codes: int) -> Attempt:
    def attempt(case: Case, _: random.Random, __: Undisturbed) -> None:
        case.begin()
        source = own_source(case)
        _with_mode(case, (source / name).resolve(), mode, codes)

    return attempt


def _output(name: str, mode: int, *codes: int) -> Attempt:
    def attempt(case: Case, _: random.Random, __: Undisturbed) -> None:
        assert isinstance(case.place, Disk)
        case.place.parent.mkdir()
        case.place.parent_stays = True
        case.begin()
        _with_mode(case, case.place.parent / name, mode, codes)

    return attempt


def _lock(case: Case, _: random.Random, __: Undisturbed) -> None:
    """In a directory of several, the lock of a dead process need not be one's own to write."""
    assert isinstance(case.place, Disk)
    case.begin()
    case.place.parent.mkdir(exist_ok=True)
    lock = case.place.parent / ".lake.flowlake-lock"
    lock.write_text("process 1")
    lock.chmod(0o444)
    case.judge(run(case.arguments(), case.place.environment, under=powerless()), (0,))


def _old_data(case: Case, _: random.Random, __: Undisturbed) -> None:
    """A lake whose files may not be deleted: it is replaced all the same, and lies where it should not."""
    assert isinstance(case.place, Disk)
    case.begin()
    (case.place.target / "data").chmod(0o555)
    done = run(case.arguments(), case.place.environment, under=powerless())

    def mend() -> None:
        for data in case.place.parent.glob(".lake.flowlake-staging-*/data"):
            data.chmod(0o755)

    # It says where, and the next run takes it away.
    case.judge(done, (0,), told_of_leavings=True, mend=mend)
