"""Fixtures: dumps are written and lakes are built once a run, and shared by every test."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import cache
from itertools import count, product
from pathlib import Path

import duckdb
import pytest

import lakes
from engines.clickhouse_engine import ClickHouse
from engines.duckdb_engine import DuckDB
from engines.java import missing_java
from engines.pandas_engine import Pandas
from engines.polars_engine import Polars
from engines.pyarrow_engine import PyArrow
from engines.reading import ELSEWHERE, Engine
from object_stores.corpus import Corpus
from object_stores.stores import Store, named_store

# Object stores by what they do with conditional writes, and what names them.
STORES = {"conditional": "FLOWLAKE_TEST_S3", "unconditional": "FLOWLAKE_TEST_S3_UNCONDITIONAL"}
# Below this lies everything that tests put into a store, apart from what another run of them puts there.
PREFIX = f"tests-{os.getpid()}/"
numbers = count(1)


@pytest.fixture(scope="session")
def build_lake(tmp_path_factory: pytest.TempPathFactory) -> lakes.BuildLake:
    """Gives the lake of a data set and a recipe; the real data sets are skipped where their dumps are absent."""

    @cache
    def data_set(name: str) -> lakes.DataSet:
        return lakes.DATA_SETS[name](tmp_path_factory.mktemp(name))

    @cache
    def lake(name: str, recipe: str) -> lakes.Lake:
        return lakes.build(data_set(name), recipe, tmp_path_factory.mktemp(f"{name}-{recipe}") / "lake")

    def checked(name: str, recipe: str) -> lakes.Lake:
        if name in lakes.REAL_DATA_SETS:
            real_dumps(name)
        if not lakes.binary().is_file():
            pytest.fail(f"no binary at {lakes.binary()}: build it with `cargo build --release`, or set FLOWLAKE_BIN")
        return lake(name, recipe)

    return checked


@pytest.fixture(scope="session", params=list(lakes.DATA_SETS))
def lake(request: pytest.FixtureRequest, build_lake: lakes.BuildLake) -> lakes.Lake:
    """A lake of each data set at hand, of the default recipe."""
    return build_lake(request.param, "flows")


@pytest.fixture(scope="session", params=product(lakes.DATA_SETS, lakes.RECIPES), ids="-".join)
def recipe_lake(request: pytest.FixtureRequest, build_lake: lakes.BuildLake) -> lakes.Lake:
    """A lake of each data set at hand and each built-in recipe."""
    return build_lake(*request.param)


def real_dumps(name: str) -> Path:
    """The directory of a real data set; skips the test where there is none."""
    directory = lakes.real_data() / name
    if not directory.is_dir():
        pytest.skip(f"real dumps are not on this machine: no {name} in FLOWLAKE_REAL_DATA")
    return directory


@pytest.fixture
def real_kddi() -> Path:
    return real_dumps("kddi-iot-2019")


@pytest.fixture
def real_iot_sentinel() -> Path:
    return real_dumps("iot-sentinel")


def store_of(kind: str) -> Store:
    """A store to test on. Without one the test is skipped, but under `scripts/test`, which starts them all."""
    store = named_store(STORES[kind])
    if store is not None:
        return store
    message = f"no object store to test on: {STORES[kind]} is not set; scripts/with-object-stores sets it"
    if os.environ.get("FLOWLAKE_TEST_S3_REQUIRED"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session", params=list(STORES))
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each store in turn."""
    store = store_of(request.param)
    yield store
    store.clear(PREFIX)


@pytest.fixture(scope="session")
def conditional_store() -> Iterator[Store]:
    """The store that honours conditional writes, for tests that have nothing to do with them."""
    store = store_of("conditional")
    yield store
    store.clear(PREFIX)


@pytest.fixture(scope="session")
def unconditional_store() -> Iterator[Store]:
    """The store that ignores conditions, and looks at signatures."""
    store = store_of("unconditional")
    yield store
    store.clear(PREFIX)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Dumps, and the lakes that local builds make of them."""
    if not lakes.binary().is_file():
        pytest.fail(f"no binary at {lakes.binary()}: build it with `cargo build --release`, or set FLOWLAKE_BIN")
    return Corpus(tmp_path_factory.mktemp("corpus")).make()


@pytest.fixture(scope="session")
def dumps_url(store: Store, corpus: Corpus) -> str:
    """Where the dumps of the corpus lie in a store."""
    store.put_directory(corpus.dumps, PREFIX + "dumps/")
    return store.url(PREFIX + "dumps/")


@pytest.fixture
def prefix() -> str:
    """A place in a store that no other test uses."""
    return f"{PREFIX}{next(numbers)}/"


# ---- engines that read lakes


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[None]:
    """The machine is in another time zone: everything in a lake is UTC, so that this must make no difference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", ELSEWHERE)
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(scope="session")
def duckdb_engine(elsewhere: None) -> Iterator[DuckDB]:
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        yield DuckDB(connection)


@pytest.fixture(scope="session")
def polars_engine(elsewhere: None) -> Polars:
    return Polars()


@pytest.fixture(scope="session")
def pyarrow_engine(elsewhere: None) -> PyArrow:
    return PyArrow()


@pytest.fixture(scope="session")
def pandas_engine(elsewhere: None) -> Pandas:
    return Pandas()


@pytest.fixture(scope="session")
def clickhouse_engine(elsewhere: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    # Imported where it is wanted: it takes hundreds of megabytes.
    from chdb.session import Session

    session = Session(str(tmp_path_factory.mktemp("clickhouse")))
    yield ClickHouse(session)
    session.close()


@pytest.fixture(scope="session")
def java() -> None:
    """Skips what needs Spark where there is no Java for it."""
    if missing := missing_java():
        pytest.skip(missing)


@pytest.fixture(scope="session")
def spark_engine(elsewhere: None, java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One Spark for all tests of this process: each is a virtual machine of Java."""
    from engines.spark_engine import Spark, session

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        started = session("local[2]", tmp_path_factory.mktemp("spark"))
    yield Spark(started)
    started.stop()


ENGINES = ["duckdb", "polars", "pyarrow", "pandas", "clickhouse", "spark"]


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    return request.getfixturevalue(f"{request.param}_engine")
