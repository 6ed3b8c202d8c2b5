"""`flowlake query` answers from an object store as it does from disk, and reads only what a query needs."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import unquote

import pytest

from object_stores.corpus import Corpus
from object_stores.fault_proxy import FaultProxy, Seen
from object_stores.faults import Document, Fault
from object_stores.stores import Run, Store, flowlake, local_environment, store_environment

SELECTION = "several"
INPUT_ERROR = 3
DENIED = Document(403, "AccessDenied", "Access Denied")
MONTH, DEVICE_CLASS = "2019-07", "tv"
WHERE = f"WHERE month = '{MONTH}' AND deviceClass = '{DEVICE_CLASS}'"
QUERIES = {
    "count": "SELECT COUNT(*) AS n FROM flows",
    "groups": "SELECT month, deviceClass, COUNT(*) AS n, SUM(octetTotalCount) AS s, AVG(averageInterarrivalTime) AS a,"
    " MIN(flowStartMilliseconds) AS t, COUNT(DISTINCT serverIPAddress) AS d FROM flows GROUP BY month, deviceClass"
    " ORDER BY month, deviceClass",
    "rows": f"SELECT * FROM flows {WHERE}",
    "a window": "SELECT deviceName, flowStartMilliseconds, SUM(octetTotalCount) OVER (PARTITION BY deviceName"
    " ORDER BY flowStartMilliseconds, octetTotalCount ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s FROM flows"
    " ORDER BY deviceName, flowStartMilliseconds, s",
    "a join with itself": "SELECT a.deviceName, COUNT(*) AS n FROM flows AS a JOIN flows AS b ON a.deviceName ="
    " b.deviceName AND a.flowStartMilliseconds = b.flowStartMilliseconds GROUP BY a.deviceName ORDER BY a.deviceName",
    # Which rows come first without an order is nobody's promise.
    "some rows": "SELECT COUNT(*) AS n FROM (SELECT deviceName FROM flows LIMIT 3) AS t",
    "no rows": "SELECT deviceName FROM flows WHERE month = '1999-01'",
}


@pytest.fixture
def lake(store: Store, corpus: Corpus, prefix: str) -> str:
    """The URL of a lake in a store."""
    store.put_directory(corpus.lake(SELECTION), prefix)
    return store.url(prefix)


def query(store: Store, lake: str, sql: str, endpoint: str | None = None) -> Run:
    run = flowlake(
        *("query", lake, sql, "--format", "ndjson"), environment=store_environment(endpoint or store.endpoint)
    )
    assert run.complaints() == [], str(run)
    return run


def on_disk(corpus: Corpus, sql: str) -> str:
    arguments = ["query", corpus.lake(SELECTION), sql, "--format", "ndjson"]
    run = flowlake(*arguments, environment=local_environment())
    assert run.code == 0, str(run)
    return run.stdout


def rows(answer: str) -> list[str]:
    return sorted(answer.splitlines())


def files(corpus: Corpus) -> list[dict[str, Any]]:
    return json.loads(corpus.manifests[SELECTION])["files"]


def is_asked_for(file: dict[str, Any]) -> bool:
    return file["month"] == MONTH and file["deviceClass"] == DEVICE_CLASS


@pytest.mark.parametrize("name", QUERIES)
def test_the_answer_is_that_from_disk(store: Store, corpus: Corpus, lake: str, name: str):
    run = query(store, lake, QUERIES[name])
    assert run.code == 0, str(run)
    assert rows(run.stdout) == rows(on_disk(corpus, QUERIES[name]))
    if "ORDER BY" in QUERIES[name]:
        assert run.stdout == on_disk(corpus, QUERIES[name])


def test_counts_are_those_of_the_manifest(store: Store, corpus: Corpus, lake: str):
    run = query(store, lake, "SELECT month, deviceClass, COUNT(*) AS n FROM flows GROUP BY month, deviceClass")
    counted: Counter[tuple[str, str]] = Counter()
    for file in files(corpus):
        counted[file["month"], file["deviceClass"]] += file["rows"]
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert {(row["month"], row["deviceClass"]): row["n"] for row in found} == dict(counted)


class Traffic:
    """What a query fetched: names below the lake, and bytes."""

    def __init__(self, store: Store, lake: str, seen: list[Seen]) -> None:
        key = f"/{store.bucket}/{lake.removeprefix(store.url())}"
        self.methods = {request.method for request in seen}
        self.paths = {unquote(request.path).removeprefix(key) for request in seen}
        self.data = {path for path in self.paths if path.endswith(".parquet")}
        self.bytes = sum(request.bytes for request in seen if request.path.endswith(".parquet"))


def watched(store: Store, lake: str, sql: str) -> tuple[Run, Traffic]:
    with FaultProxy(store.endpoint) as proxy:
        run = query(store, lake, sql, proxy.endpoint)
        seen = list(proxy.seen)
    assert run.code == 0, str(run)
    return run, Traffic(store, lake, seen)


def test_only_the_files_that_are_asked_for_are_read(store: Store, corpus: Corpus, lake: str):
    asked = {file["path"]: file["bytes"] for file in files(corpus) if is_asked_for(file)}
    sql = f"SELECT SUM(octetTotalCount) AS s, COUNT(*) AS n FROM flows {WHERE}"
    run, traffic = watched(store, lake, sql)
    assert json.loads(run.stdout)["n"] == sum(file["rows"] for file in files(corpus) if is_asked_for(file))
    assert traffic.data == set(asked)
    # The manifest says which files there are and how large they are: nothing is listed or asked for its size.
    assert traffic.paths - traffic.data == {"manifest.json"}
    assert traffic.methods == {"GET"}
    # Of these files, the footers and one column of many.
    assert 0 < traffic.bytes < sum(asked.values()) / 2


def test_a_month_that_is_not_there_reads_nothing(store: Store, lake: str):
    run, traffic = watched(store, lake, QUERIES["no rows"])
    assert run.stdout == ""
    assert traffic.data == set()


def test_fewer_columns_are_fewer_bytes(store: Store, lake: str):
    _, one = watched(store, lake, "SELECT MAX(protocolName) AS p FROM flows")
    _, all_columns = watched(store, lake, "SELECT * FROM flows")
    assert one.data == all_columns.data
    assert 0 < one.bytes < all_columns.bytes / 2


def test_a_missing_file_is_named(store: Store, corpus: Corpus, lake: str, prefix: str):
    gone = next(file["path"] for file in files(corpus) if is_asked_for(file))
    store.delete([prefix + gone])
    run = query(store, lake, f"SELECT SUM(octetTotalCount) AS s FROM flows {WHERE}")
    assert run.code == INPUT_ERROR, str(run)
    assert run.stdout == ""
    assert lake + gone in unquote(run.error()), str(run)
    # What needs no missing file is answered all the same.
    elsewhere = f"SELECT SUM(octetTotalCount) AS s FROM flows WHERE month <> '{MONTH}'"
    assert query(store, lake, elsewhere).stdout == on_disk(corpus, elsewhere)


def test_a_lake_that_is_not_there_is_named(store: Store, prefix: str):
    run = query(store, store.url(prefix), "SELECT COUNT(*) AS n FROM flows")
    assert run.code == INPUT_ERROR, str(run)
    assert store.url(prefix).rstrip("/") in run.error(), str(run)


@pytest.mark.parametrize("kind", ["slow-down", "reset", "reset-body"])
def test_errors_that_pass_make_no_difference(store: Store, corpus: Corpus, lake: str, kind: str):
    with FaultProxy(store.endpoint, [Fault(kind, 1.0, "GET", "parquet", limit=3)]) as proxy:
        run = query(store, lake, QUERIES["groups"], proxy.endpoint)
        faults = sum(proxy.counts.values())
    assert run.code == 0, str(run)
    assert run.stdout == on_disk(corpus, QUERIES["groups"])
    assert faults >= 3


def test_a_store_that_refuses_is_named(store: Store, lake: str):
    with FaultProxy(store.endpoint, [Fault("answer", 1.0, "GET", "parquet", document=DENIED)]) as proxy:
        run = query(store, lake, "SELECT MAX(octetTotalCount) AS m FROM flows", proxy.endpoint)
    assert run.code == INPUT_ERROR, str(run)
    assert "AccessDenied" in run.error(), str(run)
    assert lake in run.error(), str(run)
