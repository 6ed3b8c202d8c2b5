"""What is read, what is asked, and what an engine has to answer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

# The time zone of machine and sessions under test: far from UTC, so that a time taken for a local one shows.
ELSEWHERE = "Asia/Tokyo"
START = "flowStartMilliseconds"
INTEGERS = {"int32", "int64"}

# A partition: month and deviceClass.
Partition = tuple[str, str]


def listed_files(lake: Path) -> list[str]:
    """Exactly the files that the manifest of a lake lists."""
    return [str(lake / file["path"]) for file in json.loads((lake / "manifest.json").read_text())["files"]]


@dataclass(frozen=True)
class Source:
    """A lake as an engine is told of it: its directory, or the files that are to be read."""

    root: str
    files: tuple[str, ...] | None = None

    @property
    def data(self) -> str:
        return f"{self.root}/data"


def directory(lake: Path) -> Source:
    return Source(str(lake))


def listed(lake: Path) -> Source:
    return Source(str(lake), tuple(listed_files(lake)))


@dataclass(frozen=True)
class Columns:
    """The columns to summarise: nulls of all, sums of some integers, and the flow start where there is one."""

    all: tuple[str, ...]
    summed: tuple[str, ...]
    start: str | None


@dataclass
class Summary:
    """What an engine found in a partition. Times are milliseconds since 1970 in UTC, however the engine shows them."""

    rows: int
    sums: dict[str, int | None] = field(default_factory=dict)
    nulls: dict[str, int] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None


def summary_from(columns: Columns, values: Iterable[object]) -> Summary:
    """A summary from one row of an answer: rows, first and last start if there is one, sums, counts of values."""
    rest = list(values)
    rows = int(rest.pop(0))
    first, last = (int(rest.pop(0)), int(rest.pop(0))) if columns.start else (None, None)
    sums = {name: None if (total := rest.pop(0)) is None else int(total) for name in columns.summed}
    nulls = {name: rows - int(rest.pop(0)) for name in columns.all}
    assert not rest
    return Summary(rows, sums, nulls, first, last)


@dataclass(frozen=True)
class Query:
    """Flows of a month and class, that began in a span of time, with a server."""

    month: str
    device_class: str
    begin: datetime
    end: datetime
    server: str

    def where(self, time: str) -> str:
        """The condition in SQL; `time` is how the engine writes an instant, with `{}` for `2019-07-03 00:00:00`."""
        begin, end = (
            time.format(moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")) for moment in (self.begin, self.end)
        )
        return (
            f"WHERE month = '{self.month}' AND deviceClass = '{self.device_class}' "
            f"AND {START} >= {begin} AND {START} < {end} AND serverIPAddress = '{self.server}'"
        )


@dataclass(frozen=True)
class Effort:
    """What an engine answered to a query, and what it read for it by its own account."""

    rows: int
    octets: int
    # Data files that were scanned.
    files: int
    # What was scanned of them, where the engine tells: whole row groups, and rows that came out of the reader.
    row_groups: int | None = None
    scanned_rows: int | None = None
    # Its plan or its log, for tests to look into and for people who read a failure.
    told: str = ""


class Engine(Protocol):
    """An engine that reads lakes."""

    title: str
    version: str

    def session_zone(self) -> str | None:
        """The time zone of its session; none if it has no such thing."""

    def types(self, source: Source) -> dict[str, str]:
        """Every column with its type as the engine names it."""

    def summary(self, source: Source, columns: Columns) -> dict[Partition, Summary]: ...

    def answer(self, source: Source, query: Query | None) -> tuple[int, int]:
        """Counts flows and sums `octetTotalCount`, of all rows without a query."""


class FrugalEngine(Engine, Protocol):
    """An engine that tells what it reads for a query."""

    def effort(self, source: Source, query: Query | None) -> Effort: ...
