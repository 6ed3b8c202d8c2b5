"""Every cell of a lake, and every number of its manifest, against an independent recomputation from the raw lines."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from content_digest import file_digest, type_name
from lakes import Lake
from raw_flows import DATE, INT32, INT64, STRING, TIMESTAMP, to_millis
from recompute import Recomputed, Row

ARROW_TYPES = {
    STRING: pa.string(),
    INT32: pa.int32(),
    INT64: pa.int64(),
    DATE: pa.date32(),
    TIMESTAMP: pa.timestamp("ms", "UTC"),
}


# What of the awkward dumps each rule of `encoded` has to find, so that none is looked at in vain.
LEAST_REMOVED = 100


@pytest.fixture
def lake(recipe_lake: Lake) -> Lake:
    """Everything here holds for every recipe."""
    return recipe_lake


# A partition of the lake as far as one device is concerned.
Key = tuple[str, str, str]


def expected_rows(lake: Lake) -> dict[Key, list[Row]]:
    """The oracle's rows by (month, class, device), in the order of the dump."""
    rows: dict[Key, list[Row]] = {}
    for device in lake.devices:
        for month, month_rows in lake.expected[device.dump].months.items():
            rows[month, device.device_class, device.name] = month_rows
    return rows


def files_by_key(lake: Lake) -> dict[Key, list[dict[str, Any]]]:
    """The manifest's files by (month, class, device), in the order of their rows."""
    files: dict[Key, list[dict[str, Any]]] = {}
    for file in sorted(lake.manifest["files"], key=lambda file: file["path"]):
        files.setdefault((file["month"], file["deviceClass"], file["deviceName"]), []).append(file)
    return files


def read_file(path: Path) -> pa.Table:
    """The columns inside a file; those that its path spells are not added."""
    return pq.read_table(path, partitioning=None)


def comparable(values: list[Any], kind: str) -> list[Any]:
    """Times as integers: what is compared is what is stored, and not how a library shows it."""
    if kind == TIMESTAMP:
        return [None if value is None else to_millis(value) for value in values]
    return values


def stored(column: pa.ChunkedArray) -> list[Any]:
    return column.cast(pa.int64()).to_pylist() if pa.types.is_timestamp(column.type) else column.to_pylist()


def millis(text: str) -> int:
    """A time of the manifest: RFC 3339, UTC, with milliseconds."""
    assert text.endswith("Z"), text
    assert len(text) == len("2020-01-01T00:00:00.000Z"), text
    return to_millis(datetime.fromisoformat(text))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_lake_has_exactly_the_partitions_of_the_dumps(lake: Lake):
    assert set(files_by_key(lake)) == set(expected_rows(lake))


def test_every_cell_in_file_order(lake: Lake):
    differences: list[str] = []
    files = files_by_key(lake)
    for key, rows in expected_rows(lake).items():
        table = pa.concat_tables([read_file(lake.root / file["path"]) for file in files[key]])
        columns = lake.recipe.columns
        assert table.column_names == list(columns)
        assert [type_name(field.type) for field in table.schema] == list(columns.values())
        assert table.num_rows == len(rows), key
        for name, kind in columns.items():
            wanted = comparable([row.cells[name] for row in rows], kind)
            found = stored(table[name])
            if wanted != found:
                differences += [
                    f"{key} line {row.line} {name}: should be {want!r}, is {have!r}"
                    for row, want, have in zip(rows, wanted, found, strict=True)
                    if want != have
                ]
    assert not differences, f"{len(differences)} cells differ:\n" + "\n".join(differences[:20])


def test_duckdb_sees_the_same_rows_both_ways(lake: Lake):
    rows, months, classes = [], [], []
    for (month, device_class, _), part in expected_rows(lake).items():
        rows += part
        months += [month] * len(part)
        classes += [device_class] * len(part)
    wanted = pa.table(
        {
            name: pa.array([row.cells[name] for row in rows], ARROW_TYPES[kind])
            for name, kind in lake.recipe.columns.items()
        }
        | {"month": pa.array(months), "deviceClass": pa.array(classes)}
    )
    columns = ", ".join(f'"{name}"' for name in wanted.column_names)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("wanted", wanted)
        connection.execute(f"CREATE VIEW found AS SELECT * FROM {lake.duckdb_source()}")
        for left, right, meaning in [("wanted", "found", "missing"), ("found", "wanted", "not expected")]:
            # EXCEPT ALL counts duplicates: two equal flows must be there twice.
            extra = connection.execute(
                f"SELECT {columns} FROM {left} EXCEPT ALL SELECT {columns} FROM {right}"
            ).to_arrow_table()
            assert extra.num_rows == 0, f"{extra.num_rows} rows {meaning}, such as {extra.slice(0, 2).to_pylist()}"
        assert connection.execute("SELECT count(*) FROM found").fetchone() == (len(rows),)


def test_the_schema_in_the_manifest_is_that_of_the_files(lake: Lake):
    manifest = lake.manifest
    assert manifest["formatVersion"] == 1
    assert manifest["recipe"]["name"] == lake.recipe.name
    columns = manifest["schema"]["columns"]
    assert [(column["name"], column["type"]) for column in columns] == list(lake.recipe.columns.items())
    partition_columns = [(column["name"], column["type"]) for column in manifest["schema"]["partitionBy"]]
    assert partition_columns == [("month", "string"), ("deviceClass", "string")]
    assert {column["name"] for column in columns if column["nullable"]} == lake.recipe.nullable
    for column in columns:
        assert column["description"]
        assert column["role"] in {"target", "identifier", "feature", "time"}


def test_every_file_is_as_the_manifest_says(lake: Lake):
    listed = [lake.root / file["path"] for file in lake.manifest["files"]]
    assert sorted(listed) == lake.data_files()
    assert [file["path"] for file in lake.manifest["files"]] == sorted(file["path"] for file in lake.manifest["files"])
    for key, files in files_by_key(lake).items():
        rows = expected_rows(lake)[key]
        for file in files:
            path = lake.root / file["path"]
            partition = f"data/month={file['month']}/deviceClass={file['deviceClass']}/"
            number, digest = files.index(file), file["sha256"][:16]
            assert file["path"] == f"{partition}{file['deviceName']}-{number:05}-{digest}.parquet"
            assert file["bytes"] == path.stat().st_size
            assert file["sha256"] == sha256(path)
            assert file["contentDigest"] == file_digest(path)
            metadata = pq.read_metadata(path)
            assert (file["rows"], file["rowGroups"]) == (metadata.num_rows, metadata.num_row_groups)
            starts = [to_millis(row.start) for row in rows[: file["rows"]]]
            rows = rows[file["rows"] :]
            assert (millis(file["minFlowStart"]), millis(file["maxFlowStart"])) == (min(starts), max(starts))


def test_rejected_lines_are_those_that_the_manifest_lists(lake: Lake):
    listed = []
    for source in lake.manifest["sources"]:
        assert ("rejectedLines" in source) == (source["rejected"] > 0)
        if rejected := source.get("rejectedLines"):
            path = lake.root / rejected["path"]
            assert rejected["path"] == f"rejected/{source['dump']}-{rejected['sha256'][:16]}.ndjson"
            assert (rejected["bytes"], rejected["sha256"]) == (path.stat().st_size, sha256(path))
            assert len(path.read_bytes().splitlines()) == source["rejected"]
            listed.append(path)
    assert sorted(listed) == sorted((lake.root / "rejected").glob("*"))


def accounting(result: Recomputed) -> dict[str, Any]:
    return {
        "read": result.read,
        "kept": result.kept,
        "removed": result.removed,
        "rejected": result.rejected,
    }


def as_accounting(entry: dict[str, Any]) -> dict[str, Any]:
    """A manifest's account in the oracle's terms. Every rule is listed, in order, also one that removed nothing."""
    removed = {rule["rule"]: rule["rows"] for rule in entry["removed"]}
    return {name: entry[name] for name in ("read", "kept", "rejected")} | {"removed": removed}


def test_every_row_is_accounted_for(lake: Lake):
    manifest = lake.manifest
    sources = {source["dump"]: source for source in manifest["sources"]}
    assert list(sources) == sorted(device.dump for device in lake.devices)
    whole: Counter = Counter()
    for device in lake.devices:
        source, result = sources[device.dump], lake.expected[device.dump]
        account = as_accounting(source)
        assert account == accounting(result), device.dump
        assert list(account["removed"]) == list(result.removed)
        assert account["read"] == account["kept"] + sum(account["removed"].values()) + account["rejected"]
        whole.update({name: account[name] for name in ("read", "kept", "rejected")} | account["removed"])
    account = as_accounting(manifest["rowAccounting"])
    assert whole == {name: account[name] for name in ("read", "kept", "rejected")} | account["removed"]
    assert whole["read"] == whole["kept"] + sum(account["removed"].values()) + whole["rejected"]


def test_every_source_is_as_the_manifest_says(lake: Lake):
    sources = {source["dump"]: source for source in lake.manifest["sources"]}
    for device in lake.devices:
        source, result, parts = sources[device.dump], lake.expected[device.dump], lake.parts(device)
        assert (source["device"], source["deviceClass"]) == (device.name, device.device_class)
        assert source["parts"] == [
            {"name": part.name, "bytes": part.stat().st_size, "sha256": sha256(part)} for part in parts
        ]
        # A line that is no record was meant to be a flow.
        named = {"flows": result.read} | {kind: result.records[kind] for kind in ("stats", "tombstone")}
        assert source["records"] == named | {"other": result.records.total() - sum(named.values())}
        directions = {name: result.directions[name] for name in ("fromDevice", "toDevice", "both", "neither")}
        assert source["directions"] == directions
        assert source["publishedRecords"] == device.published_records
        assert result.trailer is not None, "every dump of these data sets has a trailer"
        flows, packets = result.trailer
        matches = (flows, packets) == (result.read, result.packets)
        assert source["trailer"] == {"flows": flows, "packets": packets, "matches": matches}
        starts = [row.start for rows in result.months.values() for row in rows]
        if starts:
            spread = (millis(source["firstFlowStart"]), millis(source["lastFlowStart"]))
            assert spread == (to_millis(min(starts)), to_millis(max(starts)))
        else:
            assert (source["firstFlowStart"], source["lastFlowStart"]) == (None, None)


def test_the_totals_are_the_sums(lake: Lake):
    files, sources = lake.manifest["files"], lake.manifest["sources"]
    assert lake.manifest["totals"] == {
        "dumps": len(lake.devices),
        "inputBytes": sum(part["bytes"] for source in sources for part in source["parts"]),
        "files": len(files),
        "rows": sum(result.kept for result in lake.expected.values()),
        "bytes": sum(file["bytes"] for file in files),
        "contentDigest": hashlib.sha256("".join(map(digest_line, files)).encode()).hexdigest(),
    }


def digest_line(file: dict[str, Any]) -> str:
    return f"{file['contentDigest']} {file['month']} {file['deviceClass']} {file['deviceName']}\n"


def test_the_evidence_for_dropped_columns_is_that_of_the_dumps(lake: Lake):
    dropped = {column["name"]: column for column in lake.manifest["droppedColumns"]}
    assert set(dropped) == set(lake.recipe.dropped)
    for name, column in dropped.items():
        values: Counter = sum((result.dropped[name] for result in lake.expected.values()), Counter())
        rows, nulls = values.total(), values.pop(None, 0)
        evidence, most = column["evidence"], max(values.values(), default=0)
        assert (evidence["rows"], evidence["nulls"]) == (rows, nulls), name
        top = evidence["mostFrequent"]
        if evidence["distinctIsEstimate"]:
            # The most frequent value's rows are then a lower bound.
            assert top["rows"] <= most, name
        else:
            assert evidence["distinct"] == len(values), name
            assert (top["rows"] if top else 0) == most, name
        if top:
            assert top["share"] == pytest.approx(top["rows"] / rows, abs=1e-6), name
        if column["reason"] == "constant":
            assert evidence["contradicted"] == (len(values) > 1), name
        assert column["detail"]


def test_every_repair_is_counted(lake: Lake):
    whole: Counter = sum((result.repairs for result in lake.expected.values()), Counter())
    found = [(repair["name"], repair["values"]) for repair in lake.manifest["repairs"]]
    assert found == [(name, whole[name]) for name in lake.recipe.repairs]


def test_what_numbers_cannot_say_is_counted(lake: Lake):
    rows = [row for part in expected_rows(lake).values() for row in part]
    wanted = [
        {"column": name, "reason": "ipv6", "values": sum(row.cells[name] is None for row in rows)}
        for name in lake.recipe.ipv4_numbers
    ]
    assert lake.manifest.get("notEncoded", []) == wanted


@pytest.mark.parametrize("recipe_lake", [("kddi-iot-2019", "flows")], ids="-".join, indirect=True, scope="session")
def test_the_real_hub_has_its_known_account(lake: Lake):
    (source,) = lake.manifest["sources"]
    assert source["trailer"] == {"flows": 16932, "packets": 2472780, "matches": True}
    account = {"read": 16932, "kept": 16877, "removed": {"toDevice": 55, "neither": 0}, "rejected": 0}
    assert as_accounting(lake.manifest["rowAccounting"]) == account


@pytest.mark.parametrize("recipe_lake", [("awkward", "encoded")], ids="-".join, indirect=True, scope="session")
def test_the_awkward_dumps_have_something_for_every_rule(lake: Lake):
    removed = as_accounting(lake.manifest["rowAccounting"])["removed"]
    assert len(removed) == 5
    assert min(removed.values()) >= LEAST_REMOVED, removed
