"""Builds the dumps of a case, and judges what it said, what it left, and every row of the lake if there is one."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from object_stores.stores import Run, flowlake, local_environment
from torture.cases import CHANGES, PACKED, Case
from torture.comparison import Comparison, compare, values_of
from torture.containers import Files, Unreadable, find_parts
from torture.corpus import Dump, Unable
from torture.expected import Expected, Limits, Refusal, Verdict, judge_build
from torture.lines import judge_lines

# A build of these dumps takes less than a second; beyond this it hangs.
_RUN_SECONDS = 120
_POSITION = re.compile(r"in part (?P<part>.+) (at|near) byte (?P<offset>\d+)")

# What may become of a case, in the order of tables.
WHOLE, TOLD, AS_WRITTEN = "same rows", "others, told", "others, not seen"
REFUSED = {"archive": "archive", "limit": "limit", "lines": "rejected", "share": "rejected", "strict": "--strict"}
OUTCOMES = [WHOLE, TOLD, AS_WRITTEN, "archive", "rejected", "--strict", "limit", "WRONG"]


@dataclass
class Outcome:
    """What became of a case."""

    case: Case
    outcome: str = "WRONG"
    wrong: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    found: Comparison = field(default_factory=Comparison)


class Workshop:
    """Where cases are built: the corpus, and the lake that is there before those that replace one."""

    def __init__(self, corpus: dict[str, Dump], directory: Path) -> None:
        self.corpus = corpus
        self.directory = directory
        self.judged = {dump.text: judge_lines(dump.text) for dump in corpus.values()}
        self.old_lake = directory / "old"
        self._make_old_lake()

    def _make_old_lake(self) -> None:
        dump = self.corpus["qrio_hub"]
        place = self.directory / "of-old"
        write(place / "dumps", dump.files)
        (place / "catalogue.toml").write_text(catalogue([dump], Limits(), parts_known=False))
        arguments = ["--config", place / "catalogue.toml", "--input", place / "dumps", "--output", self.old_lake]
        run = flowlake("build", *arguments, "--progress", "none", environment=local_environment())
        if run.code != 0:
            raise Unable(f"it already goes wrong with a dump that is whole: {run}")

    def run(self, case: Case, keep: bool = False) -> Outcome:
        outcome = Outcome(case)
        place = self.directory / f"case-{case.number}"
        try:
            self._run(case, place, outcome)
        except Exception as error:
            outcome.wrong.append(f"the campaign itself failed: {error!r}")
        if outcome.wrong:
            outcome.outcome = "WRONG"
        if not keep:
            shutil.rmtree(place, ignore_errors=True)
        return outcome

    def _run(self, case: Case, place: Path, outcome: Outcome) -> None:
        dumps = [self.corpus[stem] for stem in (case.dump, *case.beside)]
        inputs: Files = dict(case.files)
        for dump in dumps[1:]:
            inputs |= dump.files
        write(place / "dumps", inputs)
        (place / "tmp").mkdir()
        (place / "catalogue.toml").write_text(catalogue(dumps, case.options.limits, case.parts_known))
        lake = place / "lake"
        if case.replaces:
            shutil.copytree(self.old_lake, lake)
        before = tree(place)
        arguments = ["--config", place / "catalogue.toml", "--input", place / "dumps", "--output", lake]
        arguments += [*case.options.arguments(), "--jobs", str(case.jobs), "--progress", "none"]
        arguments += ["--replace"] if case.replaces else []
        environment = local_environment() | {"TMPDIR": str(place / "tmp")}
        run = flowlake("build", *arguments, environment=environment, seconds=_RUN_SECONDS)
        outcome.runs.append(run)
        outcome.wrong += complaints(run)
        parts = {dump.stem: dump.packing.parts for dump in dumps if case.parts_known}
        verdict = judge_build(inputs, [dump.device for dump in dumps], parts, case.options, self.judged)
        if run.code == 0:
            self._judge_lake(case, lake, inputs, verdict, outcome)
            # Beside the lake nothing may have changed either.
            after = tree(place)
            differing = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
            if left := sorted(path for path in differing if path.partition("/")[0] != "lake"):
                outcome.wrong.append(f"left behind or changed: {left}")
        else:
            damage = first_damage(self.corpus[case.dump], case.files)
            outcome.outcome, wrong = judge_refusal(run, verdict, inputs, damage)
            outcome.wrong += wrong
            after = tree(place)
            if after != before:
                differing = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
                outcome.wrong.append(f"not as before: {sorted(differing)}")

    def _judge_lake(self, case: Case, lake: Path, inputs: Files, verdict: Verdict, outcome: Outcome) -> None:
        if verdict.refusals:
            outcome.wrong.append(f"a lake was published, though {verdict.refusals}")
            return
        recipe = case.options.oracle
        outcome.found = compare(lake, inputs, verdict.dumps, recipe)
        outcome.wrong += outcome.found.wrong
        run = flowlake("verify", lake, environment=local_environment(), seconds=_RUN_SECONDS)
        if run.code != 0:
            outcome.runs.append(run)
            outcome.wrong.append(f"verify ended with {run.code}")
        dump = self.corpus[case.dump]
        whole = judge_build(dump.files, [dump.device], {}, case.options, self.judged).dumps[case.dump]
        damaged = verdict.dumps[case.dump]
        if all_values(damaged, case) == all_values(whole, case):
            outcome.outcome = WHOLE
        else:
            outcome.outcome = TOLD if damaged.warnings() else AS_WRITTEN
            if case.kind.where == PACKED and case.kind.what in CHANGES and dump.packing.is_checked:
                # Whatever the oracle made of it.
                outcome.wrong.append("bytes below a checksum were changed, and other rows published")


def first_damage(dump: Dump, damaged: Files) -> tuple[int, int]:
    """The first byte, as number of a part and offset, that differs from what should be there."""
    try:
        names = find_parts(damaged, dump.stem, None)
    except Unreadable:
        # Nothing of it is read, and no offset told.
        return 0, 0
    expected, there = b"".join(dump.files.values()), b"".join(damaged[name] for name in names)
    shorter = min(len(expected), len(there))
    at = next((at for at in range(shorter) if expected[at] != there[at]), shorter)
    for number, name in enumerate(names):
        if at <= len(damaged[name]):
            return number, at
        at -= len(damaged[name])
    return len(names), 0


def complaints(run: Run) -> list[str]:
    """What no build may do, whatever it is given."""
    found = []
    if run.timed_out:
        found.append("it did not end")
    elif run.code < 0:
        found.append(f"it died of signal {-run.code}")
    if run.code == 101 or "panicked at" in run.stderr or "stack backtrace" in run.stderr:
        found.append("it panicked")
    if run.code != 0 and not run.error():
        found.append("no line of stderr begins with `error:`")
    return found


def all_values(dump: Expected, case: Case) -> list:
    recipe = case.options.oracle
    return sorted(
        (month, repr([values_of(row, recipe) for row in rows])) for month, rows in dump.result.months.items() if rows
    )


def judge_refusal(run: Run, verdict: Verdict, inputs: Files, damage: tuple[int, int]) -> tuple[str, list[str]]:
    """The outcome of a build that ended with an error, and what is wrong with it."""
    if not verdict.refusals:
        return "WRONG", [f"it ended with {run.code}, though all can be read"]
    codes = sorted({refusal.code for refusal in verdict.refusals})
    if run.code not in codes:
        return "WRONG", [f"it ended with {run.code}, should be {codes}: {verdict.refusals}"]
    complaints = {}
    for refusal in verdict.refusals:
        if refusal.code != run.code:
            continue
        wrong = not_told(run.error(), refusal, inputs, damage)
        if not wrong:
            return REFUSED[refusal.why], []
        complaints[refusal.why] = wrong
    return "WRONG", [f"{why}: {what}" for why, wrong in complaints.items() for what in wrong]


def not_told(message: str, refusal: Refusal, inputs: Files, damage: tuple[int, int]) -> list[str]:
    """What an error should have said, and did not."""
    wrong = [f"the error does not say {text!r}" for text in (refusal.dump, *refusal.tells) if text not in message]
    unreadable = refusal.unreadable
    if unreadable is None:
        return wrong
    words = {
        "missing": ["is missing in "],
        "twice": ["is there twice: "],
        "no json": ["holds no .json file"],
        "truncated": ["ends too early"],
        "damaged": ["damaged ", "ends too early"],
        "damaged or truncated": ["damaged ", "ends too early"],
    }[unreadable.how]
    if not any(word in message for word in words):
        wrong.append(f"the error says none of {words}")
    if unreadable.part is not None and unreadable.part not in message:
        wrong.append(f"the error does not name {unreadable.part}")
    if unreadable.how in ("missing", "twice", "no json"):
        return wrong
    position = _POSITION.search(message)
    if position is None:
        return [*wrong, "the error names no part and offset"]
    part, offset = position["part"], int(position["offset"])
    if part not in inputs or not 0 <= offset <= len(inputs[part]):
        return [*wrong, f"there is no byte {offset} in {part}"]
    if unreadable.at is not None and (part, offset) != (unreadable.part, unreadable.at):
        wrong.append(f"the end is in {unreadable.part} at byte {unreadable.at}")
    number = find_parts(inputs, refusal.dump, None).index(part)
    if (number, offset) < damage:
        wrong.append(f"it is told before the damage, which is in part number {damage[0]} at byte {damage[1]}")
    return wrong


def catalogue(dumps: list[Dump], limits: Limits, parts_known: bool) -> str:
    entries = [
        '[dataset]\nname = "torture"\ntitle = "Damaged flows"\nlicence = "CC0-1.0"\ncitation = "Nobody"\n'
        'url = "https://example.org/torture"\n',
        limits.toml(),
    ]
    for dump in dumps:
        device = dump.device
        entry = f'[[device]]\nname = "{device.name}"\nclass = "{device.device_class}"\nmac = "{device.mac}"\n'
        entry += f'archive = "{device.dump}"\n'
        entries.append(entry + (f"parts = {max(1, dump.packing.parts)}\n" if parts_known else ""))
    return "\n".join(entries)


def write(directory: Path, files: Files) -> None:
    directory.mkdir(parents=True)
    for name, data in files.items():
        (directory / name).write_bytes(data)


def tree(directory: Path) -> dict[str, str]:
    """Everything below a directory, hidden or not: digests of files, and directories."""
    return {
        path.relative_to(directory).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
        )
        for path in directory.rglob("*")
    }
