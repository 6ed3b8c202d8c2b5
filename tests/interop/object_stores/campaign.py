"""Builds through a proxy that makes things go wrong, and a look at the store after each: `scripts/faults --help`."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lakes import binary
from object_stores.corpus import SELECTIONS, Corpus, Unable
from object_stores.fault_proxy import FaultProxy, Seen
from object_stores.scenarios import Scenario, draw
from object_stores.stores import (
    Run,
    Store,
    finish,
    flowlake,
    named_store,
    start,
    stopped,
    store_environment,
)

SERVERS = {True: "FLOWLAKE_TEST_S3", False: "FLOWLAKE_TEST_S3_UNCONDITIONAL"}
# Below this everything of a campaign lies, apart from what tests have.
ROOT = "campaign/"
# The worst scenario retries each of its requests for a while; beyond this it hangs.
RUN_SECONDS = 180


@dataclass
class Verdict:
    """What became of a run of the campaign."""

    scenario: Scenario
    outcome: str = ""
    wrong: list[str] = field(default_factory=list)
    # What is allowed, and counted all the same.
    leftovers: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    runs: list[Run] = field(default_factory=list)
    seconds: float = 0


class Campaign:
    """Runs scenarios on stores."""

    def __init__(self, corpus: Corpus, stores: dict[bool, Store]) -> None:
        self.corpus = corpus
        self.stores = stores
        # Of this run alone, so that campaigns do not meet in somebody's own store.
        self.root = f"{ROOT}{os.getpid()}-{time.time_ns()}/"
        self.requests: dict[str, int] = {}

    def prepare(self) -> None:
        """Puts the dumps into the stores, and counts the requests of builds that nothing happens to."""
        for store in self.stores.values():
            store.put_directory(self.corpus.dumps, self.root + "dumps/")
        store = next(iter(self.stores.values()))
        for name in SELECTIONS:
            target = f"{self.root}count/{name}/"
            with FaultProxy(store.endpoint) as proxy:
                run = finish(start(self.build(store, name, target), store_environment(proxy.endpoint)))
            if run.code != 0:
                raise Unable(f"it already goes wrong without faults: {run}")
            self.requests[name] = len(proxy.seen)

    def clear(self) -> None:
        for store in self.stores.values():
            store.clear(self.root)

    def build(self, store: Store, selection: str, target: str, *more: str) -> list[str | Path]:
        return self.corpus.build(selection, store.url(self.root + "dumps/"), store.url(target), *more)

    def run(self, scenario: Scenario) -> Verdict:
        verdict = Verdict(scenario)
        began = time.monotonic()
        store = self.stores[scenario.conditional]
        target = f"{self.root}seed-{scenario.seed}/"
        try:
            self._run(scenario, store, target, verdict)
        except Exception as error:
            verdict.wrong.append(f"the campaign itself failed: {error!r}")
        if not verdict.wrong:
            store.clear(target)
        verdict.seconds = time.monotonic() - began
        return verdict

    def _run(self, scenario: Scenario, store: Store, target: str, verdict: Verdict) -> None:
        direct = store_environment(store.endpoint)
        if scenario.before is not None:
            run = flowlake(*self.build(store, scenario.before, target), environment=direct)
            verdict.runs.append(run)
            if run.code != 0:
                verdict.wrong.append(f"the lake before could not be built: exit code {run.code}")
                return
        more = [] if scenario.before is None else ["--replace"]
        arguments = self.build(store, scenario.now, target, *more)
        with FaultProxy(store.endpoint, list(scenario.faults), scenario.seed, known_as=self._known_as) as proxy:
            environment = store_environment(proxy.endpoint, **scenario.tuning)
            if scenario.killed is None:
                run, killed = finish(start(arguments, environment), RUN_SECONDS), False
            else:
                run, killed = stopped(
                    arguments,
                    environment,
                    scenario.killed,
                    lambda: len(proxy.seen) >= scenario.killed_at,
                    RUN_SECONDS,
                )
        verdict.runs.append(run)
        verdict.faults = proxy.counts
        verdict.wrong += run.complaints()
        if run.code == 0:
            self._judge_success(scenario, store, target, verdict)
        else:
            self._judge_failure(scenario, store, target, run, killed, verdict)
        self._judge_uploads(scenario, store, target, killed, proxy.seen, verdict)
        self._run_again(scenario, store, target, verdict)

    def _known_as(self, target: str) -> str:
        """A target as it is called in every run, so that a seed draws the same faults again."""
        return re.sub(r"(\.flowlake-[a-z]+(-[a-z]+)*)-[^/?]*", r"\1", target.replace(self.root, ""))

    def _judge_success(self, scenario: Scenario, store: Store, target: str, verdict: Verdict) -> None:
        verdict.outcome = "built"
        verdict.wrong += self._not_as_expected(store, target, scenario.now)
        run = flowlake("verify", store.url(target), environment=store_environment(store.endpoint))
        if run.code != 0:
            verdict.runs.append(run)
            verdict.wrong.append(f"verify ended with {run.code}")

    def _not_as_expected(self, store: Store, target: str, selection: str) -> list[str]:
        """What differs between a store and the lake of a selection and nothing else."""
        wrong = []
        manifest = store.get(target + "manifest.json")
        if manifest != self.corpus.manifests[selection]:
            wrong.append(f"the manifest is {'not there' if manifest is None else 'not that of a local build'}")
        found = set(store.objects(target))
        wrong += [f"{name} is not there" for name in sorted(self.corpus.names[selection] - found)]
        wrong += [f"{name} is no part of the lake" for name in sorted(found - self.corpus.names[selection])]
        return wrong + store.damage(target, self.corpus.manifests[selection])

    def _judge_failure(
        self, scenario: Scenario, store: Store, target: str, run: Run, killed: bool, verdict: Verdict
    ) -> None:
        signalled = killed and scenario.killed is not None
        silent = signalled and run.code == -scenario.killed
        if not silent and not (signalled and run.code == 130):
            verdict.wrong += self._bad_message(store, target, run)
            if run.code not in (3, 4, 5):
                verdict.wrong.append(f"exit code {run.code}")
        manifest = store.get(target + "manifest.json")
        before = None if scenario.before is None else self.corpus.manifests[scenario.before]
        ended = "killed" if silent else "interrupted" if run.code == 130 else f"failed ({run.code})"
        owned: set[str] = set()
        if manifest == before:
            verdict.outcome = f"{ended}, {'nothing there' if before is None else 'the old lake is intact'}"
            if scenario.before is not None:
                owned = self.corpus.names[scenario.before]
        elif manifest == self.corpus.manifests[scenario.now]:
            verdict.outcome = f"{ended}, but published"
            owned = self.corpus.names[scenario.now]
        else:
            verdict.outcome = f"{ended}, something else is there"
            verdict.wrong.append("the manifest is neither the old one nor the new one")
        if manifest is not None:
            verdict.wrong += store.damage(target, manifest)
        verdict.leftovers["objects"] += len(set(store.objects(target)) - owned)

    def _bad_message(self, store: Store, target: str, run: Run) -> list[str]:
        message = run.error()
        if not message:
            return ["no line of stderr begins with `error:`"]
        names = [store.url(target).rstrip("/"), store.url(self.root), *self.corpus.dump_names]
        return [] if any(name in message for name in names) else ["the error names neither a URL nor a dump"]

    def _judge_uploads(
        self, scenario: Scenario, store: Store, target: str, killed: bool, seen: list[Seen], verdict: Verdict
    ) -> None:
        left = store.uploads(target)
        if not left:
            return
        if killed and scenario.killed == 9:
            verdict.leftovers["uploads, after SIGKILL"] += len(left)
        elif any(is_abort(request) and request.fault for request in seen):
            verdict.leftovers["uploads, whose abort met a fault"] += len(left)
        elif any(is_creation(request) and request.fault for request in seen):
            verdict.leftovers["uploads, the answer to whose creation was lost"] += len(left)
        else:
            verdict.wrong.append(f"{len(left)} multipart uploads are left, such as that of {left[0][0]}")

    def _run_again(self, scenario: Scenario, store: Store, target: str, verdict: Verdict) -> None:
        """Nothing that went wrong stands in the way of the next build."""
        more = [] if store.get(target + "manifest.json") is None else ["--replace"]
        left = len(store.uploads(target))
        direct = store_environment(store.endpoint)
        run = flowlake(*self.build(store, scenario.now, target, *more), environment=direct)
        verdict.wrong += run.complaints()
        if run.code != 0:
            verdict.runs.append(run)
            verdict.wrong.append(f"run again without faults it ended with {run.code}")
            return
        verdict.wrong += [f"run again: {what}" for what in self._not_as_expected(store, target, scenario.now)]
        run = flowlake("verify", store.url(target), environment=direct)
        if run.code != 0:
            verdict.runs.append(run)
            verdict.wrong.append(f"run again: verify ended with {run.code}")
        still = len(store.uploads(target))
        if still > left:
            verdict.wrong.append(f"run again: {still - left} new multipart uploads are left")
        elif still:
            verdict.leftovers["uploads, also after another build"] += still


def is_abort(request: Seen) -> bool:
    return request.method == "DELETE" and "uploadId=" in request.target


def is_creation(request: Seen) -> bool:
    return request.method == "POST" and "uploads" in request.target.partition("?")[2]


def report(verdict: Verdict) -> None:
    """One line for a run that was as it should be; everything for one that was not."""
    state = "FAILED" if verdict.wrong else "ok"
    scenario = verdict.scenario
    print(
        f"{state:6} seed {scenario.seed:<6} {verdict.seconds:6.1f} s  {scenario.title}: {verdict.outcome}", flush=True
    )
    if not verdict.wrong:
        return
    print(f"  {scenario}".replace("\n", "\n  "))
    print(f"  faults: {dict(verdict.faults)}")
    for what in verdict.wrong:
        print(f"  WRONG: {what}")
    for run in verdict.runs:
        print("    " + str(run).strip().replace("\n", "\n    "))
    server = "conditional" if scenario.conditional else "unconditional"
    print(f"  again: scripts/faults --first {scenario.seed} --seeds 1 --server {server}", flush=True)


def summary(verdicts: list[Verdict]) -> None:
    outcomes = Counter((verdict.scenario.title, verdict.outcome or "?") for verdict in verdicts)
    print(f"\n{'runs':>6}  {'scenario':<18} outcome")
    for (title, outcome), runs in sorted(outcomes.items()):
        print(f"{runs:6}  {title:<18} {outcome}")
    for heading, counters in (
        ("left over (runs, in all)", [verdict.leftovers for verdict in verdicts]),
        ("faults (runs, in all)", [verdict.faults for verdict in verdicts]),
    ):
        names = sorted({name for counter in counters for name, count in counter.items() if count})
        print(f"\n{heading}" + ("" if names else ": none"))
        for name in names:
            counts = [counter[name] for counter in counters if counter[name]]
            print(f"{len(counts):6} {sum(counts):6}  {name}")
    published = sum("but published" in verdict.outcome for verdict in verdicts)
    print(f"\npublished, reported as failed: {published}")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/faults",
        description="Builds lakes in object stores through a proxy that makes things go wrong, and checks after each"
        " that the store holds the new lake or what was there before, whole. A seed says what goes wrong.",
        epilog="FLOWLAKE_BIN names the binary; without it one is built.",
    )
    parser.add_argument("--seeds", type=int, default=100, metavar="N", help="how many runs [default: 100]")
    parser.add_argument("--first", type=int, default=1, metavar="SEED", help="the seed of the first [default: 1]")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="how many at a time [default: 2]")
    parser.add_argument(
        "--server",
        choices=["conditional", "unconditional", "both"],
        default="both",
        help="a server that honours conditional writes, one that does not, or which of them the seed says [default]",
    )
    return parser.parse_args(arguments)


def campaign(seeds: Iterable[int], jobs: int, server: str) -> list[Verdict]:
    stores = {}
    for conditional, variable in SERVERS.items():
        if server in ("both", "conditional" if conditional else "unconditional"):
            store = named_store(variable)
            if store is None:
                raise Unable(f"{variable} is not set; scripts/with-object-stores sets it")
            stores[conditional] = store
    if not binary().is_file():
        raise Unable(f"no binary at {binary()}: build it with `cargo build --release`, or set FLOWLAKE_BIN")
    directory = Path(tempfile.mkdtemp(prefix="flowlake-faults-"))
    try:
        corpus = Corpus(directory)
        corpus.make()
        runs = Campaign(corpus, stores)
        try:
            runs.prepare()
            verdicts = []
            with ThreadPoolExecutor(jobs) as threads:
                scenarios = [draw(seed, server, runs.requests) for seed in seeds]
                for verdict in threads.map(runs.run, scenarios):
                    report(verdict)
                    verdicts.append(verdict)
            return verdicts
        finally:
            runs.clear()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def main() -> int:
    arguments = parse(None)
    try:
        verdicts = campaign(range(arguments.first, arguments.first + arguments.seeds), arguments.jobs, arguments.server)
    except Unable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    summary(verdicts)
    failed = sum(bool(verdict.wrong) for verdict in verdicts)
    print(f"{len(verdicts) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
