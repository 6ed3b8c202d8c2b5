"""Tries hostile input of every kind, and judges what becomes of it: `python -m hostile.campaign --help`."""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from hostile import archives, configurations, lines, manifests, streams
from hostile.cases import Case, Tried, attempt
from hostile.seeded import GROUP, draw
from lakes import binary

GROUPS: list[Callable[[], Iterator[Case]]] = [
    archives.cases,
    lines.cases,
    streams.cases,
    configurations.cases,
    manifests.cases,
]


def all_cases() -> list[Case]:
    """Every case but those that a seed draws."""
    return [case for group in GROUPS for case in group()]


def report(case: Case, tried: Tried) -> None:
    """One line for a case that was as it should be; everything for one that was not."""
    state = "FAILED" if tried.wrong else "ok"
    took = f"{tried.seconds:6.1f} s {tried.memory_mib:5.0f} MiB {tried.disk_mib:5.0f} MiB"
    print(f"{state:6} {took}  {case.title}: {tried.outcome}", flush=True)
    for what in tried.wrong:
        print(f"  WRONG: {what}")
    if tried.wrong:
        for run in tried.runs:
            print("    " + str(run).strip().replace("\n", "\n    "))
        seed = f" --first {case.title.split()[3].rstrip(',')} --seeds 1" if case.group == GROUP else ""
        print(f"  again: python -m hostile.campaign --only {case.title!r}{seed}", flush=True)


def summary(results: Iterable[tuple[Case, Tried]]) -> None:
    """The figures for docs/guarantees.md."""
    groups: dict[str, list[tuple[Case, Tried]]] = defaultdict(list)
    for case, tried in results:
        groups[case.group].append((case, tried))
    print("\n| what | cases | outcomes | rows kept | rejected | lost | invented | most memory |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |")
    for group, members in groups.items():
        outcomes = Counter("WRONG" if tried.wrong else tried.outcome for _, tried in members)
        told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        sums = [sum(getattr(tried, name) for _, tried in members) for name in ("kept", "rejected", "lost", "invented")]
        most = max(tried.memory_mib for _, tried in members)
        print(f"| {group} | {len(members)} | {told} | {' | '.join(map(str, sums))} | {most:.0f} MiB |")


def run(cases: list[Case], jobs: int) -> list[tuple[Case, Tried]]:
    results = []
    with ThreadPoolExecutor(jobs) as threads:
        for case, tried in zip(cases, threads.map(attempt, cases), strict=True):
            report(case, tried)
            results.append((case, tried))
    return results


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m hostile.campaign",
        description="Builds lakes of hostile archives, lines and configurations, reads lakes of hostile manifests, and"
        " checks exit code, message, memory, disk, rows, and that nothing outside of the target was touched.",
        epilog="FLOWLAKE_BIN names the binary.",
    )
    parser.add_argument("--only", metavar="TEXT", default="", help="cases whose title holds this")
    parser.add_argument("--seeds", type=int, default=500, metavar="N", help="how many are drawn [default: 500]")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the seed of the first [default: 1]")
    parser.add_argument("--short", action="store_true", help="leave out what takes minutes or gigabytes")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at a time [default: 2]")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    if not binary().is_file():
        print(f"error: no binary at {binary()}: set FLOWLAKE_BIN", file=sys.stderr)
        return 2
    drawn = map(draw, range(arguments.first, arguments.first + arguments.seeds))
    cases = [
        case for case in [*all_cases(), *drawn] if arguments.only in case.title and not (arguments.short and case.long)
    ]
    results = run(cases, arguments.jobs)
    summary(results)
    failed = sum(bool(tried.wrong) for _, tried in results)
    print(f"\n{len(results) - failed} as they should be, {failed} not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
