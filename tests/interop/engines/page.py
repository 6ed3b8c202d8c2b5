"""The tables of docs/reading.md that are made from what engines say of a lake."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from engines.reading import Columns, Engine, Partition, Source, Summary
from lakes import Lake

# What the table of counts adds up, and a column whose nulls it counts.
SUMS = ("packetTotalCount", "octetTotalCount", "reverseOctetTotalCount", "flowDurationMilliseconds")
WITH_NULLS = "reverseDataByteCount"
# In the order of FORMAT.md.
TYPES = ("string", "int32", "int64", "float64", "date", "timestamp[ms, UTC]")


def heading(engine: Engine) -> str:
    return f"{engine.title} {engine.version}"


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def types_table(lake: Lake, engines: list[Engine], source: Source) -> str:
    """A row for each type of the manifest. Of two types of an engine the first is that of columns without nulls."""
    columns = lake.manifest["schema"]["columns"]
    partition = lake.manifest["schema"]["partitionBy"]
    told = [engine.types(source) for engine in engines]
    ordered = sorted(columns, key=lambda column: (column["nullable"], column["profile"]["nulls"] > 0))
    kinds = [(f"`{name}`", [column["name"] for column in ordered if column["type"] == name]) for name in TYPES]
    kinds += [(f"partition column `{column['name']}`", [column["name"]]) for column in partition]
    rows = []
    for kind, names in kinds:
        assert names, f"no column of the type {kind}"
        # Once each, in the order of the columns.
        cells = [dict.fromkeys(types[name] for name in names) for types in told]
        rows.append([kind, *(", ".join(f"`{name}`" for name in cell) for cell in cells)])
    return table(["in the manifest", *map(heading, engines)], rows)


def counts_columns(lake: Lake) -> Columns:
    columns = {column["name"] for column in lake.manifest["schema"]["columns"]}
    assert columns >= {*SUMS, WITH_NULLS}
    return Columns((WITH_NULLS,), SUMS, "flowStartMilliseconds")


def counts_row(name: str, found: dict[Partition, Summary]) -> list[str]:
    summaries = found.values()
    numbers = [
        len(found),
        sum(summary.rows for summary in summaries),
        *(sum(summary.sums[name] or 0 for summary in summaries) for name in SUMS),
        sum(summary.nulls[WITH_NULLS] for summary in summaries),
    ]
    times = [min(summary.first for summary in summaries), max(summary.last for summary in summaries)]
    return [name, *(f"{number:,}" for number in numbers), *map(instant, times)]


def counts_table(rows: list[list[str]]) -> str:
    sums = [f"sum of `{name}`" for name in SUMS]
    head = ["read with", "partitions", "flows", *sums, f"nulls in `{WITH_NULLS}`", "first start", "last start"]
    return table(head, rows)


def instant(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:03}"


def replaced(page: str, name: str, text: str) -> str:
    """The page with another text between the markers of a name."""
    pattern = rf"(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)"
    found = re.findall(pattern, page, flags=re.DOTALL)
    assert len(found) == 1, f"the page has no markers for {name}, or more than one pair"
    return re.sub(pattern, lambda match: f"{match[1]}{text}\n{match[2]}", page, flags=re.DOTALL)
