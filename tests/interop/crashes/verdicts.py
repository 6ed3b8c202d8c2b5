"""What became of a case: how it is judged, and that the next run mends everything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from crashes.corpus import Corpus
from crashes.places import Bucket, Disk, state
from crashes.runs import complaints, run
from object_stores.stores import Run

# How a command that only adds answers when what it adds is there already.
REFUSED = {"fresh": 4, "release": 5}


@dataclass
class Verdict:
    """What became of a case of the campaign."""

    name: str
    # Kind of case, and what is done: the lines of the table.
    kind: str
    work: str
    outcome: str = ""
    wrong: list[str] = field(default_factory=list)
    # What happened in detail, for whoever looks into a case that went wrong.
    notes: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    # Why it was not tried.
    skipped: str | None = None
    seconds: float = 0


@dataclass
class Case:
    """A case under way: a place of its own, a work, and the verdict."""

    corpus: Corpus
    place: Disk | Bucket
    work: str
    verdict: Verdict
    jobs: int = 2
    # What is read instead of the dumps, or the lake, that all cases share.
    source: Path | None = None
    # Claims of runs that were killed count for a minute. Who does not want to wait takes them away.
    waits: bool = True

    def arguments(self) -> list[str | Path]:
        return self.corpus.arguments(self.work, self.place.target, jobs=self.jobs, dumps=self.source)

    def begin(self) -> None:
        """Puts what the work finds at its place."""
        if self.corpus.old(self.work) is not None:
            self.place.put(self.corpus.lake("before"))

    def look(self) -> str:
        """What a reader finds at the place; what is wrong with it goes into the verdict."""
        found, wrong = state(self.place, self.corpus, self.work)
        self.verdict.wrong += wrong
        return found

    def untouched(self) -> str:
        """What is at the place if nothing was published."""
        return "nothing" if self.corpus.old(self.work) is None else "old"

    def judge_killed(self) -> None:
        """After SIGKILL there may be files around, but a reader sees a whole lake or none."""
        found = self.look()
        words = {"nothing": "no lake", "old": "the old lake", "new": "the new lake"}
        self.verdict.outcome = f"killed, {words.get(found, found)} is there"
        self.again(found)

    def judge(
        self,
        done: Run,
        codes: Iterable[int],
        names: Iterable[str | Path] = (),
        *,
        published: bool = False,
        told_of_leavings: bool = False,
        mend: Callable[[], None] = lambda: None,
    ) -> None:
        """After anything but a kill: the code, the message, the place, and nothing around it.

        `names` are paths one of which the message has to name. `published` says that the run failed after the swap.
        With `told_of_leavings` what the run says that it left is no fault.
        What ailed the machine is mended before the next run.
        """
        verdict = self.verdict
        verdict.runs.append(done)
        verdict.wrong += complaints(done)
        if done.code not in codes:
            verdict.wrong.append(f"exit code {done.code}, not {' or '.join(map(str, codes))}")
        found = self.look()
        if done.code == 0:
            verdict.outcome = "done"
            should = "new"
        else:
            verdict.outcome = f"failed ({done.code})"
            should = "new" if published else self.untouched()
            message = done.error()
            if not message:
                verdict.wrong.append("no line of stderr begins with `error:`")
            elif not any(str(name) in message for name in names):
                verdict.wrong.append(f"the error names none of {', '.join(map(str, names))}")
        words = {"nothing": "no lake", "old": "the old lake", "new": "the new lake"}
        verdict.outcome += f", {words.get(found, found)} is there"
        if found != should:
            verdict.wrong.append(f"there is {words.get(found, found)} where {words[should]} should be")
        for path in self.place.beside():
            if not (told_of_leavings and str(path) in done.stderr):
                verdict.wrong.append(f"left behind: {path}")
        mend()
        self.again(found)

    def again(self, found: str) -> None:
        """The next run needs no help, gives the same bytes as an undisturbed one, and leaves nothing else."""
        if isinstance(self.place, Bucket) and not self.waits:
            self.place.store.delete(self.place.prefix + name for name in self.place.claims())
        self.source = None
        there = found == "new" and self.work in REFUSED
        self._next(self.arguments(), REFUSED[self.work] if there else 0)
        if there and self.work == "fresh":
            # Whoever is refused begins nothing, and so clears nothing up. The error says what does.
            self._next([*self.arguments(), "--replace"], 0)
        wrong = []
        expected = self.corpus.new(self.work).tree
        tree = self.place.tree()
        wrong += [f"{path} is missing or has other bytes" for path in expected if tree.get(path) != expected[path]]
        wrong += [f"{path} is no part of the lake" for path in sorted(set(tree) - set(expected))]
        for left in self.place.beside():
            # A release is never replaced: what is around it in a store waits for the next build.
            if there and self.work == "release" and isinstance(self.place, Bucket):
                self.verdict.notes.append(f"stays until another build: {left}")
            else:
                wrong.append(f"left behind: {left}")
        self.verdict.wrong += [f"the next run: {what}" for what in wrong]

    def _next(self, arguments: list[str | Path], code: int) -> None:
        done = run(arguments, self.place.environment)
        self.verdict.runs.append(done)
        self.verdict.wrong += [f"the next run: {what}" for what in complaints(done)]
        if done.code != code:
            self.verdict.wrong.append(f"the next run: exit code {done.code}, not {code}")
