"""The crash campaign as a program: `scripts/crash --help`."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from crashes.corpus import Corpus
from crashes.faults import FAULTS, Fault
from crashes.places import Bucket, Disk
from crashes.points import Undisturbed, draw, try_point
from crashes.runs import Missing
from crashes.verdicts import Case, Verdict
from lakes import binary
from object_stores.campaign import SERVERS
from object_stores.corpus import Unable
from object_stores.stores import Store, named_store


@dataclass
class Campaign:
    """Tries points and faults."""

    root: Path
    seed: int
    stores: dict[str, Store]
    waits: bool = True

    def __post_init__(self) -> None:
        # Of this run alone, so that campaigns do not meet in somebody's own store.
        self.prefix = f"crashes/{os.getpid()}-{time.time_ns()}/"
        # Others than root look at what lies below it, too.
        self.root.chmod(0o755)
        (self.root / "corpus").mkdir()
        self.corpus = Corpus(self.root / "corpus").make()
        self.counted = Undisturbed(self.corpus, self.root).on_disk()
        # What is done in a store is counted when it is first needed.
        self._counting = threading.Lock()
        self._counted_in: set[str] = set()

    def clear(self) -> None:
        for store in self.stores.values():
            store.clear(self.prefix)

    def point(self, number: int, stores: bool) -> Verdict:
        """Tries a point; `stores` says whether every third is in a store."""
        point = draw(self.seed, number, stores)
        verdict = Verdict(str(number), point.kind, point.work)
        return self._tried(verdict, point.where, lambda case: try_point(point, self.counted, case))

    def fault(self, fault: Fault) -> Verdict:
        verdict = Verdict(fault.name, fault.kind, fault.work)
        chance = random.Random(f"fault {self.seed} {fault.name}")
        return self._tried(verdict, fault.where, lambda case: fault.attempt(case, chance, self.counted))

    def _tried(self, verdict: Verdict, where: str, attempt: Callable[[Case], None]) -> Verdict:
        began = time.monotonic()
        root = self.root / f"case-{verdict.name}"
        try:
            place = Disk(root) if where == "disk" else Bucket(self._store(where), f"{self.prefix}{verdict.name}/", root)
            attempt(Case(self.corpus, place, verdict.work, verdict, waits=self.waits))
            if not verdict.wrong:
                place.clear()
        except Missing as error:
            verdict.skipped = str(error)
        except Exception as error:
            verdict.wrong.append(f"the campaign itself failed: {error!r}")
        verdict.seconds = time.monotonic() - began
        return verdict

    def _store(self, where: str) -> Store:
        if where not in self.stores:
            raise Missing("it needs a store: give --stores")
        with self._counting:
            if where not in self._counted_in:
                self.counted.in_store(where, self.stores[where], self.prefix)
                self._counted_in.add(where)
        return self.stores[where]


def stores_there() -> dict[str, Store]:
    """Both stores of `scripts/with-object-stores`."""
    found = {}
    for conditional, variable in SERVERS.items():
        store = named_store(variable)
        if store is None:
            raise Unable(f"{variable} is not set; scripts/with-object-stores sets it")
        found["conditional" if conditional else "unconditional"] = store
    return found


def report(verdict: Verdict, seed: int, stores: bool) -> None:
    """One line for a case that was as it should be; everything for one that was not."""
    state = "FAILED" if verdict.wrong else "SKIPPED" if verdict.skipped else "ok"
    notes = f" ({'; '.join(verdict.notes[-1:])})" if verdict.notes else ""
    told = verdict.skipped or verdict.outcome
    print(
        f"{state:7} {verdict.name:<24} {verdict.seconds:6.1f} s  {verdict.kind}, {verdict.work}: {told}{notes}",
        flush=True,
    )
    if not verdict.wrong:
        return
    for note in verdict.notes:
        print(f"  {note}")
    for what in verdict.wrong:
        print(f"  WRONG: {what}")
    for done in verdict.runs:
        print("    " + str(done).strip().replace("\n", "\n    "))
    print(f"  again: scripts/crash --seed {seed} --only '{verdict.name}'{' --stores' if stores else ''}", flush=True)


def summary(verdicts: Iterable[Verdict]) -> None:
    """The table for docs/guarantees.md."""
    outcomes = Counter((v.kind, v.work, v.outcome) for v in verdicts if not v.skipped)
    print(f"\n{'cases':>6}  {'what':<44} {'of':<8} outcome")
    for (kind, work, outcome), cases in sorted(outcomes.items()):
        print(f"{cases:6}  {kind:<44} {work:<8} {outcome}")
    skipped = Counter((v.kind, v.skipped) for v in verdicts if v.skipped)
    for (kind, why), cases in sorted(skipped.items()):
        print(f"{cases:6}  {kind:<44} SKIPPED: {why}")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/crash",
        description="Kills builds and releases at points that a seed says, and lets disks, files and calls fail under"
        " them. After each a reader must see the old lake or the new one, whole, and the next run must give the same"
        " bytes as an undisturbed one without any help.",
        epilog="Faults: " + ", ".join(FAULTS) + ". FLOWLAKE_BIN names the binary; without it one is built.",
    )
    parser.add_argument("--points", type=int, default=200, metavar="N", help="how often to kill [default: 200]")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="what is drawn [default: 1]")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="K",
        help="only the point of this number, or the fault of this name",
    )
    parser.add_argument("--stores", action="store_true", help="every third point is in an object store")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many cases at a time [default: 2]")
    parser.add_argument("--no-faults", action="store_true", help="only the points")
    return parser.parse_args(arguments)


def campaign(
    points: Iterable[int],
    faults: Iterable[Fault],
    *,
    seed: int = 1,
    stores: dict[str, Store] | None = None,
    jobs: int = 2,
    waits: bool = True,
) -> list[Verdict]:
    if not binary().is_file():
        raise Unable(f"no binary at {binary()}: build it with `cargo build --release`, or set FLOWLAKE_BIN")
    root = Path(tempfile.mkdtemp(prefix="flowlake-crash-"))
    try:
        tried = Campaign(root, seed, stores or {}, waits)
        try:
            verdicts = []
            with ThreadPoolExecutor(jobs) as threads:
                started = [threads.submit(tried.point, number, bool(stores)) for number in points]
                started += [threads.submit(tried.fault, fault) for fault in faults]
                for case in started:
                    report(case.result(), seed, bool(stores))
                    verdicts.append(case.result())
            return verdicts
        finally:
            tried.clear()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def interrupted(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    # So that what is mounted and what runs is ended.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    arguments = parse(None)
    points: list[int] = list(range(1, arguments.points + 1))
    faults = [] if arguments.no_faults else list(FAULTS.values())
    if arguments.only:
        points = [int(name) for name in arguments.only if name.isdigit()]
        unknown = [name for name in arguments.only if not name.isdigit() and name not in FAULTS]
        if unknown:
            print(f"error: no such fault: {unknown[0]}", file=sys.stderr)
            return 2
        faults = [FAULTS[name] for name in arguments.only if name in FAULTS]
    try:
        stores = stores_there() if arguments.stores else {}
        verdicts = campaign(points, faults, seed=arguments.seed, stores=stores, jobs=arguments.jobs)
    except Unable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    summary(verdicts)
    failed = sum(bool(verdict.wrong) for verdict in verdicts)
    skipped = sum(verdict.skipped is not None for verdict in verdicts)
    passed = len(verdicts) - failed - skipped
    print(f"{passed} as they should be, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
