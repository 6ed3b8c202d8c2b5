"""DuckDB, Polars and pyarrow read a lake's directory as it is: right types, right rows, right partitions."""

from __future__ import annotations

from collections import Counter

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from content_digest import type_name
from lakes import DATA_SETS, BuildLake, Lake

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


def test_duckdb(recipe_lake: Lake):
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW flows AS SELECT * FROM {recipe_lake.duckdb_source()}")
        types = {row[0]: row[1] for row in connection.execute("DESCRIBE flows").fetchall()}
        assert types == {name: DUCKDB_TYPES[kind] for name, kind in documented(recipe_lake).items()}
        found = connection.execute("SELECT month, deviceClass, count(*) FROM flows GROUP BY ALL").fetchall()
    assert {(month, device_class): rows for month, device_class, rows in found} == counts(recipe_lake)


def test_duckdb_sees_times_of_the_month(lake: Lake):
    with duckdb.connect() as connection:
        # Months are those of UTC; an engine shows times in its session's zone unless told otherwise.
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(
            "SELECT bool_and(strftime(flowStartMilliseconds, '%Y-%m') = month), "
            "bool_and(strftime(flowEndMilliseconds, '%H:%M:%S.%g') = flowEndMillisecondsTime) "
            f"FROM {lake.duckdb_source()}"
        ).fetchone()
    assert found == (True, True)


def test_polars(recipe_lake: Lake):
    flows = pl.scan_parquet(recipe_lake.root / "data", hive_partitioning=True)
    assert dict(flows.collect_schema()) == {name: POLARS_TYPES[kind] for name, kind in documented(recipe_lake).items()}
    found = flows.group_by("month", "deviceClass").agg(pl.len().alias("rows")).collect()
    assert {(row["month"], row["deviceClass"]): row["rows"] for row in found.to_dicts()} == counts(recipe_lake)


def test_polars_sees_times_of_the_month(lake: Lake):
    found = (
        pl.scan_parquet(lake.root / "data", hive_partitioning=True)
        .select(
            (pl.col("flowStartMilliseconds").dt.strftime("%Y-%m") == pl.col("month")).all().alias("start_agrees"),
            (pl.col("flowEndMilliseconds").dt.strftime("%H:%M:%S%.3f") == pl.col("flowEndMillisecondsTime"))
            .all()
            .alias("end_agrees"),
        )
        .collect()
    )
    assert found.row(0) == (True, True)


def test_pyarrow(recipe_lake: Lake):
    flows = ds.dataset(recipe_lake.root / "data", partitioning="hive")
    assert {field.name: type_name(field.type) for field in flows.schema} == documented(recipe_lake)
    table = flows.to_table(columns=["month", "deviceClass"])
    found = table.group_by(["month", "deviceClass"]).aggregate([([], "count_all")])
    assert {(row["month"], row["deviceClass"]): row["count_all"] for row in found.to_pylist()} == counts(recipe_lake)


def test_pyarrow_sees_times_of_the_month(lake: Lake):
    table = ds.dataset(lake.root / "data", partitioning="hive").to_table(columns=["month", "flowStartMilliseconds"])
    # Without its zone the column is wall-clock time in UTC; pyarrow would need a database of zones otherwise.
    starts = table["flowStartMilliseconds"].cast(pa.timestamp("ms"))
    assert pc.all(pc.equal(pc.strftime(starts, "%Y-%m"), table["month"])).as_py()


def test_every_engine_finds_the_same_nulls(recipe_lake: Lake):
    """A null is null and stays null, not 0: the engines agree column by column."""
    lake = recipe_lake
    names = list(documented(lake))
    arrow = ds.dataset(lake.root / "data", partitioning="hive").to_table()
    in_arrow = {name: arrow[name].null_count for name in names}
    polars = pl.scan_parquet(lake.root / "data", hive_partitioning=True).null_count().collect()
    assert polars.to_dicts()[0] == in_arrow
    selected = ", ".join(f'count(*) - count("{name}")' for name in names)
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT {selected} FROM {lake.duckdb_source()}").fetchone()
    assert dict(zip(names, found, strict=True)) == in_arrow


@pytest.mark.parametrize("name", DATA_SETS)
def test_numbers_can_be_read_back_in_duckdb(build_lake: BuildLake, name: str):
    encoded, full = build_lake(name, "encoded"), build_lake(name, "full")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        months, hot = connection.execute(
            "SELECT bool_and(flowStartMonth = CAST(month[6:] AS INTEGER)), "
            "bool_and(flowEndReason_Unknown + flowEndReason_eof + flowEndReason_active + flowEndReason_idle <= 1) "
            f"FROM {encoded.duckdb_source()}"
        ).fetchone()
        assert (months, hot) == (True, True)
        # Every encoded address is one of those that the dumps have as text.
        octets = " || '.' || ".join(f"((number >> {shift}) & 255)::VARCHAR" for shift in (24, 16, 8, 0))
        unknown = connection.execute(
            f"SELECT {octets} FROM (SELECT sourceIPv4Address AS number FROM {encoded.duckdb_source()} "
            f"WHERE sourceIPv4Address IS NOT NULL) EXCEPT SELECT sourceIPv4Address FROM {full.duckdb_source()}"
        ).fetchall()
        assert unknown == []


@pytest.mark.parametrize("name", DATA_SETS)
def test_the_full_archive_has_each_line_once(build_lake: BuildLake, name: str):
    full = build_lake(name, "full")
    with duckdb.connect() as connection:
        rows, identities, dumps = connection.execute(
            f"SELECT count(*), count(DISTINCT (dump, line)), count(DISTINCT dump) FROM {full.duckdb_source()}"
        ).fetchone()
        directions = connection.execute(
            f"SELECT dump, direction, count(*) FROM {full.duckdb_source()} GROUP BY ALL"
        ).fetchall()
    assert rows == identities == full.manifest["totals"]["rows"]
    assert dumps == sum(source["kept"] > 0 for source in full.manifest["sources"])
    listed = {
        (source["dump"], direction): rows
        for source in full.manifest["sources"]
        for direction, rows in source["directions"].items()
        if rows
    }
    assert {(dump, direction): rows for dump, direction, rows in directions} == listed
