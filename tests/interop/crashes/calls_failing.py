"""Calls of the operating system that fail, are interrupted, or do less than they were asked to."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from crashes.corpus import PARTS, PLAIN, SINGLE, WORKS
from crashes.places import Disk
from crashes.points import TRIES, Undisturbed
from crashes.runs import CALLS, Call, Missing, calls, published_at, run, traced
from crashes.verdicts import Case
from object_stores.stores import Run

ERRORS = {
    "write": ("ENOSPC", "EIO", "EDQUOT"),
    "fsync": ("EIO", "ENOSPC"),
    "rename": ("EIO", "ENOSPC", "EROFS"),
    "renameat2": ("EIO", "ENOSPC"),
    "mkdir": ("ENOSPC", "EROFS", "EACCES"),
    "openat": ("ENOSPC", "EMFILE", "EIO"),
    "getdents64": ("EIO",),
}
# How many of these errors each work meets.
COUNT = 20

# Reads and writes of files do less than they were asked to. Not those of pipes and terminals, and not those of the
# loader, which this comes too late for.
SHORT_CALLS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

static atomic_ulong made;

static size_t less(size_t count, size_t most) {
    size_t wanted = 1 + (atomic_fetch_add(&made, 1) * 2654435761u) % most;
    return count < wanted ? count : wanted;
}

ssize_t read(int fd, void *to, size_t count) {
    static ssize_t (*real)(int, void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "read");
    return real(fd, to, fd > 2 ? less(count, 5000) : count);
}

ssize_t write(int fd, const void *from, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    return real(fd, from, fd > 2 ? less(count, 900) : count);
}

ssize_t pread64(int fd, void *to, size_t count, off64_t at) {
    static ssize_t (*real)(int, void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pread64");
    return real(fd, to, less(count, 5000), at);
}

ssize_t pwrite64(int fd, const void *from, size_t count, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
    return real(fd, from, less(count, 900), at);
}

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("SHORT_CALLS_TOLD");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%lu\n", atomic_load(&made));
    fclose(file);
}
"""


def cases() -> Iterator[tuple]:
    for work in WORKS:
        for number in range(1, COUNT + 1):
            yield f"error-{work}-{number}", "a call fails", work, _fails
        yield f"interrupted-reads-{work}", "reads are interrupted (EINTR)", work, _interrupted_reads
        yield f"interrupted-writes-{work}", "writes are interrupted (EINTR)", work, _interrupted_writes
        yield f"short-{work}", "reads and writes fall short", work, _short
        yield f"full-output-{work}", "standard output full", work, _full_output
    yield "no-lock-fresh", "no lock is given", "fresh", _no_lock
    # As on network file systems, whose directories cannot be locked.
    yield "set-aside-replace", "killed between two renames", "replace", _set_aside
    yield "set-aside-refused-replace", "killed between two renames", "replace", _set_aside_refused
    # As on file systems that cannot exchange two names.
    yield "no-exchange-replace", "names cannot be exchanged", "replace", _no_exchange
    yield "last-fsync-replace", "the last fsync fails", "replace", _last_fsync


def _counted(counted: Undisturbed, work: str) -> list[Call]:
    if counted.missing is not None:
        raise Missing(counted.missing)
    return counted.calls[work]


def _fails(case: Case, chance: random.Random, counted: Undisturbed) -> None:
    """One call fails, somewhere in the files of the lake or of the input."""
    assert isinstance(case.place, Disk)
    place = case.place
    made = [call for call in _counted(counted, case.work) if call.name in ERRORS and "/out/" in call.line]
    names = sorted({call.name for call in made})
    for _ in range(TRIES):
        case.begin()
        call = chance.choice([call for call in made if call.name == chance.choice(names)] or made)
        error = chance.choice(ERRORS[call.name])
        log = place.root / "calls"
        under = traced(log, CALLS, "-e", f"inject={call.name}:error={error}:when={call.nth}")
        done = run(case.arguments(), place.environment, under=under)
        all_calls = calls(log)
        struck = [number for number, one in enumerate(all_calls) if "(INJECTED)" in one.line]
        # It strikes each thread once, and threads share the work otherwise each time: it may strike the loader, a pipe,
        # nothing, or several, the last of them in tidying up.
        if len(struck) == 1 and str(place.root) in all_calls[struck[0]].line:
            _judge_error(case, done, error, all_calls, struck[0])
            return
        place.clear()
        place.__post_init__()
    case.verdict.outcome = "it never struck a file of the lake"


def _judge_error(case: Case, done: Run, error: str, made: list[Call], struck: int) -> None:
    assert isinstance(case.place, Disk)
    swap = published_at(made, case.place.target)
    published = swap is not None and swap < struck
    line = re.sub(r"\s+", " ", made[struck].line)
    case.verdict.notes.append(f"{error} {'after the swap ' if published else ''}in {line}")
    # An error may be none of the run's business: then everything is as if it had not happened.
    case.judge(done, (0, 4), [case.place.parent], published=published, told_of_leavings=published)


def _last_fsync(case: Case, _: random.Random, counted: Undisturbed) -> None:
    """That of the directory in which the lake lies, after the swap."""
    _counted(counted, case.work)
    case.begin()
    under = traced(case.place.root / "calls", ["fsync"], "-P", str(case.place.root / "out"))
    done = run(case.arguments(), case.place.environment, under=[*under, "-e", "inject=fsync:error=EIO:when=1+"])
    case.judge(done, (4,), [case.place.root / "out"], published=True)


def _no_lock(case: Case, _: random.Random, counted: Undisturbed) -> None:
    _counted(counted, case.work)
    case.begin()
    under = traced(case.place.root / "calls", ["flock"], "-e", "inject=flock:error=EIO")
    done = run(case.arguments(), case.place.environment, under=under)
    case.judge(done, (4,), [case.place.root / "out"])


def _aside(case: Case, counted: Undisturbed) -> list[str]:
    _counted(counted, case.work)
    case.begin()
    case.place.target.rename(case.place.parent / ".lake.flowlake-previous")
    # The first lock is that of the target, which is a file.
    return traced(case.place.root / "calls", ["flock"], "-e", "inject=flock:error=EBADF:when=2+")


def _set_aside(case: Case, _: random.Random, counted: Undisturbed) -> None:
    under = _aside(case, counted)
    case.judge(run(case.arguments(), case.place.environment, under=under), (0,))


def _set_aside_refused(case: Case, _: random.Random, counted: Undisturbed) -> None:
    """Without `--replace` a build may not go on, and the lake comes back."""
    under = _aside(case, counted)
    arguments = [argument for argument in case.arguments() if argument != "--replace"]
    done = run(arguments, case.place.environment, under=under)
    case.judge(done, (4,), [case.place.target])


def _no_exchange(case: Case, _: random.Random, counted: Undisturbed) -> None:
    _counted(counted, case.work)
    case.begin()
    under = traced(case.place.root / "calls", ["renameat2"], "-e", "inject=renameat2:error=EINVAL")
    case.judge(run(case.arguments(), case.place.environment, under=under), (0,))


def _interrupted_reads(case: Case, _: random.Random, counted: Undisturbed) -> None:
    """Every second read of the input is interrupted before it did anything."""
    _counted(counted, case.work)
    case.begin()
    log = case.place.root / "calls"
    if case.work == "release":
        paths = sorted((case.corpus.lake("now") / "data").rglob("*.parquet"))
    else:
        names = [f"{PLAIN}.json", f"{SINGLE}.tar.gz", *(f"{PARTS}.tar.gz{part:02}" for part in range(3))]
        paths = [case.corpus.dumps / name for name in names]
    only = [word for path in paths for word in ("-P", str(path))]
    under = traced(log, ["read", "pread64"], *only, "-e", "inject=read,pread64:error=EINTR:when=1+2")
    _judge_interrupted(case, run(case.arguments(), case.place.environment, under=under), log)


def _interrupted_writes(case: Case, _: random.Random, counted: Undisturbed) -> None:
    """Every second write and every second fsync is."""
    _counted(counted, case.work)
    case.begin()
    log = case.place.root / "calls"
    under = traced(log, ["write", "fsync"], "-e", "inject=write,fsync:error=EINTR:when=1+2")
    _judge_interrupted(case, run(case.arguments(), case.place.environment, under=under), log)


def _judge_interrupted(case: Case, done: Run, log: Path) -> None:
    struck = log.read_text().count("(INJECTED)")
    case.verdict.notes.append(f"{struck} calls interrupted")
    if struck == 0:
        case.verdict.wrong.append("no call was interrupted")
    case.judge(done, (0,))


def _short(case: Case, _: random.Random, __: Undisturbed) -> None:
    compiler = shutil.which("cc")
    if compiler is None:
        raise Missing("there is no C compiler (cc)")
    case.begin()
    source, library, told = (case.place.root / name for name in ("short_calls.c", "short_calls.so", "told"))
    source.write_text(SHORT_CALLS)
    made = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise Missing(f"the C compiler makes no library: {made.stderr.strip()}")
    environment = case.place.environment | {"LD_PRELOAD": str(library), "SHORT_CALLS_TOLD": str(told)}
    done = run(case.arguments(), environment)
    number = int(told.read_text()) if told.exists() else 0
    case.verdict.notes.append(f"{number} calls")
    if number < 100:
        case.verdict.wrong.append(f"only {number} calls fell short: the library was not used")
    case.judge(done, (0,))


def _full_output(case: Case, _: random.Random, __: Undisturbed) -> None:
    """The table at the end cannot be written. By then the lake is there."""
    device = Path("/dev/full")
    if not device.is_char_device() or not os.access(device, os.W_OK):
        raise Missing("there is no /dev/full")
    case.begin()
    done = run(case.arguments(), case.place.environment, stdout=device)
    case.judge(done, (4,), ["standard output"], published=True)
