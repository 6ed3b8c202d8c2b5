"""What all peers have in common: their arguments, their clock and what they say at the end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench_peers.product import Device, read_devices


@dataclass(frozen=True)
class Task:
    """What a peer is to do."""

    devices: list[Device]
    # Does not exist yet; becomes output/month=…/deviceClass=…/*.parquet
    output: Path
    # Threads to use.
    jobs: int


def main(build: Callable[[Task], None], version: str) -> None:
    """Runs a peer. Starting the interpreter and importing the engine is not counted in its time."""
    began = time.perf_counter()
    corpus, output, jobs = sys.argv[1:]
    build(Task(read_devices(Path(corpus)), Path(output), int(jobs)))
    print(json.dumps({"seconds": time.perf_counter() - began, "version": version}))
