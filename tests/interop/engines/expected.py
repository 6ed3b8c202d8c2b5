"""What engines must find in a lake: types by its manifest, sums and nulls by the dumps it was made from."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

from engines.reading import INTEGERS, START, Columns, Partition, Summary
from lakes import Lake

# What each engine makes of a type of the manifest, in its own words; integers with nulls are numbers with a point in
# pandas. Under `partition` stands what it makes of month and deviceClass, which are no columns of any file.
TYPES: dict[str, dict[str, str]] = {
    "DuckDB": {
        "string": "VARCHAR",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "float64": "DOUBLE",
        "date": "DATE",
        "timestamp[ms, UTC]": "TIMESTAMP WITH TIME ZONE",
        "partition": "VARCHAR",
    },
    "Polars": {
        "string": "String",
        "int32": "Int32",
        "int64": "Int64",
        "float64": "Float64",
        "date": "Date",
        "timestamp[ms, UTC]": "Datetime(time_unit='ms', time_zone='UTC')",
        "partition": "String",
    },
    "pyarrow": {
        "string": "string",
        "int32": "int32",
        "int64": "int64",
        "float64": "double",
        "date": "date32[day]",
        "timestamp[ms, UTC]": "timestamp[ms, tz=UTC]",
        "partition": "string",
    },
    "pandas": {
        "string": "str",
        "int32": "int32",
        "int64": "int64",
        "float64": "float64",
        "date": "object",
        "timestamp[ms, UTC]": "datetime64[ms, UTC]",
        "partition": "category",
    },
    "ClickHouse": {
        "string": "String",
        "int32": "Int32",
        "int64": "Int64",
        "float64": "Float64",
        "date": "Date32",
        "timestamp[ms, UTC]": "DateTime64(3, 'UTC')",
        "partition": "LowCardinality(String)",
    },
    "Spark": {
        "string": "string",
        "int32": "int",
        "int64": "bigint",
        "float64": "double",
        "date": "date",
        "timestamp[ms, UTC]": "timestamp",
        "partition": "string",
    },
}


def expected_types(lake: Lake, title: str) -> dict[str, str]:
    """Every column of a lake with the type that an engine is expected to give it."""
    names = TYPES[title]
    schema = lake.manifest["schema"]
    expected = {}
    for column in schema["columns"]:
        name = names[column["type"]]
        if title == "ClickHouse" and column["nullable"]:
            name = f"Nullable({name})"
        if title == "pandas" and column["type"] in INTEGERS and column["profile"]["nulls"]:
            name = "float64"
        expected[column["name"]] = name
    assert all(column["type"] == "string" for column in schema["partitionBy"])
    return expected | {column["name"]: names["partition"] for column in schema["partitionBy"]}


def columns_of(lake: Lake) -> Columns:
    """What to ask of a lake: sums of all integers that no engine rounds, pandas' numbers with a point included."""
    columns = lake.manifest["schema"]["columns"]
    rows = lake.manifest["totals"]["rows"]
    summed = [
        column["name"]
        for column in columns
        if column["type"] in INTEGERS
        and max(abs(column["profile"].get(edge, 0)) for edge in ("min", "max")) * rows < 2**53
    ]
    names = [column["name"] for column in columns]
    return Columns(tuple(names), tuple(summed), START if START in names else None)


def milliseconds(time: str) -> int:
    """A time as the manifest writes it, as milliseconds since 1970."""
    return round(datetime.fromisoformat(time).replace(tzinfo=UTC).timestamp() * 1000)


def expected_summary(lake: Lake, columns: Columns) -> dict[Partition, Summary]:
    """Sums and nulls as the oracle recomputes them from the dumps; rows and times as the manifest has them."""
    expected: dict[Partition, Summary] = {}
    files = defaultdict(list)
    for file in lake.manifest["files"]:
        files[file["month"], file["deviceClass"]].append(file)
    for partition, those in files.items():
        found = Summary(sum(file["rows"] for file in those))
        if columns.start:
            found.first = min(milliseconds(file["minFlowStart"]) for file in those)
            found.last = max(milliseconds(file["maxFlowStart"]) for file in those)
        found.sums = dict.fromkeys(columns.summed)
        found.nulls = dict.fromkeys(columns.all, 0)
        expected[partition] = found
    for device in lake.devices:
        for month, rows in lake.expected[device.dump].months.items():
            found = expected[month, device.device_class]
            for row in rows:
                for name in columns.all:
                    if row.cells[name] is None:
                        found.nulls[name] += 1
                for name in columns.summed:
                    if row.cells[name] is not None:
                        found.sums[name] = (found.sums[name] or 0) + row.cells[name]
    return expected
