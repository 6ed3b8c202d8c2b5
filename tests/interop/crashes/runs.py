"""Runs of flowlake under something: strace, other limits, without the powers of root; and killed at a time."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from lakes import binary
from object_stores.stores import Run

RUN_SECONDS = 180
# Calls at which a run can be killed, and how often each is drawn. There are those that change a file system, and those
# between them.
CALLS = {
    "openat": 4,
    "write": 4,
    "fsync": 4,
    "rename": 4,
    "renameat2": 2,
    "unlinkat": 4,
    "mkdir": 3,
    "rmdir": 2,
    "getdents64": 2,
    "close": 2,
    "flock": 1,
    "read": 2,
}


class Missing(Exception):
    """Something that a case needs is not on this machine: the case is skipped, and says why."""


@cache
def strace() -> str:
    """Where strace is, if it may trace."""
    found = shutil.which("strace")
    if found is None:
        raise Missing("strace is not installed (Debian and Ubuntu: package strace)")
    tried = subprocess.run([found, "-f", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise Missing(f"strace may not trace here: {tried.stderr.strip()}")
    return found


def traced(log: Path, calls: Iterable[str], *options: str) -> list[str]:
    """What stands before a command that is to be traced."""
    # A call that this machine's processor does not have (`?`) is left out.
    # With -y descriptors come with their paths.
    return [strace(), "-f", "-y", "-o", str(log), "-e", "trace=" + ",".join(f"?{call}" for call in calls), *options]


def run(
    arguments: Iterable[str | Path],
    environment: dict[str, str],
    *,
    under: Iterable[str] = (),
    meanwhile: Callable[[subprocess.Popen[str]], None] | None = None,
    directory: Path | None = None,
    seconds: float = RUN_SECONDS,
    limits: Callable[[], None] | None = None,
    stdout: Path | None = None,
    restore_signals: bool = True,
) -> Run:
    """A run to its end, with something done meanwhile. What hangs is ended with everything it started."""
    words = [str(argument) for argument in arguments]
    with contextlib.ExitStack() as stack:
        output = subprocess.PIPE if stdout is None else stack.enter_context(stdout.open("w"))
        process = subprocess.Popen(
            [*under, str(binary()), *words],
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            # strace lets go of what it traces when it ends: only the group is sure to end.
            start_new_session=True,
            preexec_fn=limits,
            restore_signals=restore_signals,
        )
        timed_out = False
        try:
            if meanwhile is not None:
                meanwhile(process)
            said, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            timed_out = True
            end(process)
            said, errors = process.communicate()
        except BaseException:
            end(process)
            process.communicate()
            raise
    return Run(words, process.returncode, said or "", errors, timed_out)


def complaints(done: Run) -> list[str]:
    """What must not happen in any run. Without credentials, as on disk, there is no secret to be printed."""
    without = "AWS_SECRET_ACCESS_KEY" not in os.environ
    return [what for what in done.complaints() if not (without and "secret key" in what)]


def end(process: subprocess.Popen[str]) -> None:
    """Ends a process and those it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def kill_after(seconds: float) -> Callable[[subprocess.Popen[str]], None]:
    """Kills a run after a time, unless it has ended by then."""

    def wait(process: subprocess.Popen[str]) -> None:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()

    return wait


def kill_when(condition: Callable[[], bool]) -> Callable[[subprocess.Popen[str]], None]:
    """Kills a run as soon as a condition holds, unless it has ended by then."""

    def wait(process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + RUN_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if condition():
                process.kill()
                return
            time.sleep(0.001)

    return wait


def when_stopped(log: Path, action: Callable[[], None]) -> Callable[[subprocess.Popen[str]], None]:
    """Does something while a traced run stands still, as strace has sent it SIGSTOP; then it goes on."""

    def wait(process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + RUN_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            found = re.search(r"^(\d+) +--- stopped by SIGSTOP", log.read_text() if log.exists() else "", re.MULTILINE)
            if found is None:
                time.sleep(0.005)
                continue
            try:
                action()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(found[1]), signal.SIGCONT)
            return

    return wait


@dataclass(frozen=True)
class Call:
    """A call of a run as strace saw it: the how-manieth of its thread, counted from 1, and its line."""

    name: str
    nth: int
    line: str


def calls(log: Path) -> list[Call]:
    """The calls of a traced run, in the order in which they began."""
    made: Counter[tuple[str, str]] = Counter()
    found: list[Call] = []
    # A call during which another thread made one stands in two lines.
    unfinished: dict[str, int] = {}
    for line in log.read_text(errors="replace").splitlines():
        if match := re.match(r"(\d+) +(\w+)\(", line):
            made[match[1], match[2]] += 1
            unfinished[match[1]] = len(found)
            found.append(Call(match[2], made[match[1], match[2]], line.removesuffix(" <unfinished ...>")))
        elif (match := re.match(r"(\d+) +<\.\.\. \w+ resumed>(.*)", line)) and match[1] in unfinished:
            number = unfinished[match[1]]
            found[number] = replace(found[number], line=found[number].line + match[2])
    return found


def published_at(made: list[Call], target: Path) -> int | None:
    """Which of the calls put a lake at its place; `None` if none did."""
    for number, call in enumerate(made):
        done = re.search(r"\) += 0$", call.line) is not None
        if call.name in ("rename", "renameat2") and f'"{target}"' in call.line and done:
            return number
    return None
