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

import flows_oracle as oracle
from content_digest import file_digest, type_name
from flows_oracle import COLUMNS, Recomputed
from lakes import Lake

ARROW_TYPES = {
    oracle.STRING: pa.string(),
    oracle.INT32: pa.int32(),
    oracle.INT64: pa.int64(),
    oracle.DATE: pa.date32(),
    oracle.TIMESTAMP: pa.timestamp("ms", "UTC"),
}

# A partition of the lake as far as one device is concerned.
Key = tuple[str, str, str]


def expected_rows(lake: Lake) -> dict[Key, list[dict[str, Any]]]:
    """The oracle's rows by (month, class, device), in the order of the dump."""
    rows: dict[Key, list[dict[str, Any]]] = {}
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
    if kind == oracle.TIMESTAMP:
        return [None if value is None else oracle.to_millis(value) for value in values]
    return values


def stored(column: pa.ChunkedArray) -> list[Any]:
    return column.cast(pa.int64()).to_pylist() if pa.types.is_timestamp(column.type) else column.to_pylist()


def millis(text: str) -> int:
    """A time of the manifest: RFC 3339, UTC, with milliseconds."""
    assert text.endswith("Z"), text
    assert len(text) == len("2020-01-01T00:00:00.000Z"), text
    return oracle.to_millis(datetime.fromisoformat(text))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_lake_has_exactly_the_partitions_of_the_dumps(lake: Lake):
    assert set(files_by_key(lake)) == set(expected_rows(lake))


def test_every_cell_in_file_order(lake: Lake):
    differences: list[str] = []
    files = files_by_key(lake)
    for key, rows in expected_rows(lake).items():
        table = pa.concat_tables([read_file(lake.root / file["path"]) for file in files[key]])
        assert table.column_names == list(COLUMNS)
        assert [type_name(field.type) for field in table.schema] == list(COLUMNS.values())
        assert table.num_rows == len(rows), key
        for name, kind in COLUMNS.items():
            wanted = comparable([row[name] for row in rows], kind)
            found = stored(table[name])
            if wanted != found:
                differences += [
                    f"{key} line {row['_line']} {name}: should be {want!r}, is {have!r}"
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
        {name: pa.array([row[name] for row in rows], ARROW_TYPES[kind]) for name, kind in COLUMNS.items()}
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
    assert manifest["recipe"]["name"] == "flows"
    columns = manifest["schema"]["columns"]
    assert {column["name"]: column["type"] for column in columns} == COLUMNS
    assert [column["name"] for column in columns] == list(COLUMNS)
    partition_columns = [(column["name"], column["type"]) for column in manifest["schema"]["partitionBy"]]
    assert partition_columns == [("month", "string"), ("deviceClass", "string")]
    never_null = [column["name"] for column in columns if not column["nullable"]]
    for key, rows in expected_rows(lake).items():
        nulls = {name for row in rows for name in never_null if row[name] is None}
        assert not nulls, f"{key}: columns said never to be null hold nulls"
    for column in columns:
        assert column["description"]
        assert column["role"] in {"target", "identifier", "feature", "time"}


def test_every_file_is_as_the_manifest_says(lake: Lake):
    listed = [lake.root / file["path"] for file in lake.manifest["files"]]
    assert sorted(listed) == lake.data_files()
    assert [file["path"] for file in lake.manifest["files"]] == sorted(file["path"] for file in lake.manifest["files"])
    for file in lake.manifest["files"]:
        path = lake.root / file["path"]
        partition = f"data/month={file['month']}/deviceClass={file['deviceClass']}/"
        assert file["path"].startswith(f"{partition}{file['deviceName']}-")
        assert file["bytes"] == path.stat().st_size
        assert file["sha256"] == sha256(path)
        assert file["contentDigest"] == file_digest(path)
        metadata = pq.read_metadata(path)
        assert (file["rows"], file["rowGroups"]) == (metadata.num_rows, metadata.num_row_groups)
        starts = stored(read_file(path)["flowStartMilliseconds"])
        assert (millis(file["minFlowStart"]), millis(file["maxFlowStart"])) == (min(starts), max(starts))


def accounting(result: Recomputed) -> dict[str, Any]:
    return {
        "read": result.records["flows"] + result.records[None],
        "kept": result.kept,
        "removed": result.removed,
        "rejected": result.rejected,
    }


def as_accounting(entry: dict[str, Any]) -> dict[str, Any]:
    """A manifest's account in the oracle's terms; a rule that removed nothing may be listed or not."""
    removed = {"toDevice": 0, "neither": 0} | {rule["rule"]: rule["rows"] for rule in entry["removed"]}
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
        assert account["read"] == account["kept"] + sum(account["removed"].values()) + account["rejected"]
        whole.update({name: account[name] for name in ("read", "kept", "rejected")} | account["removed"])
    account = as_accounting(manifest["rowAccounting"])
    assert whole == {name: account[name] for name in ("read", "kept", "rejected")} | account["removed"]


def test_every_source_is_as_the_manifest_says(lake: Lake):
    sources = {source["dump"]: source for source in lake.manifest["sources"]}
    for device in lake.devices:
        source, result, parts = sources[device.dump], lake.expected[device.dump], lake.parts(device)
        assert (source["device"], source["deviceClass"]) == (device.name, device.device_class)
        assert source["parts"] == [
            {"name": part.name, "bytes": part.stat().st_size, "sha256": sha256(part)} for part in parts
        ]
        named = {kind: result.records[kind] for kind in ("flows", "stats", "tombstone")}
        assert source["records"] == named | {"other": result.records.total() - sum(named.values())}
        directions = {name: result.directions[name] for name in ("fromDevice", "toDevice", "both", "neither")}
        assert source["directions"] == directions
        assert source["publishedRecords"] == device.published_records
        assert result.trailer is not None, "every dump of these data sets has a trailer"
        flows, packets = result.trailer
        matches = (flows, packets) == (result.records["flows"], result.packets)
        assert source["trailer"] == {"flows": flows, "packets": packets, "matches": matches}
        starts = [row["flowStartMilliseconds"] for rows in result.months.values() for row in rows]
        if starts:
            spread = (millis(source["firstFlowStart"]), millis(source["lastFlowStart"]))
            assert spread == (oracle.to_millis(min(starts)), oracle.to_millis(max(starts)))
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
    }


def test_the_evidence_for_dropped_columns_is_that_of_the_dumps(lake: Lake):
    dropped = {column["name"]: column for column in lake.manifest["droppedColumns"]}
    assert set(dropped) == set(oracle.DROPPED)
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


def test_repairs_are_counts(lake: Lake):
    for repair in lake.manifest["repairs"]:
        assert repair["name"]
        assert type(repair["values"]) is int
        assert repair["values"] >= 0


@pytest.mark.parametrize("lake", ["kddi-iot-2019"], indirect=True, scope="session")
def test_the_real_hub_has_its_known_account(lake: Lake):
    (source,) = lake.manifest["sources"]
    assert source["trailer"] == {"flows": 16932, "packets": 2472780, "matches": True}
    account = {"read": 16932, "kept": 16877, "removed": {"toDevice": 55, "neither": 0}, "rejected": 0}
    assert as_accounting(lake.manifest["rowAccounting"]) == account
