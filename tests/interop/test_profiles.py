"""The profiles in the manifest against what the Parquet files hold, recomputed by other engines."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from lakes import Lake

EXACT_VALUES = 1024
EXACT_BYTES = 131_072
SHOWN_CHARACTERS = 64
TOP_VALUES = 5
# Five standard errors.
ESTIMATE_TOLERANCE = 5 * 0.01625


def columns(lake: Lake) -> list[dict[str, Any]]:
    schema = lake.manifest["schema"]
    return schema["columns"] + schema["partitionBy"]


def rows(lake: Lake) -> pa.Table:
    return ds.dataset(lake.root / "data", partitioning="hive").to_table()


def shown(value: Any) -> Any:
    """A value as the manifest has it."""
    match value:
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
        case date():
            return value.isoformat()
        case str():
            return value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…"
    return value


def test_pyarrow_finds_the_same_nulls_ranges_and_means(recipe_lake: Lake):
    table = rows(recipe_lake)
    for column in columns(recipe_lake):
        name, profile, values = column["name"], column["profile"], table[column["name"]]
        assert profile["nulls"] == values.null_count, name
        if values.null_count == len(values):
            assert not {"min", "max", "mean"} & set(profile), name
            continue
        if pa.types.is_timestamp(values.type):
            # Wall-clock time in UTC: a value with its zone would need a database of zones.
            values = values.cast(pa.timestamp("ms"))
            least, most = (moment.as_py().replace(tzinfo=UTC) for moment in (pc.min(values), pc.max(values)))
        else:
            least, most = pc.min(values).as_py(), pc.max(values).as_py()
        assert (profile["min"], profile["max"]) == (shown(least), shown(most)), name
        if column["type"] in {"int32", "int64"}:
            # Python's integers have no end: this mean is rounded once.
            mean = sum(values.drop_null().to_pylist()) / (len(values) - values.null_count)
            assert profile["mean"] == pytest.approx(mean, rel=1e-14), name
        else:
            assert ("mean" in profile) == (column["type"] == "float64"), name


def test_counts_of_text_are_those_of_the_rows(recipe_lake: Lake):
    table = rows(recipe_lake)
    for column in columns(recipe_lake):
        name, profile = column["name"], column["profile"]
        if column["type"] != "string":
            assert not {"distinct", "distinctIsEstimate", "topValues"} & set(profile), name
            continue
        found = Counter(value for value in table[name].to_pylist() if value is not None)
        size = sum(len(value.encode()) for value in found)
        assert profile["distinctIsEstimate"] == (len(found) > EXACT_VALUES or size > EXACT_BYTES), name
        if profile["distinctIsEstimate"]:
            assert profile["distinct"] == pytest.approx(len(found), rel=ESTIMATE_TOLERANCE), name
            assert "topValues" not in profile
            continue
        assert profile["distinct"] == len(found), name
        top = sorted(found.items(), key=lambda item: (-item[1], item[0].encode()))[:TOP_VALUES]
        assert [(shown(value), count) for value, count in top] == [
            (entry["value"], entry["rows"]) for entry in profile["topValues"]
        ], name
        for entry in profile["topValues"]:
            assert entry["share"] == pytest.approx(entry["rows"] / table.num_rows, abs=1e-6), name


def test_duckdb_finds_the_same(recipe_lake: Lake):
    """A query as a user would write it, over the directory."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for column in columns(recipe_lake):
            name, profile = column["name"], column["profile"]
            number = column["type"] in {"int32", "int64", "float64"}
            mean = f'avg("{name}")' if number else "NULL"
            nulls, least, most, average = connection.execute(
                f'SELECT count(*) - count("{name}"), min("{name}")::VARCHAR, max("{name}")::VARCHAR, {mean} '
                f"FROM {recipe_lake.duckdb_source()}"
            ).fetchone()
            assert profile["nulls"] == nulls, name
            assert profile.get("mean") == pytest.approx(average), name
            if column["type"] == "string":
                assert (profile.get("min"), profile.get("max")) == (shown(least), shown(most)), name
            elif number and least is not None:
                exactly = float if column["type"] == "float64" else int
                assert (profile["min"], profile["max"]) == (exactly(least), exactly(most)), name
