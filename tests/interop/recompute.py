"""Applies a recipe to a dump, row by row: what is kept, what each rule removes, what is rejected.

A recipe here is a list of columns, a list of rules in their order, and a function that makes a row of a flow; those of
the built-in recipes are in `flows_oracle`, `encoded_oracle` and `full_oracle`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from raw_flows import Flow, Unusable, read_flow

# Whether a rule removes a flow. It is asked once for every flow that no rule before it removed, in order of the dump.
Rule = Callable[[Flow], bool]


@dataclass(frozen=True)
class RecipeOracle:
    """What a recipe means."""

    name: str
    # Columns inside the data files, in file order, with their types as the manifest spells them.
    columns: dict[str, str]
    # Columns in which nulls can occur.
    nullable: set[str]
    # Columns of addresses as numbers, in which an IPv6 address is null.
    ipv4_numbers: list[str]
    # Repairs that it makes, in the order manifests list them in.
    repairs: list[str]
    # Raw fields that are left out, each with evidence in the manifest.
    dropped: list[str]
    # Makes the rules of a dump, by name and in order. A rule may remember what it saw, so that each dump has its own.
    rules: Callable[[], dict[str, Rule]]
    row: Callable[[Flow], dict[str, Any]]


@dataclass
class Row:
    """A row kept, and where it is from."""

    cells: dict[str, Any]
    line: int
    start: datetime


@dataclass
class Recomputed:
    """What one dump must become."""

    removed: dict[str, int]
    # Raw values of the dropped fields over the rows kept; None is a missing one.
    dropped: dict[str, Counter]
    # Rows by month, in the order of the dump.
    months: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    # Lines by record kind; `flows` are all flows, usable or not; None is a line that is no record.
    records: Counter = field(default_factory=Counter)
    # All usable flows, kept or not.
    directions: Counter = field(default_factory=Counter)
    rejected: int = 0
    # Σ (packetTotalCount + reversePacketTotalCount) over all usable flows, for the trailer.
    packets: int = 0
    # Flows and packets as the last `stats` line has them; None without one.
    trailer: tuple[int, int] | None = None
    # Values in the rows kept that each repair changed.
    repairs: Counter = field(default_factory=Counter)

    @property
    def read(self) -> int:
        return self.records["flows"] + self.records[None]

    @property
    def kept(self) -> int:
        return sum(len(rows) for rows in self.months.values())


def recompute(
    recipe: RecipeOracle,
    records: Iterable[tuple[int, str | None, dict]],
    *,
    device: str,
    device_class: str,
    mac: str,
    dump: str,
) -> Recomputed:
    """Applies the recipe to the records of one dump, which belongs to `device` with the address `mac`."""
    rules = recipe.rules()
    result = Recomputed(dict.fromkeys(rules, 0), {name: Counter() for name in recipe.dropped})
    for line, kind, content in records:
        result.records[kind] += 1
        if kind == "stats":
            result.trailer = (content["exportedFlowTotalCount"], content["packetTotalCount"])
        if kind is None:
            result.rejected += 1
        if kind != "flows":
            continue
        try:
            flow = read_flow(content, device, device_class, mac, dump, line)
        except Unusable:
            result.rejected += 1
            continue
        result.packets += flow.values["packetTotalCount"] + flow.values["reversePacketTotalCount"]
        result.directions[flow.direction] += 1
        rule = next((name for name, removes in rules.items() if removes(flow)), None)
        if rule is not None:
            result.removed[rule] += 1
            continue
        start = flow.values["flowStartMilliseconds"]
        row = recipe.row(flow)
        assert list(row) == list(recipe.columns), "a row has every column, in order"
        # Not strftime, which does not fill years before 1000 with zeros.
        result.months[f"{start.year:04}-{start.month:02}"].append(Row(row, line, start))
        result.repairs += flow.repairs()
        for name, values in result.dropped.items():
            values[flow.raw[name]] += 1
    return result
