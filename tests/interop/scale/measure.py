"""Runs what handles all dumps and files at once, and measures time and memory."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from lakes import binary
from scale.simulation import Simulation


class Measured(NamedTuple):
    """A command that ended well."""

    command: str
    seconds: float
    mebibytes: float
    """Largest resident set."""
    output: Path
    """What it printed."""


def measured(scratch: Path, *arguments: str | Path) -> Measured:
    """Runs flowlake; anything but success is an error that shows what it said."""
    command = next(name for name in map(str, arguments) if not name.startswith("-"))
    output, errors = scratch / f"{command}.out", scratch / f"{command}.err"
    begun = time.monotonic()
    with output.open("wb") as out, errors.open("wb") as err:
        process = subprocess.Popen([binary(), *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - begun
    if process.returncode != 0:
        raise AssertionError(f"`flowlake {command}` ended with {process.returncode}: {errors.read_text()[-2000:]}")
    return Measured(command, seconds, usage.ru_maxrss / 1024, output)


def run_all(simulation: Simulation) -> list[Measured]:
    """Plan, commit, and looking at the lake."""
    root, lake = simulation.root, simulation.lake
    simulation.write_input()
    plan = measured(root, *simulation.plan_arguments())
    simulation.write_fragments()
    # What is waiting to be written is none of the commit's.
    os.sync()
    missing = measured(root, "task", "--plan", simulation.plan, "--missing")
    commands: list[list[str | Path]] = [
        ["commit", "--plan", simulation.plan],
        ["inspect", lake],
        ["files", lake],
        ["verify", "--quick", lake],
    ]
    return [plan, missing, *(measured(root, *command) for command in commands)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/scale", description=__doc__)
    parser.add_argument("--dumps", type=int, default=100_000, help="dumps (%(default)s)")
    parser.add_argument("--files", type=int, default=10, help="data files of each, 12 at most (%(default)s)")
    parser.add_argument("--directory", type=Path, help="where to work; it is emptied at the end (TMPDIR)")
    options = parser.parse_args()
    if options.directory and not options.directory.is_dir():
        parser.error(f"{options.directory} is no directory")
    with tempfile.TemporaryDirectory(dir=options.directory, prefix="flowlake-scale-") as directory:
        simulation = Simulation(Path(directory), options.dumps, options.files)
        results = run_all(simulation)
        entries = options.dumps * options.files
        lists = list((simulation.lake / "manifest").glob("*"))
        size = sum(path.stat().st_size for path in [simulation.lake / "manifest.json", *lists])
    print(f"{options.dumps:,} dumps, {entries:,} files; manifest: {size / 2**20:.1f} MiB, {len(lists)} lists\n")
    print(f"{'command':10} {'seconds':>8} {'MiB':>6}")
    for result in results:
        print(f"{result.command:10} {result.seconds:8.1f} {result.mebibytes:6.0f}")
    sys.stdout.flush()
    return 0
