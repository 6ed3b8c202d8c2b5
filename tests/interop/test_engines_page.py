"""The tables of types and counts in docs/reading.md are what the engines say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import lakes
from conftest import ENGINES
from engines.expected import expected_summary, expected_types
from engines.page import counts_columns, counts_row, counts_table, heading, replaced, types_table
from engines.reading import Engine, directory
from lakes import BuildLake, Lake

PAGE = lakes.REPOSITORY / "docs" / "reading.md"
REWRITE = "FLOWLAKE_WRITE_DOCS=1 scripts/test interop -k test_engines_page"
# No built-in recipe has numbers with a point.
RATIO = """
[[column]]
name = "bytesPerMillisecond"
role = "feature"
derive = { ratio = { of = "octetTotalCount", to = "flowDurationMilliseconds" } }
description = "For a column of the type float64"
"""


@pytest.fixture(scope="session")
def engines(request: pytest.FixtureRequest) -> list[Engine]:
    return [request.getfixturevalue(f"{name}_engine") for name in ENGINES]


@pytest.fixture(scope="session")
def all_types(build_lake: BuildLake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake with a column of every type there is."""
    flows = build_lake("sample", "flows")
    directory = tmp_path_factory.mktemp("all-types")
    recipe = directory / "recipe.toml"
    text = lakes.recipe_file("flows").read_text()
    assert text.count('name = "flows"\n') == 1
    recipe.write_text(text.replace('name = "flows"\n', 'name = "all-types"\n') + RATIO)
    places = ["--config", flows.data_set.catalogue, "--input", flows.data_set.input, "--output", directory / "lake"]
    lakes.run("build", *places, "--recipe", recipe)
    return Lake(directory / "lake", flows.data_set, flows.recipe)


def compare(page: Path, name: str, text: str) -> None:
    """Writes a table if that was asked for, and fails where the page has another one."""
    found = page.read_text()
    wanted = replaced(found, name, text)
    if os.environ.get("FLOWLAKE_WRITE_DOCS"):
        page.write_text(wanted)
        return
    assert found == wanted, f"the table of {name} in {page.name} is not what the engines say; write it anew: {REWRITE}"


def test_the_table_of_types(engines: list[Engine], all_types: Lake):
    for engine in engines:
        assert engine.types(directory(all_types.root)) == expected_types(all_types, engine.title), engine.title
    table = types_table(all_types, engines, directory(all_types.root))
    notes = (
        "Of two types in a cell the second is that of columns with nulls: in ClickHouse of those that may have some "
        "(`nullable` in the\nmanifest), in pandas of those that have some. The manifest's types are those of "
        "[FORMAT.md](FORMAT.md#data-files).\n"
        f"Made from what the engines said: `{REWRITE}`."
    )
    compare(PAGE, "types", f"{table}\n\n{notes}")


def test_the_table_of_counts(engines: list[Engine], build_lake: BuildLake):
    lake = build_lake("sample", "flows")
    columns = counts_columns(lake)
    expected = expected_summary(lake, columns)
    rows = [counts_row("manifest and dumps", expected)]
    for engine in engines:
        found = engine.summary(directory(lake.root), columns)
        # The totals below, and every partition by itself.
        assert found == expected, engine.title
        rows.append(counts_row(heading(engine), found))
    assert len({tuple(row[1:]) for row in rows}) == 1
    notes = """\
The lake of `flowlake sample --scale 0.001 --seed 7` and the recipe `flows`. All agree, in each partition too, though
the sessions are in another time zone than UTC. The first row does not come from the Parquet files: rows and times are
the manifest's, sums and nulls were computed from the dumps by `tests/interop`. Made by the same command."""
    compare(PAGE, "counts", f"{counts_table(rows)}\n\n{notes}")


def test_a_page_that_differs_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- types: begin -->\n| old |\n<!-- types: end -->\nafter\n")
    monkeypatch.delenv("FLOWLAKE_WRITE_DOCS", raising=False)
    with pytest.raises(AssertionError, match=REWRITE):
        compare(page, "types", "| new |")
    monkeypatch.setenv("FLOWLAKE_WRITE_DOCS", "1")
    compare(page, "types", "| new |")
    assert page.read_text() == "before\n<!-- types: begin -->\n| new |\n<!-- types: end -->\nafter\n"
    monkeypatch.delenv("FLOWLAKE_WRITE_DOCS")
    compare(page, "types", "| new |")
