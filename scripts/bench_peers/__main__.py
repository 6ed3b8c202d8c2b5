"""The command line of `scripts/bench`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bench_peers import alone, compare, machine
from bench_peers.measure import Failed

_DESCRIPTION = """\
Measures flowlake on synthetic dumps, made once for each scale and kept.

Without a mode: flowlake and its peers build the same lake (recipe `flows`, partitioned by month and device class,
Parquet with zstd) from the same archives, in turns, several rounds. Below them stands what it costs only to decompress
the archives on the same cores. What the peers built is compared with flowlake's, every column of every partition.
"""

_EPILOG = """\
How to read the table:
  wall      from start to end; of peers without the start of Python and the import of the engine. The median, then the
            fastest and the slowest round
  ratio     of the median to flowlake's
  CPU       user and system time of the whole process, all threads
  peak      most memory ever resident, of all rounds. Polars reads each dump from a file in memory, which is not counted
  out, rows what was written, Parquet files alone

Peers are spared what they have no equal for: counting rejections, repairs, removed rows and evidence of dropped
columns, checking control totals, digests, the manifest, and putting files on disk safely. ISA-L decompresses for all
of them. The machine should have nothing else to do; runs that others disturbed are named. Linux only.

Environment:
  FLOWLAKE_BIN         measure this binary instead of building one
  FLOWLAKE_BENCH_VENV  where the virtual environment of the peers is [default: .venv-bench]
  FLOWLAKE_PYTHON      the Python to use, 3.11 or newer
"""


def main() -> int:
    if sys.platform != "linux":
        print("error: only Linux says what is measured here", file=sys.stderr)
        return 2
    options = _arguments()
    machine.use_cores(options.jobs)
    print(machine.describe())
    print("flowlake:", machine.first_line(options.binary, "--version"))
    try:
        return options.mode(options)
    except Failed as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    modes = parser.add_mutually_exclusive_group()
    parser.set_defaults(mode=compare.run)
    for name, mode, text in (
        ("--memory", alone.memory, "flowlake alone, at the scale and at ten times it: does its memory grow?"),
        ("--linear", alone.linear, "flowlake alone, at several sizes: seconds for each GB of JSON"),
        ("--cores", alone.cores, "flowlake alone, with 1 to --jobs threads, on all dumps and on the largest one"),
    ):
        modes.add_argument(name, dest="mode", action="store_const", const=mode, help=text)
    parser.add_argument(
        "--scale", type=float, default=0.05, metavar="S", help="size of the corpus, 1 is 29 GB of JSON [default: 0.05]"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each [default: 5]")
    parser.add_argument(
        "--jobs", type=int, default=2, metavar="N", help="threads for everyone, and cores to run on [default: 2]"
    )
    parser.add_argument(
        "--peers",
        default=",".join(compare.DEFAULT_PEERS),
        metavar="LIST",
        help=f"who is compared, of {', '.join(compare.PEERS)} [default: all but pandas, which takes a minute]",
    )
    parser.add_argument(
        "--sizes",
        default="0.1,0.3,1,3,10",
        metavar="LIST",
        help="of --linear, in GB of JSON; what the disk has no room for is left out [default: 0.1,0.3,1,3,10]",
    )
    parser.add_argument(
        "--wait",
        action="store_true",
        help="wait until the machine is idle before each run, and repeat runs that others disturbed",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        metavar="DIR",
        help="where corpora are kept and lakes are built [default: bench in Cargo's target directory]",
    )
    # Given by scripts/bench.
    parser.add_argument("--binary", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--peer-python", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rounds < 1 or options.scale <= 0:
        parser.error("--rounds and --scale must be above 0")
    if not 1 <= options.jobs <= len(os.sched_getaffinity(0)):
        parser.error(f"--jobs must be from 1 to {len(os.sched_getaffinity(0))}, the cores there are")
    options.peers = [name for name in options.peers.split(",") if name]
    if unknown := set(options.peers) - compare.PEERS.keys():
        parser.error(f"--peers: nobody is called {', '.join(sorted(unknown))}")
    try:
        options.sizes = sorted(float(size) for size in options.sizes.split(","))
    except ValueError:
        parser.error("--sizes must be numbers with commas between them")
    options.directory.mkdir(parents=True, exist_ok=True)
    return options


if __name__ == "__main__":
    sys.exit(main())
