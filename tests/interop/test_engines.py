"""DuckDB, Polars and pyarrow read the lake's directory as it is: right types, right rows, right partitions."""

from __future__ import annotations

from collections import Counter

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from content_digest import type_name
from lakes import Lake

DUCKDB_TYPES = {
    "string": "VARCHAR",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "date": "DATE",
    "timestamp[ms, UTC]": "TIMESTAMP WITH TIME ZONE",
}
POLARS_TYPES = {
    "string": pl.String,
    "int32": pl.Int32,
    "int64": pl.Int64,
    "float64": pl.Float64,
    "date": pl.Date,
    "timestamp[ms, UTC]": pl.Datetime("ms", "UTC"),
}


def documented(lake: Lake) -> dict[str, str]:
    """Every column a reader of the directory sees, with its type as the manifest has it."""
    schema = lake.manifest["schema"]
    return {column["name"]: column["type"] for column in schema["columns"] + schema["partitionBy"]}


def counts(lake: Lake) -> dict[tuple[str, str], int]:
    """Rows by (month, deviceClass), from the manifest."""
    rows: Counter = Counter()
    for file in lake.manifest["files"]:
        rows[file["month"], file["deviceClass"]] += file["rows"]
    return dict(rows)


def test_duckdb(lake: Lake):
    with duckdb.connect() as connection:
        # Months are those of UTC; an engine shows times in its session's zone unless told otherwise.
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE VIEW flows AS SELECT * FROM {lake.duckdb_source()}")
        types = {row[0]: row[1] for row in connection.execute("DESCRIBE flows").fetchall()}
        assert types == {name: DUCKDB_TYPES[kind] for name, kind in documented(lake).items()}
        found = connection.execute(
            "SELECT month, deviceClass, count(*), "
            "bool_and(strftime(flowStartMilliseconds, '%Y-%m') = month), "
            "bool_and(strftime(flowEndMilliseconds, '%H:%M:%S.%g') = flowEndMillisecondsTime) "
            "FROM flows GROUP BY ALL"
        ).fetchall()
    assert {(month, device_class): rows for month, device_class, rows, *_ in found} == counts(lake)
    assert all(start_agrees and end_agrees for *_, start_agrees, end_agrees in found)


def test_polars(lake: Lake):
    flows = pl.scan_parquet(lake.root / "data", hive_partitioning=True)
    assert dict(flows.collect_schema()) == {name: POLARS_TYPES[kind] for name, kind in documented(lake).items()}
    found = (
        flows.group_by("month", "deviceClass")
        .agg(
            pl.len().alias("rows"),
            (pl.col("flowStartMilliseconds").dt.strftime("%Y-%m") == pl.col("month")).all().alias("start_agrees"),
            (pl.col("flowEndMilliseconds").dt.strftime("%H:%M:%S%.3f") == pl.col("flowEndMillisecondsTime"))
            .all()
            .alias("end_agrees"),
        )
        .collect()
    )
    assert {(row["month"], row["deviceClass"]): row["rows"] for row in found.to_dicts()} == counts(lake)
    assert found["start_agrees"].all()
    assert found["end_agrees"].all()


def test_pyarrow(lake: Lake):
    flows = ds.dataset(lake.root / "data", partitioning="hive")
    assert {field.name: type_name(field.type) for field in flows.schema} == documented(lake)
    table = flows.to_table(columns=["month", "deviceClass", "flowStartMilliseconds"])
    found = table.group_by(["month", "deviceClass"]).aggregate([([], "count_all")])
    assert {(row["month"], row["deviceClass"]): row["count_all"] for row in found.to_pylist()} == counts(lake)
    # Without its zone the column is wall-clock time in UTC; pyarrow would need a database of zones otherwise.
    starts = table["flowStartMilliseconds"].cast(pa.timestamp("ms"))
    assert pc.all(pc.equal(pc.strftime(starts, "%Y-%m"), table["month"])).as_py()


def test_every_engine_finds_the_same_nulls(lake: Lake):
    """A missing statistic is null and stays null, not 0: the engines agree column by column."""
    names = list(documented(lake))
    arrow = ds.dataset(lake.root / "data", partitioning="hive").to_table()
    in_arrow = {name: arrow[name].null_count for name in names}
    polars = pl.scan_parquet(lake.root / "data", hive_partitioning=True).null_count().collect()
    assert polars.to_dicts()[0] == in_arrow
    selected = ", ".join(f'count(*) - count("{name}")' for name in names)
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {selected} FROM {lake.duckdb_source()}").fetchone()
    assert dict(zip(names, found, strict=True)) == in_arrow
