"""Asks one engine one question, in this process and no other: `python -m reading_bytes.engines`.

It reads from standard input what to ask whom, and prints the answer as JSON: rows of service, flows and sums, in order.
Engines are used as their users use them, with the settings they come with.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from reading_bytes.questions import ADDRESS, GROUP, START, Question
from reading_bytes.store import BUCKET

# Nobody's; the store looks at none.
KEY, SECRET, REGION = "nobody", "nothing", "us-east-1"
Rows = list[list[Any]]


def _duckdb(question: Question, address: str, source: str) -> Rows:
    import duckdb

    # As its package brings it: nothing is downloaded.
    package = importlib.util.find_spec("duckdb_extension_httpfs")
    assert package is not None
    assert package.origin is not None
    extension = Path(package.origin).parent / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute(f"LOAD '{extension}'")
        connection.execute(
            f"CREATE SECRET store (TYPE s3, PROVIDER config, URL_STYLE 'path', USE_SSL false, KEY_ID '{KEY}',"
            f" SECRET '{SECRET}', REGION '{REGION}', ENDPOINT '{address}')"
        )
        return connection.execute(question.sql(source, "TIMESTAMPTZ '{} 00:00:00+00'")).fetchall()


def duckdb_pattern(question: Question, address: str, _: list[str]) -> Rows:
    source = f"read_parquet('s3://{BUCKET}/data/**/*.parquet', hive_partitioning = true)"
    return _duckdb(question, address, source)


def duckdb_list(question: Question, address: str, files: list[str]) -> Rows:
    names = ", ".join(f"'s3://{BUCKET}/{file}'" for file in files)
    return _duckdb(question, address, f"read_parquet([{names}], hive_partitioning = true)")


def _polars(question: Question, address: str, source: str | list[str]) -> Rows:
    import polars as pl

    flows = pl.scan_parquet(
        source,
        hive_partitioning=True,
        storage_options={
            "aws_endpoint_url": f"http://{address}",
            "aws_access_key_id": KEY,
            "aws_secret_access_key": SECRET,
            "aws_region": REGION,
            "aws_allow_http": "true",
        },
    )
    if question.month:
        flows = flows.filter(pl.col("month") == question.month)
    if question.device_class:
        flows = flows.filter(pl.col("deviceClass") == question.device_class)
    if question.day and question.next_day:
        first, end = (datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in (question.day, question.next_day))
        flows = flows.filter(pl.col(START) >= first, pl.col(START) < end)
    if question.address:
        flows = flows.filter(pl.col(ADDRESS) == question.address)
    return flows.group_by(GROUP).agg(pl.len(), *(pl.col(column).sum() for column in question.sums)).collect().rows()


def polars_directory(question: Question, address: str, _: list[str]) -> Rows:
    return _polars(question, address, f"s3://{BUCKET}/data/")


def polars_small_reads(question: Question, address: str, _: list[str]) -> Rows:
    # Before the import. What lies apart is read together only as long as that comes nearer to this size.
    os.environ["POLARS_DOWNLOAD_CHUNK_SIZE_RANDOM_ACCESS"] = "65536"
    return _polars(question, address, f"s3://{BUCKET}/data/")


def polars_list(question: Question, address: str, files: list[str]) -> Rows:
    return _polars(question, address, [f"s3://{BUCKET}/{file}" for file in files])


def pyarrow_directory(question: Question, address: str, _: list[str]) -> Rows:
    import pyarrow.dataset as ds
    import pyarrow.fs

    store = pyarrow.fs.S3FileSystem(
        access_key=KEY, secret_key=SECRET, region=REGION, endpoint_override=address, scheme="http"
    )
    flows = ds.dataset(f"{BUCKET}/data", filesystem=store, partitioning="hive")
    kept = ds.scalar(True)
    if question.month:
        kept &= ds.field("month") == question.month
    if question.device_class:
        kept &= ds.field("deviceClass") == question.device_class
    if question.day and question.next_day:
        first, end = (datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in (question.day, question.next_day))
        kept &= (ds.field(START) >= first) & (ds.field(START) < end)
    if question.address:
        kept &= ds.field(ADDRESS) == question.address
    table = flows.to_table(columns=[GROUP, *question.sums], filter=kept)
    sums = [(column, "sum") for column in question.sums]
    answer = table.group_by(GROUP).aggregate([([], "count_all"), *sums])
    names = [GROUP, "count_all", *(f"{column}_sum" for column in question.sums)]
    return [[row[name] for name in names] for row in answer.to_pylist()]


def _clickhouse(question: Question, address: str, settings: str) -> Rows:
    import chdb

    source = f"s3('http://{address}/{BUCKET}/data/**.parquet', '{KEY}', '{SECRET}', 'Parquet')"
    said = chdb.query(
        question.sql(source, "toDateTime64('{} 00:00:00', 3, 'UTC')")
        + f" SETTINGS use_hive_partitioning = 1{settings}",
        "JSONCompactStrings",
    )
    rows = json.loads(str(said))["data"]
    return [[service, *map(int, numbers)] for service, *numbers in rows]


def clickhouse(question: Question, address: str, _: list[str]) -> Rows:
    return _clickhouse(question, address, "")


def clickhouse_small_reads(question: Question, address: str, _: list[str]) -> Rows:
    # Otherwise it asks for all up to the end of a file, and reads on where the next column is less than 4 MB away.
    return _clickhouse(
        question, address, ", remote_read_min_bytes_for_seek = 65536, remote_filesystem_read_prefetch = 0"
    )


def duckdb_local(question: Question, _: str, files: list[str]) -> tuple[Rows, dict[str, int]]:
    """Local files, by what the process has read according to Linux; DuckDB reads and does not map."""
    import duckdb

    root = os.environ["READING_BYTES_LAKE"]
    with duckdb.connect() as connection:
        source = f"read_parquet('{root}/data/**/*.parquet', hive_partitioning = true)"
        before = _read_by_this_process()
        rows = connection.execute(question.sql(source, "TIMESTAMPTZ '{} 00:00:00+00'")).fetchall()
        return rows, {"bytes": _read_by_this_process() - before}


def _read_by_this_process() -> int:
    found = re.search(r"^rchar: (\d+)$", Path("/proc/self/io").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


# By what the tables call them.
STORE_ENGINES: dict[str, Callable[[Question, str, list[str]], Rows]] = {
    "DuckDB, pattern": duckdb_pattern,
    "DuckDB, manifest": duckdb_list,
    "Polars, directory": polars_directory,
    "Polars, manifest": polars_list,
    "Polars, small reads": polars_small_reads,
    "pyarrow": pyarrow_directory,
    "ClickHouse": clickhouse,
    "ClickHouse, small reads": clickhouse_small_reads,
}
LOCAL_ENGINES: dict[str, Callable[[Question, str, list[str]], tuple[Rows, dict[str, int]]]] = {
    "DuckDB, local": duckdb_local,
}


def versions() -> str:
    packages = {"DuckDB": "duckdb", "Polars": "polars", "pyarrow": "pyarrow", "chdb": "chdb"}
    return ", ".join(f"{name} {importlib.metadata.version(package)}" for name, package in packages.items())


def main() -> int:
    asked = json.load(sys.stdin)
    question = Question(**asked["question"] | {"sums": tuple(asked["question"]["sums"])})
    said: dict[str, int] = {}
    if asked["engine"] in STORE_ENGINES:
        rows = STORE_ENGINES[asked["engine"]](question, asked["address"], asked["files"])
    else:
        rows, said = LOCAL_ENGINES[asked["engine"]](question, asked["address"], asked["files"])
    answer = sorted(([str(row[0]), *map(int, row[1:])] for row in rows), key=lambda row: row[0])
    # Engines may print what they like before.
    print(json.dumps({"rows": answer, "said": said}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
