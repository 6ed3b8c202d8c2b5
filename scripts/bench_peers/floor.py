"""Decompresses all dumps with ISA-L from Python and does no more: `python -m bench_peers.floor CORPUS JOBS`."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench_peers import archives
from bench_peers.product import Device, read_devices


def main() -> None:
    began = time.perf_counter()
    corpus, jobs = sys.argv[1:]
    with ThreadPoolExecutor(int(jobs)) as pool:
        list(pool.map(_decompress, read_devices(Path(corpus))))
    print(json.dumps({"seconds": time.perf_counter() - began}))


def _decompress(device: Device) -> None:
    deque(archives.read_blocks(device), maxlen=0)


if __name__ == "__main__":
    main()
