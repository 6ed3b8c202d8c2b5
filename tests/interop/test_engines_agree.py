"""Every engine finds the same in a lake: columns, types, rows, sums, nulls and times, whichever way it is read."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pytest

from engines.expected import columns_of, expected_summary, expected_types
from engines.reading import (
    ELSEWHERE,
    START,
    Columns,
    Engine,
    Partition,
    Source,
    Summary,
    directory,
    listed,
    listed_files,
)
from lakes import BuildLake, Lake


@pytest.fixture(scope="session")
def expectations() -> dict[Path, dict[Partition, Summary]]:
    """What was expected of a lake is the same for every engine."""
    return {}


@pytest.fixture
def expectation(recipe_lake: Lake, expectations: dict[Path, dict[Partition, Summary]]) -> dict[Partition, Summary]:
    if recipe_lake.root not in expectations:
        expectations[recipe_lake.root] = expected_summary(recipe_lake, columns_of(recipe_lake))
    return expectations[recipe_lake.root]


def test_what_is_expected_is_what_the_profiles_say(recipe_lake: Lake, expectation: dict[Partition, Summary]):
    columns = columns_of(recipe_lake)
    assert set(columns.summed) >= {"flowDurationMilliseconds", "protocolIdentifier"}
    if recipe_lake.name == "sample":
        assert set(columns.summed) >= {"octetTotalCount", "packetTotalCount", "reverseDataByteCount"}
    assert sum(found.rows for found in expectation.values()) == recipe_lake.manifest["totals"]["rows"]
    for column in recipe_lake.manifest["schema"]["columns"]:
        name, profile = column["name"], column["profile"]
        assert sum(found.nulls[name] for found in expectation.values()) == profile["nulls"], name
        if name in columns.summed and "mean" in profile:
            values = recipe_lake.manifest["totals"]["rows"] - profile["nulls"]
            assert sum(found.sums[name] or 0 for found in expectation.values()) / values == profile["mean"], name


@pytest.mark.parametrize("how", [directory, listed], ids=["directory", "listed"])
def test_types(engine: Engine, recipe_lake: Lake, how):
    assert engine.types(how(recipe_lake.root)) == expected_types(recipe_lake, engine.title)


@pytest.mark.parametrize("how", [directory, listed], ids=["directory", "listed"])
def test_rows_sums_nulls_and_times(engine: Engine, recipe_lake: Lake, expectation: dict[Partition, Summary], how):
    found = engine.summary(how(recipe_lake.root), columns_of(recipe_lake))
    assert found.keys() == expectation.keys()
    for partition, summary in expectation.items():
        assert found[partition] == summary, partition


def test_the_session_is_elsewhere(engine: Engine):
    """Otherwise the tests above would show nothing about time zones."""
    assert datetime.fromtimestamp(0).hour == 9
    assert engine.session_zone() in (ELSEWHERE, None)
    if engine.title in ("DuckDB", "ClickHouse", "Spark"):
        assert engine.session_zone() == ELSEWHERE


def test_a_stray_file_is_read_from_the_directory_only(engine: Engine, build_lake: BuildLake, tmp_path: Path):
    lake = build_lake("sample", "flows")
    copy = tmp_path / "lake"
    shutil.copytree(lake.root, copy)
    first = lake.manifest["files"][0]
    stray = (copy / first["path"]).with_name("stray.parquet")
    shutil.copyfile(copy / first["path"], stray)
    columns = Columns(("deviceName",), ("octetTotalCount",), START)
    expected = expected_summary(lake, columns)
    assert str(stray) not in listed_files(copy)
    assert engine.summary(listed(copy), columns) == expected
    with_stray = engine.summary(directory(copy), columns)
    partition = first["month"], first["deviceClass"]
    assert with_stray.pop(partition).rows == expected.pop(partition).rows + first["rows"]
    assert with_stray == expected


def test_one_file_is_a_lake_too(engine: Engine, build_lake: BuildLake):
    """A list of one file has the partition columns too."""
    lake = build_lake("sample", "flows")
    file = lake.manifest["files"][0]
    source = Source(str(lake.root), (str(lake.root / file["path"]),))
    found = engine.summary(source, Columns(("deviceName",), (), None))
    assert {partition: summary.rows for partition, summary in found.items()} == {
        (file["month"], file["deviceClass"]): file["rows"]
    }
