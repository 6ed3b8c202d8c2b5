"""The questions every engine is asked, chosen by what is in the lake."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

GROUP = "serviceType"
SUMS = ("octetTotalCount", "reverseOctetTotalCount")
START = "flowStartMilliseconds"
ADDRESS = "serverIPAddress"
# Of a network for documentation that the generator does not use: no flow has it.
NOWHERE = "203.0.113.254"


@dataclass(frozen=True)
class Question:
    """Flows and sums by service, of all flows or of some."""

    title: str
    sums: tuple[str, ...]
    month: str | None = None
    device_class: str | None = None
    # From the beginning of this day in UTC to the beginning of the next.
    day: str | None = None
    next_day: str | None = None
    address: str | None = None

    @property
    def columns(self) -> set[str]:
        """The columns inside the files that the answer is made of."""
        asked = {GROUP, *self.sums}
        if self.day:
            asked.add(START)
        if self.address:
            asked.add(ADDRESS)
        return asked

    def asks_for(self, file: dict[str, Any]) -> bool:
        """Whether the directories alone leave a file of the manifest in."""
        return self.month in (None, file["month"]) and self.device_class in (None, file["deviceClass"])

    def conditions(self, times: str) -> str:
        """In SQL; `times` is how a literal of a time in UTC is written, with {} for the day."""
        kept = []
        if self.month:
            kept.append(f"month = '{self.month}'")
        if self.device_class:
            kept.append(f"deviceClass = '{self.device_class}'")
        if self.day:
            kept.append(f"{START} >= {times.format(self.day)} AND {START} < {times.format(self.next_day)}")
        if self.address:
            kept.append(f"{ADDRESS} = '{self.address}'")
        return " WHERE " + " AND ".join(kept) if kept else ""

    def sql(self, source: str, times: str) -> str:
        sums = "".join(f", sum({column})" for column in self.sums)
        return f"SELECT {GROUP}, count(*){sums} FROM {source}{self.conditions(times)} GROUP BY {GROUP}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def choose(root: Path, manifest: dict[str, Any]) -> list[Question]:
    """Questions about the smallest, the middle and the largest class in the month with the most flows."""
    rows: dict[str, int] = defaultdict(int)
    for file in manifest["files"]:
        rows[file["month"]] += file["rows"]
    month = max(rows, key=lambda name: (rows[name], name))
    sizes: dict[str, int] = defaultdict(int)
    for file in manifest["files"]:
        if file["month"] == month:
            sizes[file["deviceClass"]] += file["bytes"]
    classes = sorted(sizes, key=lambda name: (sizes[name], name))
    chosen = [classes[0], classes[len(classes) // 2], classes[-1]]
    day, next_day = f"{month}-15", f"{month}-16"
    asked = [Question(f"{month}, {name}", SUMS, month, name) for name in chosen]
    asked += [Question(f"{month}, {name}, one day", SUMS, month, name, day, next_day) for name in chosen]
    rare = _rare_address(root, month, chosen[-1])
    asked += [
        Question(f"{month}, {chosen[-1]}, a server that few flows have", SUMS, month, chosen[-1], address=rare),
        Question(f"{month}, {chosen[-1]}, a server that no flow has", SUMS, month, chosen[-1], address=NOWHERE),
        Question("the whole lake", SUMS[:1]),
    ]
    return asked


def every_pair(manifest: dict[str, Any]) -> list[Question]:
    """The first question, of every month and class there is."""
    pairs = sorted({(file["month"], file["deviceClass"]) for file in manifest["files"]})
    return [Question(f"{month}, {device_class}", SUMS, month, device_class) for month, device_class in pairs]


def _rare_address(root: Path, month: str, device_class: str) -> str:
    """The address that the fewest flows of a class and month have; any of them, but the same one each time."""
    where = f"{root}/data/month={month}/deviceClass={device_class}/*.parquet"
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {ADDRESS} FROM read_parquet('{where}') GROUP BY ALL ORDER BY count(*), {ADDRESS} LIMIT 1"
        ).fetchone()
    assert found is not None
    return found[0]
