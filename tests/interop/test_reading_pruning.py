"""Engines read what a query needs and leave the rest: their plans and counters show it, and the bytes from a store."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
from pyarrow.fs import S3FileSystem

import lakes
from conftest import PREFIX
from engines import deep_dumps
from engines.clickhouse_engine import ClickHouse
from engines.deep_dumps import ROW_GROUP, DeepDumps
from engines.duckdb_engine import DuckDB
from engines.pandas_engine import Pandas
from engines.polars_engine import Polars
from engines.pyarrow_engine import PyArrow
from engines.reading import Columns, Engine, FrugalEngine, Query, Source, directory, listed
from lakes import BuildLake, Lake
from object_stores.fault_proxy import FaultProxy, Seen
from object_stores.stores import Store
from test_object_stores_engines import connect

if TYPE_CHECKING:
    from engines.spark_engine import Spark

MONTH, DEVICE_CLASS = "2019-07", "networkCamera"
# What engines read of a file to find its footer, at most.
FOOTER = 65_536
HOW = pytest.mark.parametrize("how", [directory, listed], ids=["directory", "listed"])


@dataclass(frozen=True)
class DeepLake:
    """A lake whose largest file has several row groups, and the dumps it is made of."""

    root: Path
    dumps: DeepDumps
    manifest: dict[str, Any]

    @property
    def asked(self) -> dict[str, Any]:
        """The one file of the partition that queries are about."""
        (file,) = (
            file for file in self.manifest["files"] if (file["month"], file["deviceClass"]) == (MONTH, DEVICE_CLASS)
        )
        return file


@pytest.fixture(scope="session")
def deep_lake(tmp_path_factory: pytest.TempPathFactory) -> DeepLake:
    base = tmp_path_factory.mktemp("deep")
    (base / "dumps").mkdir()
    dumps = deep_dumps.write(base / "dumps")
    lakes.run("build", "--config", dumps.catalogue, "--input", dumps.directory, "--output", base / "lake")
    lake = DeepLake(base / "lake", dumps, json.loads((base / "lake" / "manifest.json").read_text()))
    assert lake.asked["rowGroups"] == 4
    return lake


def a_day_in_the_third_row_group(lake: DeepLake) -> Query:
    """A server of the row group, on a day that lies in it."""
    start, server, _ = lake.dumps.july[2 * ROW_GROUP + 20_000]
    begin = start.replace(hour=0, minute=0, second=0, microsecond=0)
    query = Query(MONTH, DEVICE_CLASS, begin, begin + timedelta(days=1), server)
    inside = [number for number, (start, *_) in enumerate(lake.dumps.july) if query.begin <= start < query.end]
    assert {inside[0] // ROW_GROUP, inside[-1] // ROW_GROUP} == {2}
    return query


def a_server_of_the_second_row_group(lake: DeepLake) -> Query:
    """At any time of the month; by minimum and maximum it could be in any of the row groups."""
    server = deep_dumps.server(ROW_GROUP + 100)
    groups = servers_by_row_group(lake)
    assert [server in group for group in groups] == [False, True, False, False]
    assert [min(group) < server < max(group) for group in groups] == [True] * 4
    begin = datetime(2019, 7, 1, tzinfo=UTC)
    return Query(MONTH, DEVICE_CLASS, begin, begin + timedelta(days=31), server)


def servers_by_row_group(lake: DeepLake) -> list[list[str]]:
    servers = [server for _, server, _ in lake.dumps.july]
    return [servers[first : first + ROW_GROUP] for first in range(0, len(servers), ROW_GROUP)]


@pytest.fixture(scope="session", params=["duckdb", "polars", "pyarrow", "clickhouse", "spark"])
def frugal_engine(request: pytest.FixtureRequest) -> FrugalEngine:
    """Each engine that tells what it reads."""
    return request.getfixturevalue(f"{request.param}_engine")


@HOW
def test_only_the_files_of_the_partition_are_read(frugal_engine: FrugalEngine, build_lake: BuildLake, how):
    lake = build_lake("sample", "flows")
    files = [file for file in lake.manifest["files"] if (file["month"], file["deviceClass"]) == (MONTH, DEVICE_CLASS)]
    assert 1 < len(files) < lake.manifest["totals"]["files"] / 10
    query, expected = a_query(lake)
    found = frugal_engine.effort(how(lake.root), query)
    assert (found.rows, found.octets) == expected
    # Fewer where the statistics of a file already tell that it has nothing.
    assert 1 <= found.files <= len(files), found.told
    everything = frugal_engine.effort(how(lake.root), None)
    assert everything.rows == lake.manifest["totals"]["rows"]
    assert everything.files == lake.manifest["totals"]["files"], everything.told


def a_query(lake: Lake) -> tuple[Query, tuple[int, int]]:
    """A query about a partition of a sample lake, and what the oracle says to it: flows and octets."""
    rows = [
        row
        for device in lake.devices
        if device.device_class == DEVICE_CLASS
        for row in lake.expected[device.dump].months[MONTH]
    ]
    ((server, _),) = Counter(row.cells["serverIPAddress"] for row in rows).most_common(1)
    there = sorted(
        (row for row in rows if row.cells["serverIPAddress"] == server), key=lambda row: (row.start, row.line)
    )
    # The span begins between two of its flows that are a few hours apart: taken for local time it would have the first
    # of them too, and it ends late enough to lose none in exchange.
    ahead = timedelta(hours=9)
    second = next(
        number
        for number in range(len(there) // 2, len(there))
        if timedelta(minutes=1) < there[number].start - there[number - 1].start < ahead
    )
    begin = there[second].start.replace(microsecond=0)
    wanted = [row.cells["octetTotalCount"] for row in there[second:]]
    assert 0 < len(wanted) < len(there) < len(rows)
    return Query(MONTH, DEVICE_CLASS, begin, datetime(2019, 8, 1, tzinfo=UTC) + ahead, server), (
        len(wanted),
        sum(wanted),
    )


def test_only_the_row_groups_of_the_time_are_read(frugal_engine: FrugalEngine, deep_lake: DeepLake):
    query = a_day_in_the_third_row_group(deep_lake)
    found = frugal_engine.effort(listed(deep_lake.root), query)
    assert (found.rows, found.octets) == deep_dumps.expected(deep_lake.dumps, query)
    assert found.rows > 0
    assert found.files == 1, found.told
    everything = frugal_engine.effort(listed(deep_lake.root), None)
    assert everything.rows == deep_lake.manifest["totals"]["rows"]
    assert everything.files == len(deep_lake.manifest["files"])
    if frugal_engine.title in ("Polars", "pyarrow", "ClickHouse"):
        assert found.row_groups == 1, found.told
    if frugal_engine.title in ("pyarrow", "ClickHouse"):
        assert everything.row_groups == sum(file["rowGroups"] for file in deep_lake.manifest["files"])
    if frugal_engine.title == "Spark":
        assert found.scanned_rows <= ROW_GROUP, found.told
        assert everything.scanned_rows == everything.rows, everything.told
    # DuckDB does not tell; the bytes below do.


def test_duckdb_finds_servers_in_bloom_filters(duckdb_engine: DuckDB, deep_lake: DeepLake):
    query = a_server_of_the_second_row_group(deep_lake)
    assert duckdb_engine.answer(listed(deep_lake.root), query) == deep_dumps.expected(deep_lake.dumps, query)
    path = str(deep_lake.root / deep_lake.asked["path"])
    told = duckdb_engine.row_groups_excluded_by_bloom_filters(path, "serverIPAddress", query.server)
    assert told == [True, False, True, True]


@pytest.mark.parametrize("bloom_filters", [True, False], ids=["with", "without"])
def test_clickhouse_uses_bloom_filters(clickhouse_engine: ClickHouse, deep_lake: DeepLake, bloom_filters: bool):
    query = a_server_of_the_second_row_group(deep_lake)
    # Dictionaries would tell too.
    settings = {"dictionary_filter_push_down": 0, "bloom_filter_push_down": int(bloom_filters)}
    defaults = {"dictionary_filter_push_down": 1048576, "bloom_filter_push_down": 1}
    clickhouse_engine.set({f"input_format_parquet_{name}": value for name, value in settings.items()})
    try:
        found = clickhouse_engine.effort(listed(deep_lake.root), query)
    finally:
        clickhouse_engine.set({f"input_format_parquet_{name}": value for name, value in defaults.items()})
    assert (found.rows, found.octets) == deep_dumps.expected(deep_lake.dumps, query)
    # A row counts once for each of the two columns it is asked about.
    if bloom_filters:
        assert ROW_GROUP <= found.scanned_rows <= 2 * ROW_GROUP, found.told
    else:
        assert found.scanned_rows >= deep_lake.asked["rows"], found.told


@pytest.mark.parametrize("bloom_filters", [True, False], ids=["with", "without"])
def test_spark_uses_bloom_filters(spark_engine: Spark, deep_lake: DeepLake, bloom_filters: bool):
    query = a_server_of_the_second_row_group(deep_lake)
    # Dictionaries would tell too.
    settings = {
        "parquet.filter.dictionary.enabled": "false",
        "parquet.filter.bloom.enabled": str(bloom_filters).lower(),
    }
    for name, value in settings.items():
        spark_engine.session.conf.set(name, value)
    try:
        found = spark_engine.effort(listed(deep_lake.root), query)
    finally:
        for name in settings:
            spark_engine.session.conf.unset(name)
    assert (found.rows, found.octets) == deep_dumps.expected(deep_lake.dumps, query)
    assert found.scanned_rows == (ROW_GROUP if bloom_filters else deep_lake.asked["rows"]), found.told


def test_spark_pushes_down_what_it_can(spark_engine: FrugalEngine, deep_lake: DeepLake):
    query = a_day_in_the_third_row_group(deep_lake)
    told = spark_engine.effort(directory(deep_lake.root), query).told
    partitions, pushed = (re.search(rf"{name}: \[(.*?)\]", told)[1] for name in ("PartitionFilters", "PushedFilters"))
    assert f"= {MONTH})" in partitions
    assert f"= {DEVICE_CLASS})" in partitions
    assert "GreaterThanOrEqual(flowStartMilliseconds," in pushed
    assert f"EqualTo(serverIPAddress,{query.server})" in pushed
    everything = spark_engine.effort(directory(deep_lake.root), None).told
    assert "PartitionFilters: []" in everything
    assert "PushedFilters: []" in everything


def test_polars_skips_files_in_its_plan(polars_engine: Polars, deep_lake: DeepLake):
    told = polars_engine.effort(directory(deep_lake.root), a_day_in_the_third_row_group(deep_lake)).told
    assert deep_lake.asked["path"] in told
    assert "allows skipping 3 / 4 files" in told


# ---- in a store


@dataclass(frozen=True)
class Place:
    """An engine that reads from a store, and how it names what is there."""

    engine: Engine
    root: str

    def source(self, files: list[str] | None) -> Source:
        return Source(self.root, files and tuple(f"{self.root}/{file}" for file in files))


def credentials() -> tuple[str, str]:
    return os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]


def filesystem(endpoint: str) -> S3FileSystem:
    key, secret = credentials()
    return S3FileSystem(
        access_key=key,
        secret_key=secret,
        region=os.environ["AWS_REGION"],
        scheme="http",
        endpoint_override=urlsplit(endpoint).netloc,
    )


@contextmanager
def duckdb_at(endpoint: str, key: str, request: pytest.FixtureRequest) -> Iterator[Place]:
    with connect(endpoint) as connection:
        yield Place(DuckDB(connection), f"s3://{key}")


@contextmanager
def polars_at(endpoint: str, key: str, request: pytest.FixtureRequest) -> Iterator[Place]:
    access_key, secret = credentials()
    options = {
        "aws_endpoint_url": endpoint,
        "aws_allow_http": "true",
        "aws_region": os.environ["AWS_REGION"],
        "aws_access_key_id": access_key,
        "aws_secret_access_key": secret,
    }
    yield Place(Polars(storage_options=options, credential_provider=None), f"s3://{key}")


@contextmanager
def pyarrow_at(endpoint: str, key: str, request: pytest.FixtureRequest) -> Iterator[Place]:
    yield Place(PyArrow(filesystem(endpoint)), key)


@contextmanager
def pandas_at(endpoint: str, key: str, request: pytest.FixtureRequest) -> Iterator[Place]:
    yield Place(Pandas(filesystem(endpoint)), key)


@contextmanager
def clickhouse_at(endpoint: str, key: str, request: pytest.FixtureRequest) -> Iterator[Place]:
    # There can be one session in a process.
    session = request.getfixturevalue("clickhouse_engine").session
    yield Place(ClickHouse(session, credentials()), f"{endpoint}/{key}")


AT = [duckdb_at, polars_at, pyarrow_at, pandas_at, clickhouse_at]
IN_STORES = pytest.mark.parametrize("at", AT, ids=lambda at: at.__name__.removesuffix("_at"))


@pytest.fixture(scope="session")
def stored(conditional_store: Store, deep_lake: DeepLake) -> str:
    """Bucket and prefix of the lake in the store."""
    prefix = f"{PREFIX}deep"
    conditional_store.put_directory(deep_lake.root, f"{prefix}/")
    return f"{conditional_store.bucket}/{prefix}"


@IN_STORES
@pytest.mark.parametrize("how", ["directory", "listed"])
def test_lakes_in_stores(
    conditional_store: Store,
    deep_lake: DeepLake,
    stored: str,
    duckdb_engine: DuckDB,
    request: pytest.FixtureRequest,
    at: Callable,
    how: str,
):
    files = [file["path"] for file in deep_lake.manifest["files"]] if how == "listed" else None
    columns = Columns(("reverseDataByteCount", "serverIPAddress"), ("octetTotalCount",), "flowStartMilliseconds")
    with at(conditional_store.endpoint, stored, request) as place:
        found = place.engine.summary(place.source(files), columns)
    assert {partition: summary.rows for partition, summary in found.items()} == {
        (file["month"], file["deviceClass"]): file["rows"] for file in deep_lake.manifest["files"]
    }
    assert found[MONTH, DEVICE_CLASS].sums["octetTotalCount"] == sum(octets for *_, octets in deep_lake.dumps.july)
    assert found == duckdb_engine.summary(directory(deep_lake.root), columns)


@pytest.fixture
def transferred(
    conditional_store: Store, deep_lake: DeepLake, stored: str, request: pytest.FixtureRequest
) -> Callable[[Callable, Query | None], tuple[tuple[int, int], dict[str, int]]]:
    """Asks an engine, and gives the answer and the bytes of each data file that went to it."""
    files = [file["path"] for file in deep_lake.manifest["files"]]

    def ask(at: Callable, query: Query | None) -> tuple[tuple[int, int], dict[str, int]]:
        with FaultProxy(conditional_store.endpoint) as proxy, at(proxy.endpoint, stored, request) as place:
            answer = place.engine.answer(place.source(files), query)
            seen = list(proxy.seen)
        return answer, bytes_by_file(seen, stored)

    return ask


@IN_STORES
def test_bytes_from_a_store(transferred: Callable, deep_lake: DeepLake, at: Callable):
    files = deep_lake.manifest["files"]
    asked, size = deep_lake.asked["path"], deep_lake.manifest["totals"]["bytes"]
    query = a_day_in_the_third_row_group(deep_lake)
    answer, found = transferred(at, query)
    assert answer == deep_dumps.expected(deep_lake.dumps, query)
    everything, all_found = transferred(at, None)
    assert everything[0] == deep_lake.manifest["totals"]["rows"]
    assert all_found.keys() == {file["path"] for file in files}
    # Of other files no more than the footer, which tells columns and rows; of small ones that can be all there is.
    for file in files:
        if file["path"] != asked:
            assert found.get(file["path"], 0) <= max(FOOTER, 2 * file["bytes"] if file["bytes"] < FOOTER else 0), found
    if at is clickhouse_at:
        # From a store it reads ahead: of a file this small everything, some of it more than once.
        return
    assert found[asked] < all_found[asked], (found, all_found)
    # One row group of four, and three columns of 46. Polars reads ahead too, but less.
    assert sum(found.values()) < size * (0.5 if at is polars_at else 0.2), found


def test_duckdb_reads_no_row_group_that_a_bloom_filter_excludes(transferred: Callable, deep_lake: DeepLake):
    there = a_server_of_the_second_row_group(deep_lake)
    nowhere = replace(there, server="198.51.104.146x")
    assert all(min(group) < nowhere.server < max(group) for group in servers_by_row_group(deep_lake))
    answer, found = transferred(duckdb_at, there)
    assert answer == deep_dumps.expected(deep_lake.dumps, there)
    assert answer[0] > 0
    nothing, found_of_nothing = transferred(duckdb_at, nowhere)
    assert nothing == (0, 0)
    path = deep_lake.asked["path"]
    # Footer and filters against those and the columns of one row group.
    assert found_of_nothing.get(path, 0) < found[path] / 2, (found_of_nothing, found)


def bytes_by_file(seen: list[Seen], stored: str) -> dict[str, int]:
    found: Counter[str] = Counter()
    for request in seen:
        path = unquote(request.path)
        if request.method == "GET" and path.endswith(".parquet"):
            found[path.removeprefix(f"/{stored}/")] += request.bytes
    return dict(found)
