"""Fixtures: dumps are written and lakes are built once a run, and shared by every test."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path

import pytest

import lakes


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
