"""A program in the place of flowlake: it records the tasks that executors give it, and lets a test say when one fails
or waits, or what else happens before a command. The work is then done by flowlake."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lakes import binary

PATIENCE_SECONDS = 120

# In the cases $state is a directory of its own, and $first is 1 for the first try of a task.
_PROGRAM = """#!/bin/sh
state={state}
flowlake={flowlake}
index=
before=
for argument; do
    [ "$before" = --index ] && index=$argument
    before=$argument
done
if [ -n "$index" ]; then
    first=0
    mkdir "$state/tried-$index" 2>/dev/null && first=1
    printf '%s\\t%s\\t%s\\t%s\\n' "$index" "$$" "$PWD" "$0" >>"$state/calls"
fi
case $index in
{cases}
esac
case $1 in
{commands}
esac
exec "$flowlake" "$@"
"""


class Call(NamedTuple):
    """A task that an executor ran: its number, the process, the directory of the executor, the name of the program."""

    index: int
    process: int
    directory: Path
    program: Path


class StandIn:
    """`cases` are lines of a shell's `case $index in`, as `3) exit 4;;`, and `commands` those of `case $1 in`.

    What waits has to be the process itself (`exec sleep`): a signal to a shell does not reach what it waits for.
    """

    def __init__(self, directory: Path, cases: str = "", commands: str = "") -> None:
        self.state = directory / "stand-in"
        self.state.mkdir(parents=True)
        self.path = directory / "flowlake"
        names = {"state": shlex.quote(str(self.state)), "flowlake": shlex.quote(str(binary().absolute()))}
        self.path.write_text(_PROGRAM.format(cases=cases or "-) ;;", commands=commands or "-) ;;", **names))
        self.path.chmod(0o755)

    def calls(self) -> list[Call]:
        record = self.state / "calls"
        if not record.exists():
            return []
        lines = [line.split("\t") for line in record.read_text().splitlines()]
        return [Call(int(index), int(process), Path(place), Path(name)) for index, process, place, name in lines]

    def tried(self) -> list[int]:
        return sorted(call.index for call in self.calls())

    def forget(self) -> None:
        (self.state / "calls").unlink()

    def say(self, name: str) -> None:
        """Makes a file that cases wait for."""
        (self.state / name).touch()


def wait_until(happened: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen within {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.05)
