"""Runs many cases and tells what became of them, by kind of damage: `scripts/torture --help`."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lakes import binary
from torture.cases import KINDS, Kind, draw
from torture.corpus import Unable, make
from torture.verdict import OUTCOMES, Outcome, Workshop


def campaign(seed: int, numbers: Iterable[int], jobs: int, keep: Path | None = None) -> list[Outcome]:
    """Runs the cases of these numbers, and reports each that is not as it should be."""
    if not binary().is_file():
        raise Unable(f"no binary at {binary()}: build it with `cargo build --release`, or set FLOWLAKE_BIN")
    corpus = make()
    if keep is not None:
        keep.mkdir(parents=True)
    directory = keep or Path(tempfile.mkdtemp(prefix="flowlake-torture-"))
    try:
        workshop = Workshop(corpus, directory)
        outcomes = []
        with ThreadPoolExecutor(jobs) as threads:
            for outcome in threads.map(lambda n: workshop.run(draw(seed, n, corpus), keep is not None), numbers):
                if outcome.wrong:
                    print(told(outcome), flush=True)
                outcomes.append(outcome)
        return outcomes
    finally:
        if keep is None:
            shutil.rmtree(directory, ignore_errors=True)


def told(outcome: Outcome) -> str:
    """Everything about a case that went wrong."""
    case = outcome.case
    lines = [f"FAILED {case}", *(f"  WRONG: {what}" for what in outcome.wrong)]
    lines += ["    " + str(run).strip().replace("\n", "\n    ") for run in outcome.runs]
    return "\n".join([*lines, f"  again: scripts/torture --seed {case.seed} --only {case.number}"])


def table(outcomes: list[Outcome], by: Callable[[Kind], str]) -> str:
    """How many cases became what, in Markdown; kinds of damage are told apart by a name of theirs."""
    rows = [["damage", "cases", *OUTCOMES]]
    counts: dict[str, Counter[str]] = {by(kind): Counter() for kind in KINDS}
    for outcome in outcomes:
        counts[by(outcome.case.kind)][outcome.outcome] += 1
    rows += [[name, *_cells(found)] for name, found in counts.items() if found]
    rows.append(["all", *_cells(sum(counts.values(), Counter()))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) + " |" for row in rows]
    rule = "| " + " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]) + " |"
    return "\n".join([lines[0], rule, *lines[1:]])


def _cells(counts: Counter[str]) -> list[str]:
    return [str(counts.total()), *(str(counts[outcome]) for outcome in OUTCOMES)]


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/torture",
        description="Damages archives and lines at random, builds lakes of them, and checks that every row that is"
        " left is right, that every other is told, and that nothing is published of what cannot be read."
        " Seed and number say what is done.",
        epilog="FLOWLAKE_BIN names the binary; without it one is built. Outcomes: `same rows` as without the damage;"
        " `others, told`, with rejected lines or a trailer that does not match; `others, not seen`, where the damage"
        " left a dump that is as good as any other; and builds that end with an error, by its cause.",
    )
    parser.add_argument("--cases", type=int, default=1000, metavar="N", help="how many [default: 1000]")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="what is drawn [default: 1]")
    parser.add_argument("--only", metavar="K", help="the case of this number, or those whose kind has this in its name")
    parser.add_argument("--jobs", type=int, default=2, metavar="J", help="how many at a time [default: 2]")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave dumps and lakes in this new directory")
    return parser.parse_args(arguments)


def chosen(cases: int, only: str | None) -> list[int]:
    """The numbers of the cases to run."""
    if only is not None and only.isdigit():
        return [int(only)]
    return [n for n in range(1, cases + 1) if only is None or only in KINDS[(n - 1) % len(KINDS)].name]


def main() -> int:
    arguments = parse(None)
    began = time.monotonic()
    try:
        numbers = chosen(arguments.cases, arguments.only)
        if not numbers:
            raise Unable(f"no kind has {arguments.only!r} in its name: {', '.join(kind.name for kind in KINDS)}")
        outcomes = campaign(arguments.seed, numbers, arguments.jobs, arguments.keep)
    except Unable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(outcomes, lambda kind: kind.name), end="\n\n")
    print(table(outcomes, lambda kind: kind.where))
    found = [outcome.found for outcome in outcomes]
    failed = sum(bool(outcome.wrong) for outcome in outcomes)
    published = sum(outcome.outcome in OUTCOMES[:3] for outcome in outcomes)
    print(
        f"\n{len(outcomes)} cases of seed {arguments.seed}, {failed} failed, in {time.monotonic() - began:.0f} s."
        f" {published} lakes with {sum(f.rows for f in found):,} rows, each compared:"
        f" {sum(f.lost for f in found)} lost, {sum(f.invented for f in found)} invented,"
        f" {sum(f.rejected for f in found):,} lines rejected and kept."
    )
    return 1 if failed else 0
