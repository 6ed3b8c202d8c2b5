"""What may become of a dump, and of a build: decided from the bytes of the dumps, the catalogue and the options."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

from lakes import RECIPES, Device
from raw_flows import Flow
from recompute import RecipeOracle, Recomputed, Rule, recompute
from torture.containers import Files, Unreadable, find_parts, read
from torture.lines import Line, judge_lines

# Lines of texts that are met again and again.
Judged = Mapping[bytes, list[Line]]


@dataclass(frozen=True)
class Limits:
    """`[limits]` of a catalogue, with the documented defaults."""

    max_rejected_share: float = 0.001
    max_rejected_lines: int = 100_000
    max_months: int = 240
    max_line_bytes: int = 1 << 20
    max_decompressed_bytes: int = 1 << 38
    max_archive_entries: int = 1000

    def toml(self) -> str:
        return "[limits]\n" + "".join(f"{name} = {value}\n" for name, value in vars(self).items())


@dataclass(frozen=True)
class Options:
    """What a build is asked for."""

    recipe: str = "full"
    limits: Limits = Limits()
    strict: bool = False
    # A month such as 2019-08.
    first: str | None = None
    behind: str | None = None

    @property
    def oracle(self) -> RecipeOracle:
        """The recipe with the rules that the range of times adds behind its own."""
        recipe = RECIPES[self.recipe]

        def rules() -> dict[str, Rule]:
            return {**recipe.rules(), **self.time_rules()}

        return replace(recipe, rules=rules)

    def time_rules(self) -> dict[str, Rule]:
        rules: dict[str, Rule] = {}
        if self.first is not None:
            rules[f"before --from {_told(self.first)}"] = lambda flow: _start(flow) < _month(self.first)
        if self.behind is not None:
            rules[f"not before --to {_told(self.behind)}"] = lambda flow: _start(flow) >= _month(self.behind)
        return rules

    def arguments(self) -> list[str]:
        more = ["--recipe", self.recipe]
        more += ["--strict"] if self.strict else []
        more += ["--from", self.first] if self.first else []
        more += ["--to", self.behind] if self.behind else []
        return more


def _start(flow: Flow) -> datetime:
    return flow.values["flowStartMilliseconds"]


def _told(month: str) -> str:
    """A month as the manifest has it in the names of rules: its first moment."""
    return f"{month}-01T00:00:00.000Z"


def _month(text: str) -> datetime:
    year, month = text.split("-")
    return datetime(int(year), int(month), 1, tzinfo=UTC)


@dataclass
class Expected:
    """What one dump must become, if it is read to its end."""

    device: Device
    parts: list[str]
    result: Recomputed
    rejected: list[Line]
    stats: int
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def read(self) -> int:
        return self.result.records["flows"] + self.result.records[None]

    @property
    def records(self) -> dict[str, int]:
        counts = self.result.records
        return {
            "flows": self.read,
            "stats": self.stats,
            "tombstone": counts["tombstone"],
            "other": counts["other"],
        }

    @property
    def trailer(self) -> dict[str, int | bool] | None:
        if self.result.trailer is None:
            return None
        flows, packets = self.result.trailer
        return {
            "flows": flows,
            "packets": packets,
            "matches": (flows, packets) == (self.read, self.result.packets),
        }

    def warnings(self) -> Counter[str]:
        """Kinds of the warnings about this dump."""
        kinds = []
        if self.trailer is None:
            kinds.append("trailerMissing")
        elif not self.trailer["matches"]:
            kinds.append("trailerMismatch")
        if self.rejected:
            kinds.append("linesRejected")
        if self.unknown:
            kinds.append("unknownFields")
        return Counter(kinds)


@dataclass(frozen=True)
class Refusal:
    """A way in which a build may end without a lake: its exit code, and what has to be told."""

    code: int
    # What kind of trouble, for tables.
    why: str
    dump: str
    # Texts that the error must hold.
    tells: tuple[str, ...] = ()
    unreadable: Unreadable | None = None


@dataclass
class Verdict:
    """What is allowed of a build: one of the refusals, or a lake if there are none."""

    dumps: dict[str, Expected]
    refusals: list[Refusal]


def judge_build(
    inputs: Files,
    devices: list[Device],
    parts: dict[str, int],
    options: Options,
    judged: Judged = MappingProxyType({}),
) -> Verdict:
    """What a build of these devices may do. `parts` has the number of files that the catalogue states for a dump."""
    dumps: dict[str, Expected] = {}
    refusals: list[Refusal] = []
    for device in devices:
        found, refused = judge_dump(inputs, device, parts.get(device.dump), options, judged)
        refusals += refused
        if found is not None:
            dumps[device.dump] = found
    if any(refusal.unreadable or refusal.why == "limit" for refusal in refusals):
        # What is only told when all dumps are read is never told then; a limit on lines may be met first.
        refusals = [refusal for refusal in refusals if refusal.why not in ("share", "strict")]
    elif any(refusal.why == "lines" for refusal in refusals):
        refusals = [refusal for refusal in refusals if refusal.why not in ("share", "strict")]
    return Verdict(dumps, refusals)


def judge_dump(
    inputs: Files, device: Device, parts: int | None, options: Options, judged: Judged
) -> tuple[Expected | None, list[Refusal]]:
    name, limits = device.dump, options.limits
    refusals = []
    try:
        names = find_parts(inputs, name, parts)
        if not names:
            raise Unreadable("absent")
        content = read(inputs, names)
    except Unreadable as error:
        refusals.append(Refusal(3, "archive", name, unreadable=error))
        # As far as it was read, there may have been too much to reject, or to take.
        if limits.max_rejected_lines < 100:
            refusals.append(Refusal(1, "lines", name, (f"more than {limits.max_rejected_lines} lines",)))
        if any(len(line) > limits.max_line_bytes for line in error.before.split(b"\n")):
            refusals.append(Refusal(3, "limit", name, ("a line's length in bytes",)))
        refusals += [Refusal(3, "limit", name, tells) for tells in limit_tells(limits) if Limits() != limits]
        return None, refusals
    if content.size > limits.max_decompressed_bytes:
        refusals.append(
            Refusal(3, "limit", name, ("the decompressed size in bytes", str(limits.max_decompressed_bytes)))
        )
    if content.entries > limits.max_archive_entries:
        refusals.append(Refusal(3, "limit", name, ("the number of archive entries", str(limits.max_archive_entries))))
    lines = judged.get(content.text) or judge_lines(content.text)
    long = next((line for line in lines if len(line.text) > limits.max_line_bytes), None)
    if long is not None:
        refusals.append(
            Refusal(3, "limit", name, ("a line's length in bytes", f"line {long.number}, byte {long.offset}"))
        )
    expected = expect(options.oracle, device, names, lines)
    if len(expected.result.months) > limits.max_months:
        refusals.append(Refusal(3, "limit", name, (f"more than {limits.max_months} months",)))
    if len(expected.rejected) > limits.max_rejected_lines:
        tells = (f"more than {limits.max_rejected_lines} lines", _first(expected))
        refusals.append(Refusal(1, "lines", name, tells))
    if expected.rejected and len(expected.rejected) / expected.read > limits.max_rejected_share:
        tells = (f"{len(expected.rejected)} of {expected.read} flows", _first(expected))
        refusals.append(Refusal(1, "share", name, tells))
    if options.strict and not (expected.trailer or {"matches": False})["matches"]:
        refusals.append(Refusal(3, "strict", name, ("--strict", "trailer")))
    return expected, refusals


def limit_tells(limits: Limits) -> Iterator[tuple[str, ...]]:
    """What errors say of the limits that are not the usual ones."""
    usual = Limits()
    if limits.max_decompressed_bytes != usual.max_decompressed_bytes:
        yield ("the decompressed size in bytes",)
    if limits.max_archive_entries != usual.max_archive_entries:
        yield ("the number of archive entries",)
    if limits.max_line_bytes != usual.max_line_bytes:
        yield ("a line's length in bytes",)
    if limits.max_months != usual.max_months:
        yield (f"more than {limits.max_months} months",)


def _first(expected: Expected) -> str:
    line = expected.rejected[0]
    return f"line {line.number}, byte {line.offset}: "


def expect(recipe: RecipeOracle, device: Device, parts: list[str], lines: list[Line]) -> Expected:
    """What a recipe makes of the lines of a dump."""

    def records() -> Iterator[tuple[int, str | None, dict]]:
        for line in lines:
            if line.kind == "stats" and not line.content:
                continue
            yield line.number, None if line.kind == "rejected" else line.kind, line.content

    result = recompute(
        recipe,
        records(),
        device=device.name,
        device_class=device.device_class,
        mac=device.mac,
        dump=device.dump,
    )
    rejected = [line for line in lines if line.kind == "rejected"]
    assert result.rejected == len(rejected), "a line that is a flow here is one for `raw_flows` too"
    unknown = Counter(name for line in lines if line.kind == "flows" for name in line.unknown)
    stats = sum(line.kind == "stats" for line in lines)
    return Expected(device, parts, result, rejected, stats, unknown)
