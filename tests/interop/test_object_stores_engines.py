"""DuckDB reads a lake from where it lies in a store, and only what a query asks for."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import duckdb
import pytest

from object_stores.corpus import Corpus
from object_stores.fault_proxy import FaultProxy
from object_stores.stores import Store, flowlake, store_environment

SELECTION = "several"


def httpfs() -> Path:
    """The extension as its package brings it. It is of one version of DuckDB, and nothing is downloaded."""
    package = importlib.util.find_spec("duckdb_extension_httpfs")
    assert package is not None
    assert package.origin is not None
    version = f"v{duckdb.__version__}"
    return Path(package.origin).parent / "extensions" / version / "httpfs.duckdb_extension"


@contextmanager
def connect(endpoint: str) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute(f"LOAD '{httpfs()}'")
        connection.execute(
            "CREATE SECRET store (TYPE s3, PROVIDER config, URL_STYLE 'path', USE_SSL false,"
            f" KEY_ID '{os.environ['AWS_ACCESS_KEY_ID']}', SECRET '{os.environ['AWS_SECRET_ACCESS_KEY']}',"
            f" REGION '{os.environ['AWS_REGION']}', ENDPOINT '{urlsplit(endpoint).netloc}')"
        )
        yield connection


@pytest.fixture
def lake(store: Store, corpus: Corpus, prefix: str) -> str:
    """The URL of a lake that was built in a store."""
    built = flowlake(
        *corpus.build(SELECTION, corpus.dumps, store.url(prefix)), environment=store_environment(store.endpoint)
    )
    assert built.code == 0, str(built)
    return store.url(prefix)


def listing(lake: str) -> str:
    return f"read_parquet('{lake}data/**/*.parquet', hive_partitioning = true)"


def listed(lake: str, corpus: Corpus) -> str:
    """The files of the manifest, which needs no permission to list."""
    files = json.loads(corpus.manifests[SELECTION])["files"]
    names = ", ".join(f"'{lake}{file['path']}'" for file in files)
    return f"read_parquet([{names}], hive_partitioning = true)"


def rows(corpus: Corpus) -> dict[tuple[str, str], int]:
    counted: Counter[tuple[str, str]] = Counter()
    for file in json.loads(corpus.manifests[SELECTION])["files"]:
        counted[file["month"], file["deviceClass"]] += file["rows"]
    return dict(counted)


@pytest.mark.parametrize("how", ["listing", "listed"])
def test_rows_and_sums(store: Store, corpus: Corpus, lake: str, how: str):
    source = listing(lake) if how == "listing" else listed(lake, corpus)
    question = (
        "SELECT month, deviceClass, count(*), sum(octetTotalCount), sum(packetTotalCount),"
        " epoch_ms(min(flowStartMilliseconds)), count(DISTINCT serverIPAddress) FROM {} GROUP BY ALL ORDER BY ALL"
    )
    with connect(store.endpoint) as connection:
        found = connection.execute(question.format(source)).fetchall()
    with duckdb.connect() as connection:
        local = f"read_parquet('{corpus.lake(SELECTION)}/data/**/*.parquet', hive_partitioning = true)"
        assert found == connection.execute(question.format(local)).fetchall()
    assert {(month, device_class): count for month, device_class, count, *_ in found} == rows(corpus)


@pytest.mark.parametrize("how", ["listing", "listed"])
def test_only_the_files_that_are_asked_for_are_read(store: Store, corpus: Corpus, lake: str, how: str):
    files = json.loads(corpus.manifests[SELECTION])["files"]
    asked = {file["path"] for file in files if file["month"] == "2019-07" and file["deviceClass"] == "tv"}
    others = {file["path"] for file in files} - asked
    assert asked
    where = "WHERE month = '2019-07' AND deviceClass = 'tv'"
    with FaultProxy(store.endpoint) as proxy, connect(proxy.endpoint) as connection:
        source = listing(lake) if how == "listing" else listed(lake, corpus)
        plan = connection.execute(f"EXPLAIN ANALYZE SELECT sum(octetTotalCount) FROM {source} {where}").fetchall()
        seen = [request for request in proxy.seen if request.path.endswith(".parquet")]
    text = "\n".join(row[1] for row in plan)
    found = re.search(r"(?:Total Files Read|Scanning Files): *(\d+)", text)
    assert found, text
    assert int(found[1]) == len(asked)
    key = f"/{store.bucket}/" + lake.removeprefix(store.url())
    read = {unquote(request.path).removeprefix(key) for request in seen if request.method == "GET"}
    assert asked <= read
    # The first file of all tells the columns.
    assert len(read & others) <= 1, read
    size = sum(file["bytes"] for file in files if file["path"] in asked)
    assert sum(request.bytes for request in seen if unquote(request.path).removeprefix(key) in asked) <= size
    transferred = sum(request.bytes for request in seen)
    assert transferred < sum(file["bytes"] for file in files) / 3
