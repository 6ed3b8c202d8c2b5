"""A hostile input, what has to become of it, and a judgement of what did."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows_oracle import FLOWS
from hostile import flows
from hostile.sandbox import Run, Sandbox, sandbox
from raw_flows import TIMESTAMP, to_millis

# What docs/command-line.md says two threads need, within which builds have to stay whatever they read.
BUILD_MIB = 176
# The files and one row group of a lake of a few rows; more means that something hostile was unpacked.
BUILD_DISK_MIB = 64
# Reading 256 GiB takes its time, on a machine that has others to serve more than that.
LONG_SECONDS = 3_600


@dataclass
class Tried:
    """What became of a hostile input."""

    outcome: str = "?"
    wrong: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    kept: int = 0
    rejected: int = 0
    lost: int = 0
    invented: int = 0

    @property
    def memory_mib(self) -> float:
        return max((run.memory_mib for run in self.runs), default=0)

    @property
    def disk_mib(self) -> float:
        return max((run.disk_mib for run in self.runs), default=0)

    @property
    def seconds(self) -> float:
        return sum(run.seconds for run in self.runs)

    def complain(self, what: str) -> None:
        self.wrong.append(what)

    def expect(self, run: Run, code: int | Sequence[int], says: Iterable[str], mib: float, disk_mib: float) -> bool:
        """Judges what every run is judged by; whether it ended as it had to."""
        self.runs.append(run)
        self.wrong += run.complaints()
        codes = [code] if isinstance(code, int) else code
        if run.code not in codes:
            self.complain(f"exit code {run.code}, not {' or '.join(map(str, codes))}")
        self.wrong += [f"it does not say {text!r}" for text in says if text not in run.stderr + run.stdout]
        if run.memory_mib > mib:
            self.complain(f"{run.memory_mib:.0f} MiB of memory, more than {mib}")
        if run.disk_mib > disk_mib:
            self.complain(f"{run.disk_mib:.0f} MiB on disk, more than {disk_mib}")
        self.outcome = OUTCOMES.get(run.code, f"exit code {run.code}")
        return run.code in codes


OUTCOMES = {
    0: "read, the right rows",
    1: "refused: differences or rejected lines (1)",
    2: "refused: configuration (2)",
    3: "refused: input (3)",
    4: "refused: output (4)",
}


@dataclass(frozen=True)
class Case:
    """One hostile input."""

    group: str
    name: str
    attempt: Callable[[Sandbox, Tried], None]
    # Takes minutes or gigabytes of reading: for the whole campaign alone.
    long: bool = False
    # One of many of its kind: too many of them for CI.
    repetitive: bool = False

    @property
    def title(self) -> str:
        return f"{self.group}: {self.name}"


def attempt(case: Case) -> Tried:
    """Tries a case in a sandbox of its own."""
    tried = Tried()
    with sandbox(case.group.split()[-1]) as place:
        if case.long:
            place.patience = LONG_SECONDS
        case.attempt(place, tried)
        tried.wrong += place.changed()
        if left := [path.name for path in place.temporary.iterdir()]:
            tried.complain(f"left in TMPDIR: {left}")
    return tried


# Writes the files of a dump into a sandbox.
Write = Callable[[Sandbox], None]


def files(**named: bytes | Callable[[], bytes]) -> Write:
    """Files of a dump; `_` in a name stands for a dot. Large ones are made when they are wanted."""

    def write(place: Sandbox) -> None:
        for name, content in named.items():
            (place.dumps / name.replace("_", ".")).write_bytes(content() if callable(content) else content)

    return write


def dump_case(
    group: str,
    name: str,
    write: Write,
    *,
    code: int | Sequence[int] = 0,
    content: bytes | Callable[[], bytes] | None = None,
    says: Sequence[str] = (),
    limits: str = "max_rejected_share = 1.0",
    mib: float = BUILD_MIB,
    disk_mib: float = BUILD_DISK_MIB,
    tarfile_agrees: bool = False,
    plain: bytes | None = None,
    unusable: Collection[int] = (),
    long: bool = False,
    repetitive: bool = False,
) -> Case:
    """A dump to build a lake of. `content` is the JSON that it holds, if it can be read."""

    def run(place: Sandbox, tried: Tried) -> None:
        (place.root / "catalogue.toml").write_text(flows.catalogue(limits))
        write(place)
        place.remember()
        held = content() if callable(content) else content
        if tarfile_agrees and (found := tarfile_reads(place.dumps)) != held:
            tried.complain(f"Python's tarfile reads something else: {found!r:.300}")
        done = build(place)
        if tried.expect(done, code, says, mib, disk_mib) and done.code == 0 and held is not None:
            judge_lake(place, held, tried, plain, unusable)
        elif done.code != 0:
            judge_refusal(place, done, tried)

    return Case(group, name, run, long=long, repetitive=repetitive)


def build(place: Sandbox, *more: str | Path) -> Run:
    arguments = ["--config", place.root / "catalogue.toml", "--input", place.dumps, "--output", place.lake]
    return place.flowlake("build", *arguments, "--progress", "none", *more)


def judge_refusal(place: Sandbox, run: Run, tried: Tried) -> None:
    """A build that fails names the dump, says what to do, and leaves nothing."""
    if left := place.left():
        tried.complain(f"left where the lake was to be: {left}")
    if run.code in (1, 3) and not any(name in run.stderr for name in (f"dump {flows.DUMP}", str(place.dumps))):
        tried.complain("the error names neither the dump nor where it should be")


def judge_lake(
    place: Sandbox, content: bytes, tried: Tried, plain: bytes | None = None, unusable: Collection[int] = ()
) -> None:
    """Every row of a lake, every rejected line and every number of them, by Python's own reading of the dump.

    `plain` is the same dump as exporters would have written it, `unusable` are lines that have to be rejected for what
    the oracle knows nothing of.
    """
    expected = flows.recomputed(content if plain is None else plain, unusable)
    if place.left() != ["lake"]:
        tried.complain(f"beside the lake there is {place.left()}")
    judge_rows(place, {month: [row.cells for row in rows] for month, rows in expected.months.items()}, tried)
    judge_counts(place, expected.read, expected.kept, sum(expected.removed.values()), expected.rejected, tried)
    texts = content.split(b"\n")
    for line in rejected_lines(place):
        if kept_text(line) != texts[line["line"] - 1].removesuffix(b"\r"):
            tried.complain(f"line {line['line']} is not kept word for word")


def judge_rows(place: Sandbox, months: dict[str, list[dict[str, Any]]], tried: Tried) -> None:
    manifest = json.loads((place.lake / "manifest.json").read_text())
    found: dict[str, list[tuple[Any, ...]]] = {}
    for file in sorted(manifest["files"], key=lambda file: file["path"]):
        found.setdefault(file["month"], []).extend(_cells(place.lake / file["path"]))
    for month in sorted(months.keys() | found.keys()):
        wanted = [
            tuple(_comparable(FLOWS.columns[name], row[name]) for name in FLOWS.columns)
            for row in months.get(month, [])
        ]
        have = found.get(month, [])
        lost, invented = Counter(wanted) - Counter(have), Counter(have) - Counter(wanted)
        tried.kept += len(have)
        tried.lost += lost.total()
        tried.invented += invented.total()
        if lost or invented:
            tried.complain(f"{month}: {lost.total()} rows are lost, {invented.total()} are invented")
        elif wanted != have:
            tried.complain(f"{month}: the rows are in another order")
    listed = {file["path"] for file in manifest["files"]}
    there = {path.relative_to(place.lake).as_posix() for path in (place.lake / "data").rglob("*") if path.is_file()}
    if listed != there:
        tried.complain(f"the manifest lists other files than there are: {sorted(listed ^ there)}")


def judge_counts(place: Sandbox, read: int, kept: int, removed: int, rejected: int, tried: Tried) -> None:
    accounting = json.loads((place.lake / "manifest.json").read_text())["rowAccounting"]
    said = (
        accounting["read"],
        accounting["kept"],
        sum(rule["rows"] for rule in accounting["removed"]),
        accounting["rejected"],
    )
    if said != (read, kept, removed, rejected):
        tried.complain(
            f"read, kept, removed, rejected should be {(read, kept, removed, rejected)}, the manifest says {said}"
        )
    if len(rejected_lines(place)) != rejected:
        tried.complain(f"{len(rejected_lines(place))} rejected lines are kept, not {rejected}")
    tried.rejected += said[3]


def rejected_lines(place: Sandbox) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted((place.lake / "rejected").glob("*.ndjson"))
        for line in path.read_bytes().splitlines()
    ]


def kept_text(line: dict[str, Any]) -> bytes:
    return bytes.fromhex(line["textHex"]) if "textHex" in line else line["text"].encode()


def stripped(line: bytes) -> bytes:
    return line.removesuffix(b"\r").removeprefix(b"\xef\xbb\xbf")


def _cells(path: Path) -> list[tuple[Any, ...]]:
    table = pq.read_table(path, partitioning=None)
    columns = [column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in table.columns]
    return list(zip(*(column.to_pylist() for column in columns), strict=True)) if columns else []


def _comparable(kind: str, value: Any) -> Any:
    return to_millis(value) if kind == TIMESTAMP and value is not None else value


def tarfile_reads(directory: Path) -> bytes | str:
    """The JSON of an archive as Python's tarfile reads it; or why it does not."""
    joined = b"".join(path.read_bytes() for path in sorted(directory.glob(f"{flows.DUMP}.tar.gz*")))
    content = b""
    try:
        with tarfile.open(fileobj=io.BytesIO(joined), mode="r:gz", ignore_zeros=True) as archive:
            for entry in archive:
                name = entry.name.rsplit("/", 1)[-1]
                if not entry.isfile() or not name.endswith(".json") or name.startswith("._"):
                    continue
                stream = archive.extractfile(entry)
                assert stream is not None, "a regular file has content"
                if content and not content.endswith(b"\n"):
                    content += b"\n"
                content += stream.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return content
