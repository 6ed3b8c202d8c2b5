"""The documents of a release, read by the programs they are written for."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import frictionless
import mlcroissant
import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lakes

VERSION = "1.0.0"

# Readers that look at one cell at a time take their time, so the release is tiny. What else they warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")

Row = dict[str, Any]


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of all columns and few rows: the flows around a new year, of two devices, with nulls of every kind."""
    directory = tmp_path_factory.mktemp("awkward")
    data_set = lakes.awkward(directory)
    # Without the catalogue's leave nobody may hand the release on.
    catalogue = directory / "redistributable.toml"
    catalogue.write_text(data_set.catalogue.read_text().replace("[dataset]\n", "[dataset]\nredistribution = true\n"))
    lake = tmp_path_factory.mktemp("documents") / "lake"
    selection = ["--recipe", "full", "--from", "2019-12-31T23:59:59.960Z", "--to", "2020-01-01T00:00:00.050Z"]
    lakes.run("build", "--config", catalogue, "--input", directory, "--output", lake, *selection)
    return lake


@pytest.fixture(scope="session")
def release(lake: Path) -> Path:
    release = lake.with_name("release")
    lakes.run("release", lake, "--version", VERSION, "--output", release)
    return release


@pytest.fixture(scope="session")
def manifest(release: Path) -> dict[str, Any]:
    return json.loads((release / "manifest.json").read_text())


@pytest.fixture(scope="session")
def rows(release: Path, manifest: dict[str, Any]) -> list[Row]:
    """Every row, by way of Arrow: file by file, with what the directories say."""
    rows = []
    for file in manifest["files"]:
        table = as_pandas_has_it(pq.read_table(release / file["path"], partitioning=None))
        directories = {"month": file["month"], "deviceClass": file["deviceClass"]}
        rows += [row | directories for row in table.to_pylist()]
    return rows


def as_pandas_has_it(table: pa.Table) -> pa.Table:
    """The table without what gets lost in pandas, by way of which both readers go: it makes floating point numbers of
    integers when there is a null among them, and those are exact only up to 2^53."""
    for index, field in enumerate(table.schema):
        column = table[field.name]
        if pa.types.is_integer(field.type) and column.null_count:
            rounded = column.cast(pa.float64(), safe=False).cast(field.type, safe=False)
            table = table.set_column(index, field, rounded)
    return table


def columns(manifest: dict[str, Any]) -> dict[str, str]:
    """Every column with its type, those of the files first."""
    schema = manifest["schema"]
    return {column["name"]: column["type"] for column in schema["columns"] + schema["partitionBy"]}


def in_order(rows: Iterable[Row]) -> list[Row]:
    """The rows in an order that does not depend on the reader."""
    return sorted(rows, key=lambda row: [(name, str(row[name])) for name in sorted(row)])


def test_the_lake_holds_what_readers_stumble_over(rows: list[Row], manifest: dict[str, Any]) -> None:
    types = columns(manifest)
    for kind in ["int32", "int64", "string"]:
        names = [name for name, its_type in types.items() if its_type == kind]
        assert any(row[name] is None for row in rows for name in names), f"no null of type {kind}"
    assert len({row["month"] for row in rows}) > 1
    assert len({row["deviceClass"] for row in rows}) > 1


def from_croissant(record: dict[str, Any], types: dict[str, str]) -> Row:
    """A record as Arrow has it; asserts that the reader made the type of each value that the field has."""
    row = {}
    for key, value in record.items():
        name = key.removeprefix("flows/")
        match types[name]:
            case _ if value is None:
                row[name] = None
            case "string":
                assert type(value) is bytes
                row[name] = value.decode()
            case "int32" | "int64":
                assert type(value) is int
                row[name] = value
            case "float64":
                assert type(value) is float
                row[name] = value
            case "date":
                assert type(value) is pandas.Timestamp
                row[name] = value.date()
            case "timestamp[ms, UTC]":
                assert type(value) is pandas.Timestamp
                assert value.utcoffset() == datetime.timedelta(0)
                row[name] = value.to_pydatetime()
            case unknown:
                raise AssertionError(f"what does {unknown} look like?")
    return row


def test_croissant_iterates_every_row(release: Path, manifest: dict[str, Any], rows: list[Row]) -> None:
    types = columns(manifest)
    records = mlcroissant.Dataset(jsonld=release / "croissant.json").records("flows")
    assert in_order(from_croissant(record, types) for record in records) == in_order(rows)


@pytest.mark.parametrize("column", ["month", "deviceClass"])
def test_croissant_filters_by_directory(release: Path, manifest: dict[str, Any], rows: list[Row], column: str) -> None:
    types, value = columns(manifest), rows[0][column]
    dataset = mlcroissant.Dataset(jsonld=release / "croissant.json")
    records = dataset.records("flows", filters={f"flows/{column}": value})
    expected = [row for row in rows if row[column] == value]
    assert in_order(from_croissant(record, types) for record in records) == in_order(expected)


def test_croissant_is_valid(release: Path, manifest: dict[str, Any]) -> None:
    metadata = mlcroissant.Dataset(jsonld=release / "croissant.json").metadata
    assert not metadata.ctx.issues.errors
    # The clock is not asked, so a release has a date only when somebody said one; the format recommends it.
    warnings = [str(warning) for warning in metadata.ctx.issues.warnings]
    assert all("datePublished" in warning for warning in warnings), warnings
    assert metadata.version == VERSION
    listed = {
        file.content_url: (file.sha256, file.content_size)
        for file in metadata.distribution
        if isinstance(file, mlcroissant.FileObject)
    }
    assert listed == {file["path"]: (file["sha256"], f"{file['bytes']} B") for file in manifest["files"]}


def test_croissant_says_role_and_unit_of_columns(release: Path, manifest: dict[str, Any]) -> None:
    document = json.loads((release / "croissant.json").read_text())
    said = {
        field["name"]: {what["name"]: what["value"] for what in field["additionalProperty"]}
        for field in document["recordSet"][0]["field"]
    }
    schema = manifest["schema"]
    expected = {
        column["name"]: {"role": column["role"]} | ({"unit": column["unit"]} if column["unit"] else {})
        for column in schema["columns"] + schema["partitionBy"]
    }
    assert said == expected


def test_data_package_is_valid_with_its_data(release: Path, manifest: dict[str, Any]) -> None:
    report = frictionless.Package(str(release / "datapackage.json")).validate()
    assert report.valid, report.flatten(["type", "message"])
    assert len(report.tasks) == len(manifest["files"])


def test_data_package_iterates_every_row(release: Path, rows: list[Row]) -> None:
    read = []
    for resource in frictionless.Package(str(release / "datapackage.json")).resources:
        partition = resource.custom["partition"]
        read += [row.to_dict() | partition for row in resource.read_rows()]
    # The reader has numbers that are no integers as decimals.
    assert in_order(map(plain, read)) == in_order(rows)


def plain(row: Row) -> Row:
    types = (str, int, float, datetime.date, type(None))
    return {name: value if isinstance(value, types) else float(value) for name, value in row.items()}


def test_readers_agree_with_duckdb(release: Path, rows: list[Row]) -> None:
    (count, months) = duckdb.sql(
        f"SELECT count(*), count(DISTINCT month) "
        f"FROM read_parquet('{release}/data/**/*.parquet', hive_partitioning = true)"
    ).fetchone()
    assert (count, months) == (len(rows), len({row["month"] for row in rows}))


def test_citation_is_valid(release: Path) -> None:
    schema = ["--builtin-schema", "vendor.citation-file-format"]
    command = [sys.executable, "-m", "check_jsonschema", *schema, release / "CITATION.cff"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
