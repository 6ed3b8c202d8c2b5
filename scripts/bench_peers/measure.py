"""Runs one command and says what it cost: time, CPU, peak memory.

This process must stay small: Linux counts the memory of the process that starts a child into the child's peak. So
whoever measures must need less than what is measured, and imports nothing large.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# A machine is never quite idle; what it does for itself stays below this.
DISTURBED = 0.05


class Failed(Exception):
    """A command that was to be measured did not succeed."""


@dataclass(frozen=True)
class Run:
    """What one run cost."""

    # From start to end. Peers in Python say themselves when they began, which is after their imports.
    wall: float
    # User and system time of the process and of all it waited for.
    cpu: float
    # The largest of those processes, in MiB.
    peak_mib: float
    # What the command printed as JSON, if it did.
    said: dict
    # Share of the cores' time that others used meanwhile.
    disturbed: float


class Patience:
    """Whether runs that others disturb are waited out and repeated."""

    # Nobody wants to wait for ever.
    _ATTEMPTS = 20
    _LONGEST_WAIT = 600.0

    def __init__(self, wait: bool) -> None:
        self._wait = wait

    def run(self, measured: Callable[[], Run]) -> Run:
        done = None
        for _ in range(self._ATTEMPTS if self._wait else 1):
            if self._wait:
                self._until_idle()
            done = measured()
            if done.disturbed <= DISTURBED:
                break
        assert done is not None, "there is at least one attempt"
        return done

    def _until_idle(self) -> None:
        limit = time.monotonic() + self._LONGEST_WAIT
        while time.monotonic() < limit:
            before = _busy()
            time.sleep(2)
            if _busy() - before <= DISTURBED * 2 * len(os.sched_getaffinity(0)):
                return


def run(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> Run:
    """Runs a command to its end. What it prints may be a JSON object; its errors are shown if it fails."""
    # What earlier runs wrote must not be put on disk at the expense of this one.
    os.sync()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        busy_before = _busy()
        began = time.perf_counter()
        child = subprocess.Popen(
            [os.fspath(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=os.environ | {"TZ": "UTC"} | (environment or {}),
        )
        # Not `child.wait()`: only this gives the figures of this very child.
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        busy = _busy() - busy_before
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if child.returncode != 0:
            text = " ".join(map(str, command))
            shown = errors.read().decode(errors="replace")[-4000:]
            raise Failed(f"`{text}` ended with {child.returncode}\n{shown}")
        said = _json(output.read())
    cpu = usage.ru_utime + usage.ru_stime
    disturbed = max(0.0, busy - cpu) / (wall * len(os.sched_getaffinity(0)))
    return Run(said.get("seconds", wall), cpu, usage.ru_maxrss / 1024, said, disturbed)


def _busy() -> float:
    """Seconds that the cores in use have worked for anybody, other guests of the same machine included."""
    cores = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *times = line.split()
        if name in cores:
            user, nice, system, _, _, interrupt, soft_interrupt, steal, *_ = map(int, times)
            ticks += user + nice + system + interrupt + soft_interrupt + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def _json(text: bytes) -> dict:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def parquet_bytes(directory: Path) -> int:
    """The size of all Parquet files of a product."""
    return sum(path.stat().st_size for path in directory.rglob("*.parquet"))


@dataclass
class Series:
    """All runs of one contestant."""

    name: str
    runs: list[Run]
    bytes_out: int | None = None
    rows_out: int | None = None

    @property
    def wall(self) -> float:
        return statistics.median(run.wall for run in self.runs)

    @property
    def fastest(self) -> float:
        return min(run.wall for run in self.runs)

    @property
    def slowest(self) -> float:
        return max(run.wall for run in self.runs)

    @property
    def disturbed(self) -> int:
        """How many runs others had more than a little of the machine in."""
        return sum(run.disturbed > DISTURBED for run in self.runs)

    @property
    def cpu(self) -> float:
        return statistics.median(run.cpu for run in self.runs)

    @property
    def peak_mib(self) -> float:
        """The highest ever: memory that is needed once is needed."""
        return max(run.peak_mib for run in self.runs)
