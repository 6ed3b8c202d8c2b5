"""Fixtures: lakes are built once a run and shared by every test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import lakes

_BUILDERS: dict[str, Callable[[Path], lakes.Lake]] = {
    "sample": lakes.build_sample,
    "kddi-iot-2019": lakes.build_kddi,
    "iot-sentinel": lakes.build_iot_sentinel,
}


@pytest.fixture(scope="session", params=list(_BUILDERS))
def lake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> lakes.Lake:
    """A lake of each data set at hand; the real ones are skipped, and said to be, where their dumps are absent."""
    name = request.param
    if name != "sample":
        real_dumps(name)
    if not lakes.binary().is_file():
        pytest.fail(f"no binary at {lakes.binary()}: build it with `cargo build --release`, or set FLOWLAKE_BIN")
    return _BUILDERS[name](tmp_path_factory.mktemp(name))


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
