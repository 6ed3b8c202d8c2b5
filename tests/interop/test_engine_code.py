"""What `flowlake sql` prints works as it is pasted, in every engine and from any directory; and `flowlake files` lists
exactly the files that engines should read."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import duckdb
import pytest

import lakes
from engines.clickhouse_engine import ClickHouse
from engines.duckdb_engine import DuckDB
from engines.expected import columns_of, expected_summary, expected_types
from engines.polars_engine import Polars
from engines.reading import ELSEWHERE, START, Columns, Engine, Partition, Source, Summary, listed_files
from lakes import BuildLake, Lake
from object_stores.corpus import SELECTIONS, Corpus
from object_stores.stores import Run, Store, flowlake, local_environment, store_environment

SELECTION = "several"
FEW_COLUMNS = Columns(("deviceName",), ("octetTotalCount",), START)
# What a view is asked for, whatever it is of.
NOWHERE = Source("nowhere", ())


# ---- pasting


class DuckDBView(DuckDB):
    def table(self, source: Source) -> str:
        return "flows"

    def hours(self) -> list[tuple[int, int]]:
        return self.connection.execute(f"SELECT hour({START}), count(*) FROM flows GROUP BY ALL").fetchall()


class PolarsView(Polars):
    def __init__(self, namespace: dict[str, Any]) -> None:
        super().__init__()
        self.flows = namespace["flows"]

    def scan(self, source: Source) -> Any:
        return self.flows

    def hours(self) -> list[tuple[int, int]]:
        import polars as pl

        return self.flows.group_by(pl.col(START).dt.hour().alias("hour")).len().collect().rows()


class ClickHouseView(ClickHouse):
    def table(self, source: Source) -> str:
        return "flows"

    def types(self, source: Source) -> dict[str, str]:
        return {name: data_type for name, data_type, *_ in self.rows("DESCRIBE TABLE flows")}

    def hours(self) -> list[tuple[int, int]]:
        return [(hour, rows) for hour, rows in self.rows(f"SELECT toHour({START}) AS h, count() FROM flows GROUP BY h")]


# Runs code in an engine as it was printed, and gives the engine, which knows nothing but the view.
Paste = Callable[[str], Any]


def packaged(name: str) -> Path:
    """An extension of DuckDB as its package brings it, of exactly its version: nothing is downloaded."""
    package = importlib.util.find_spec(f"duckdb_extension_{name}")
    assert package is not None, f"the package duckdb-extension-{name} is not installed"
    assert package.origin is not None
    return Path(package.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"


def without_downloads(code: str) -> str:
    """The code with extensions of DuckDB from their packages. Everything else is as it was printed."""
    return re.sub(r"INSTALL (\w+); LOAD \1;", lambda found: f"LOAD '{packaged(found[1])}';", code)


@pytest.fixture
def duckdb_paste(elsewhere: None) -> Iterator[Paste]:
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        view = DuckDBView(connection)

        def paste(code: str) -> DuckDBView:
            connection.execute(without_downloads(code))
            return view

        yield paste


@pytest.fixture
def polars_paste(elsewhere: None, monkeypatch: pytest.MonkeyPatch) -> Paste:
    # The code for stores sets it, and the environment is to be afterwards as it was.
    monkeypatch.setenv("POLARS_DOWNLOAD_CHUNK_SIZE_RANDOM_ACCESS", "65536")

    def paste(code: str) -> PolarsView:
        namespace: dict[str, Any] = {}
        exec(compile(code, "<polars>", "exec"), namespace)
        return PolarsView(namespace)

    return paste


@pytest.fixture
def clickhouse_paste(clickhouse_engine: ClickHouse) -> Iterator[Paste]:
    session = clickhouse_engine.session
    # Those of a new session: what the engine of other tests raises, code has to do without.
    session.query("SET glob_expansion_max_elements = 1000")

    def paste(code: str) -> ClickHouseView:
        session.query(code)
        view = ClickHouseView.__new__(ClickHouseView)
        view.session, view.credentials, view.version = session, None, clickhouse_engine.version
        return view

    yield paste
    session.query("DROP VIEW IF EXISTS flows")
    clickhouse_engine.set({"glob_expansion_max_elements": 100_000})


@pytest.fixture
def spark_paste(spark_engine: Any) -> Iterator[Paste]:
    from engines.spark_engine import Spark

    class SparkView(Spark):
        def flows(self, source: Source) -> Any:
            return self.session.table("flows")

        def hours(self) -> list[tuple[int, int]]:
            asked = f"SELECT hour({START}), count(*) FROM flows GROUP BY 1"
            return [tuple(row) for row in self.session.sql(asked).collect()]

    def paste(code: str) -> SparkView:
        # `getOrCreate` finds the session that is there.
        namespace: dict[str, Any] = {}
        exec(compile(code, "<spark>", "exec"), namespace)
        return SparkView(namespace["spark"])

    yield paste
    spark_engine.session.catalog.dropTempView("flows")
    spark_engine.session.conf.set("spark.sql.session.timeZone", ELSEWHERE)


ENGINES = ["duckdb", "polars", "clickhouse", "spark"]


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def paste(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paste:
    """Each engine in turn, in a directory that has nothing to do with the lake."""
    pasting = request.getfixturevalue(f"{engine_name}_paste")
    somewhere = tmp_path / "somewhere"
    somewhere.mkdir()
    monkeypatch.chdir(somewhere)
    return pasting


def code_for(engine: str, lake: str | Path, environment: dict[str, str] | None = None) -> Run:
    return flowlake("sql", lake, "--engine", engine, environment=environment or local_environment())


def printed(engine: str, lake: str | Path) -> str:
    run = code_for(engine, lake)
    assert run.code == 0, str(run)
    return run.stdout


# ---- what is in the view


@pytest.fixture(scope="session")
def expectations() -> dict[Path, dict[Partition, Summary]]:
    """What is expected of a lake is the same for every engine."""
    return {}


@pytest.fixture
def expectation(recipe_lake: Lake, expectations: dict[Path, dict[Partition, Summary]]) -> dict[Partition, Summary]:
    if recipe_lake.root not in expectations:
        expectations[recipe_lake.root] = expected_summary(recipe_lake, columns_of(recipe_lake))
    return expectations[recipe_lake.root]


def view_types(lake: Lake, engine: Engine) -> dict[str, str]:
    types = expected_types(lake, engine.title)
    if engine.title == "ClickHouse":
        # The view says `String`; what ClickHouse itself makes of a directory is `LowCardinality(String)`.
        types |= {column["name"]: "String" for column in lake.manifest["schema"]["partitionBy"]}
    return types


def test_the_view_has_the_columns_types_and_rows_of_the_manifest(
    engine_name: str, paste: Paste, recipe_lake: Lake, expectation: dict[Partition, Summary]
):
    view = paste(printed(engine_name, recipe_lake.root))
    assert view.types(NOWHERE) == view_types(recipe_lake, view)
    found = view.summary(NOWHERE, columns_of(recipe_lake))
    assert found.keys() == expectation.keys()
    for partition, summary in expectation.items():
        assert found[partition] == summary, partition


def test_hours_of_the_day_are_those_of_utc(engine_name: str, paste: Paste, build_lake: BuildLake):
    lake = build_lake("sample", "flows")
    hours = Counter(row.start.hour for dump in lake.expected.values() for rows in dump.months.values() for row in rows)
    assert len(hours) == 24
    assert dict(paste(printed(engine_name, lake.root)).hours()) == hours


def test_code_for_a_relative_path_works_anywhere(
    engine_name: str, paste: Paste, build_lake: BuildLake, monkeypatch: pytest.MonkeyPatch
):
    lake = build_lake("sample", "flows")
    here = Path.cwd()
    monkeypatch.chdir(lake.root.parent)
    code = printed(engine_name, f"./{lake.root.name}/")
    monkeypatch.chdir(here)
    assert paste(code).summary(NOWHERE, FEW_COLUMNS) == expected_summary(lake, FEW_COLUMNS)


def test_a_stray_file_makes_no_difference(engine_name: str, paste: Paste, build_lake: BuildLake, tmp_path: Path):
    lake = build_lake("sample", "flows")
    copy = tmp_path / "lake"
    shutil.copytree(lake.root, copy)
    first = copy / lake.manifest["files"][0]["path"]
    shutil.copyfile(first, first.with_name("stray.parquet"))
    other = copy / "data" / "month=1999-12" / "deviceClass=stray"
    other.mkdir(parents=True)
    shutil.copyfile(first, other / first.name)
    code = printed(engine_name, copy)
    assert paste(code).summary(NOWHERE, FEW_COLUMNS) == expected_summary(lake, FEW_COLUMNS)


def test_code_that_reads_the_manifest_reads_it_again(
    engine_name: str, paste: Paste, build_lake: BuildLake, tmp_path: Path
):
    """Code that lists the files itself says that it is of the time it was printed; other code follows the lake."""
    lake = build_lake("sample", "flows")
    copy = tmp_path / "lake"
    shutil.copytree(lake.root, copy)
    code = printed(engine_name, copy)
    follows = "at the time this was printed" not in code
    assert follows == (engine_name != "clickhouse")
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"] = [file for file in manifest["files"] if file["month"] == "2019-07"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    months = {month for month, _ in paste(code).summary(NOWHERE, FEW_COLUMNS)}
    assert months == ({"2019-07"} if follows else {file["month"] for file in lake.manifest["files"]})


# ---- wherever the lake lies


@pytest.fixture(scope="session")
def small_lake(build_lake: BuildLake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    data_set = build_lake("sample", "flows").data_set
    few = [device for device in data_set.devices if device.name in ("qrioHub", "sonyBravia")]
    return lakes.build(replace(data_set, devices=few), "flows", tmp_path_factory.mktemp("small") / "lake")


PLACES = [
    "it's a/env=prod/lake",
    "it's a/lake",
    "month=2018-01/lake",
    "100%20/a#b;c/é/lake",
    'double"quote/lake',
    "back\\slash/lake",
    "comma,comma/lake",
    "{brace}/lake",
    "s*ar/lake",
    "wh?t/lake",
    "brac[k]et/lake",
]
# Where there must be no code: the engine would take these letters for a pattern, and has no way to say otherwise.
LETTERS = {
    "back\\slash": ("\\", ["spark"]),
    'double"quote': ('"', ["clickhouse"]),
    "comma,comma": (",", ["clickhouse"]),
    "{brace}": ("{", ["clickhouse", "spark"]),
    "s*ar": ("*", ["clickhouse", "duckdb", "spark"]),
    "wh?t": ("?", ["clickhouse", "duckdb", "spark"]),
    "brac[k]et": ("[", ["clickhouse", "duckdb", "spark"]),
}
PARTITIONS = {"month=2018-01": ["clickhouse", "duckdb", "polars"]}


def refusal(engine_name: str, above: str, root: Path) -> str | None:
    """What the error says of it, where there must be no code."""
    letter, engines = LETTERS.get(above, ("", []))
    if engine_name in engines:
        return f"would take `{letter}` in {root} for a pattern"
    if engine_name in PARTITIONS.get(above, ()):
        return f"would take {above} above the lake for the partition of its rows"
    return None


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.removesuffix("/lake"))
def test_code_is_right_or_refused_wherever_the_lake_lies(
    engine_name: str, paste: Paste, place: str, small_lake: Lake, tmp_path: Path
):
    root = tmp_path / place
    shutil.copytree(small_lake.root, root)
    # What a star or a question mark matches beside itself.
    for other in ("star", "what"):
        shutil.copytree(small_lake.root, tmp_path / other / "lake")
    run = code_for(engine_name, root)
    if said := refusal(engine_name, place.removesuffix("/lake"), root):
        assert run.code == 2, str(run)
        assert said in run.stderr
        assert not run.stdout
        return
    assert run.code == 0, str(run)
    view = paste(run.stdout)
    assert view.types(NOWHERE) == view_types(small_lake, view)
    assert view.summary(NOWHERE, FEW_COLUMNS) == expected_summary(small_lake, FEW_COLUMNS)


def test_a_lake_of_more_than_a_thousand_files_in_clickhouse(clickhouse_paste: Paste, small_lake: Lake, tmp_path: Path):
    root = tmp_path / "lake"
    file = min(small_lake.manifest["files"], key=lambda file: file["bytes"])
    names = [file["path"].replace("-00000-", f"-{number:05}-") for number in range(1201)]
    (root / names[0]).parent.mkdir(parents=True)
    for name in names:
        os.link(small_lake.root / file["path"], root / name)
    files = [file | {"path": name} for name in names]
    totals = small_lake.manifest["totals"] | {"files": len(files), "rows": len(files) * file["rows"]}
    manifest = small_lake.manifest | {"files": files, "totals": totals}
    (root / "manifest.json").write_text(json.dumps(manifest))
    view = clickhouse_paste(printed("clickhouse", root))
    found = view.summary(NOWHERE, FEW_COLUMNS)
    assert {partition: summary.rows for partition, summary in found.items()} == {
        (file["month"], file["deviceClass"]): 1201 * file["rows"]
    }


# ---- in object stores


@pytest.fixture(scope="session")
def stored(corpus: Corpus) -> Lake:
    """The lake that tests put into stores, beside what it was built from."""
    names = [word for word in SELECTIONS[SELECTION] if not word.startswith("--")]
    devices = [device for device in lakes.read_catalogue(corpus.catalogue) if device.name in names]
    data_set = lakes.DataSet("corpus", corpus.dumps, corpus.catalogue, devices)
    return Lake(corpus.lake(SELECTION), data_set, lakes.RECIPES["flows"])


STORE_PLACES = ["lake", "it's a/lake", "env=prod/lake"]


@pytest.mark.parametrize("place", STORE_PLACES)
@pytest.mark.parametrize("engine_name", ["duckdb", "polars", "clickhouse"], indirect=True)
def test_code_for_a_lake_in_a_store(
    engine_name: str,
    paste: Paste,
    place: str,
    store: Store,
    prefix: str,
    stored: Lake,
):
    """Engines find the credentials in the environment, as flowlake does: the second store looks at signatures."""
    store.put_directory(stored.root, f"{prefix}{place}/")
    stray = stored.manifest["files"][0]["path"]
    store.put(f"{prefix}{place}/{Path(stray).parent}/stray.parquet", (stored.root / stray).read_bytes())
    run = code_for(engine_name, store.url(prefix + place), store_environment(store.endpoint))
    assert run.code == 0, str(run)
    assert not run.complaints()
    view = paste(run.stdout)
    assert view.types(NOWHERE) == view_types(stored, view)
    columns = columns_of(stored)
    assert view.summary(NOWHERE, columns) == expected_summary(stored, columns)


# ---- files


def files_of(lake: str | Path, *options: str, environment: dict[str, str] | None = None) -> list[str]:
    run = flowlake("files", lake, *options, environment=environment or local_environment())
    assert run.code == 0, str(run)
    end = "\0" if "--null" in options else "\n"
    assert run.stdout.endswith(end)
    return run.stdout.removesuffix(end).split(end)


def with_strays(lake: Lake, root: Path) -> Path:
    shutil.copytree(lake.root, root)
    first = root / lake.manifest["files"][0]["path"]
    shutil.copyfile(first, first.with_name("stray.parquet"))
    return root


def test_files_are_those_that_the_manifest_lists(small_lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    root = with_strays(small_lake, tmp_path / "it's a\nline" / "100%20=é")
    assert files_of(root, "--null") == listed_files(root)
    urls = files_of(root, "--url")
    assert all(re.fullmatch(r"file:///[!-~]+", url) for url in urls)
    assert [unquote(urlsplit(url).path) for url in urls] == listed_files(root)
    monkeypatch.chdir(root)
    below = [file["path"] for file in small_lake.manifest["files"]]
    assert [os.path.normpath(path) for path in files_of(".")] == below
    assert [unquote(urlsplit(url).path) for url in files_of(".", "--url")] == listed_files(root)


@pytest.mark.parametrize(
    "chosen",
    [
        {"month": ["2019-07"]},
        {"deviceClass": ["tv", "doorLock"]},
        {"deviceName": ["sonyBravia"]},
        {"month": ["2019-07", "2019-09"], "deviceClass": ["smartSpeaker"], "deviceName": ["amazonEchoGen2"]},
    ],
    ids=lambda chosen: "-".join(chosen),
)
def test_files_of_a_selection(build_lake: BuildLake, chosen: dict[str, list[str]]):
    lake = build_lake("sample", "flows")
    names = {"month": "--month", "deviceClass": "--class", "deviceName": "--device"}
    options = [word for name, values in chosen.items() for value in values for word in (names[name], value)]
    expected = [
        str(lake.root / file["path"])
        for file in lake.manifest["files"]
        if all(file[name] in values for name, values in chosen.items())
    ]
    assert 0 < len(expected) < len(lake.manifest["files"])
    assert files_of(lake.root, *options) == expected


def test_files_of_a_store_are_urls(conditional_store: Store, prefix: str, stored: Lake):
    store = conditional_store
    store.put_directory(stored.root, prefix)
    environment = store_environment(store.endpoint)
    expected = [store.url(prefix) + file["path"] for file in stored.manifest["files"]]
    for options in ([], ["--url"], ["--null"]):
        assert files_of(store.url(prefix), *options, environment=environment) == expected


@pytest.mark.parametrize("url", [False, True], ids=["paths", "urls"])
@pytest.mark.parametrize("name", ["duckdb_engine", "polars_engine"])
def test_engines_read_what_is_listed(
    name: str, url: bool, build_lake: BuildLake, tmp_path: Path, request: pytest.FixtureRequest
):
    lake = build_lake("sample", "flows")
    root = with_strays(lake, tmp_path / "lake")
    source = Source(str(root), tuple(files_of(root, *(["--url"] if url else []))))
    engine = request.getfixturevalue(name)
    assert engine.summary(source, FEW_COLUMNS) == expected_summary(lake, FEW_COLUMNS)
