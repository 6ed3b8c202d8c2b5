"""Points at which a run is killed: drawn from the seed and a number, and tried on disk or in a store."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

from crashes.corpus import WORKS, Corpus
from crashes.places import Bucket, Disk
from crashes.runs import CALLS, Call, Missing, calls, kill_after, kill_when, published_at, run, strace, traced
from crashes.verdicts import Case, Verdict
from object_stores.corpus import Unable
from object_stores.fault_proxy import FaultProxy
from object_stores.stores import Run, Store

# How often a point is drawn again because the run had ended, or never came there.
TRIES = 6


@dataclass(frozen=True)
class Point:
    """Where a run is killed."""

    number: int
    # `disk`, `conditional` or `unconditional`.
    where: str
    # `time`, `call` or `request`.
    how: str
    work: str
    jobs: int
    seed: str

    @property
    def kind(self) -> str:
        place = "disk" if self.where == "disk" else f"store, {self.where}"
        return f"{place}: killed at a {self.how}"


def draw(seed: int, number: int, stores: bool) -> Point:
    """The point of a number. Kinds of cases take turns, so that few points have some of each."""
    name = f"crash {seed} {number}"
    chance = random.Random(name)
    jobs = chance.choice([1, 2, 2])
    turn = number - 1
    if stores and turn % 3 == 2:
        turn //= 3
        where = ("conditional", "unconditional")[turn % 2]
        return Point(number, where, ("request", "time")[turn // 2 % 2], WORKS[turn // 4 % 3], jobs, name)
    turn = turn // 3 * 2 + turn % 3 if stores else turn
    return Point(number, "disk", ("call", "time")[turn % 2], WORKS[turn // 2 % 3], jobs, name)


@dataclass
class Undisturbed:
    """What runs do that nothing happens to, counted once for each work."""

    corpus: Corpus
    root: Path
    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    # Index of the first call of publishing.
    publishing: dict[str, int] = field(default_factory=dict)
    requests: dict[tuple[str, str], int] = field(default_factory=dict)
    # Why calls were not counted.
    missing: str | None = None

    def on_disk(self) -> Undisturbed:
        for work in WORKS:
            # The second run is not slowed down by the first look at the program.
            for attempt in range(2):
                case = self._case(Disk(self.root / f"undisturbed-{work}-{attempt}"), work)
                began = time.monotonic()
                self._run(case)
                self.seconds["disk", work] = time.monotonic() - began
        try:
            strace()
        except Missing as error:
            self.missing = str(error)
            return self
        for work in WORKS:
            place = Disk(self.root / f"counted-{work}")
            case = self._case(place, work)
            log = place.root / "calls"
            self._run(case, traced(log, CALLS))
            made = calls(log)
            published = published_at(made, place.target)
            if published is None:
                raise Unable(f"a {work} makes no call that publishes")
            manifest = [number for number in range(published) if "manifest.json" in made[number].line]
            self.calls[work] = made
            self.publishing[work] = manifest[-1] if manifest else published
        return self

    def in_store(self, where: str, store: Store, prefix: str) -> None:
        for work in WORKS:
            place = Bucket(store, f"{prefix}counted-{work}/", self.root / f"counted-{where}-{work}")
            case = self._case(place, work)
            with FaultProxy(store.endpoint) as proxy:
                place.environment = place.through(proxy.endpoint)
                began = time.monotonic()
                self._run(case)
                self.seconds[where, work] = time.monotonic() - began
            self.requests[where, work] = len(proxy.seen)
            place.clear()

    def _case(self, place: Disk | Bucket, work: str) -> Case:
        case = Case(self.corpus, place, work, Verdict("undisturbed", "undisturbed", work))
        case.begin()
        return case

    def _run(self, case: Case, under: list[str] | None = None) -> None:
        done = run(case.arguments(), case.place.environment, under=under or [])
        if done.code != 0:
            raise Unable(f"it already goes wrong undisturbed: {done}")


def try_point(point: Point, counted: Undisturbed, case: Case) -> None:
    """Kills the run at its point, and judges what is left."""
    chance = random.Random(point.seed + " attempts")
    case.jobs = point.jobs
    if point.how == "call" and counted.missing is not None:
        raise Missing(counted.missing)
    attempt = {"call": _at_call, "request": _at_request, "time": _at_time}[point.how]
    for _ in range(TRIES):
        case.begin()
        done = attempt(point, counted, case, chance)
        if done.code == -signal.SIGKILL and not done.timed_out:
            case.judge_killed()
            return
        if done.code != 0:
            case.verdict.runs.append(done)
            case.verdict.wrong.append(f"exit code {done.code} although it was not killed")
            return
        # It was faster than thought, or its threads shared the work otherwise: all from the beginning.
        case.place.clear()
        case.place.__post_init__()
    case.verdict.outcome = "never killed: it had ended each time"


def _at_time(point: Point, counted: Undisturbed, case: Case, chance: random.Random) -> Run:
    # The machine may be less busy than when the undisturbed run was timed: sooner each time that it had ended before.
    seconds = chance.random() * counted.seconds[point.where, point.work] * 0.6 ** len(case.verdict.notes)
    case.verdict.notes.append(f"after {seconds:.3f} s")
    return run(case.arguments(), case.place.environment, meanwhile=kill_after(seconds))


def _at_call(point: Point, counted: Undisturbed, case: Case, chance: random.Random) -> Run:
    """Kills it before the call is carried out, which is after all those before it."""
    made = counted.calls[point.work]
    # Most calls are made for the dumps; publishing is short and has the most to lose.
    if chance.random() < 0.5:
        made = made[counted.publishing[point.work] :]
    names = sorted({call.name for call in made})
    name = chance.choices(names, [CALLS[name] for name in names])[0]
    nth = chance.choice([call.nth for call in made if call.name == name])
    case.verdict.notes.append(f"at the {nth}th {name} of a thread")
    under = traced(case.place.root / "calls", [name], "-e", f"inject={name}:signal=SIGKILL:when={nth}")
    return run(case.arguments(), case.place.environment, under=under)


def _at_request(point: Point, counted: Undisturbed, case: Case, chance: random.Random) -> Run:
    assert isinstance(case.place, Bucket)
    nth = chance.randint(1, counted.requests[point.where, point.work])
    case.verdict.notes.append(f"at request {nth}")
    with FaultProxy(case.place.store.endpoint) as proxy:
        environment = case.place.through(proxy.endpoint)
        return run(case.arguments(), environment, meanwhile=kill_when(lambda: len(proxy.seen) >= nth))
