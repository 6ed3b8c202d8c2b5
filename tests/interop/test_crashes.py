"""Builds and releases that are killed, or meet full disks and failing calls. `scripts/crash` tries more of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import STORES, store_of
from crashes.campaign import Campaign
from crashes.faults import FAULTS, SHORT
from crashes.places import Disk
from crashes.points import draw
from crashes.verdicts import Case, Verdict
from lakes import binary

SEED = 1
# On disk a point in turn of each command, at a time and at a call.
POINTS = range(1, 21)
# On both servers, of those that are in stores.
STORE_POINTS = [3, 6, 9, 15, 18, 24]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """A campaign on disk."""
    if not binary().is_file():
        pytest.fail(f"no binary at {binary()}: build it with `cargo build --release`, or set FLOWLAKE_BIN")
    # A claim of a killed run counts for a minute; nobody has to wait for that here.
    campaign = Campaign(tmp_path_factory.mktemp("crashes"), SEED, {}, waits=False)
    yield campaign
    campaign.clear()


@pytest.fixture(scope="module")
def stores(disk: Campaign) -> Campaign:
    """The same, and both stores."""
    disk.stores = {kind: store_of(kind) for kind in STORES}
    return disk


def _judged(verdict: Verdict) -> None:
    if verdict.skipped:
        pytest.skip(verdict.skipped)
    assert verdict.wrong == [], "\n".join([*verdict.notes, *map(str, verdict.runs)])


@pytest.mark.parametrize("number", POINTS)
def test_a_killed_run_leaves_the_old_lake_or_the_new_one(disk: Campaign, number: int):
    _judged(disk.point(number, stores=False))


@pytest.mark.parametrize("number", STORE_POINTS)
def test_a_killed_run_leaves_the_old_lake_or_the_new_one_in_a_store(stores: Campaign, number: int):
    verdict = stores.point(number, stores=True)
    assert verdict.kind.startswith("store")
    _judged(verdict)


@pytest.mark.parametrize("name", [name for name in SHORT if FAULTS[name].where == "disk"])
def test_what_goes_wrong_is_told_and_leaves_nothing(disk: Campaign, name: str):
    _judged(disk.fault(FAULTS[name]))


@pytest.mark.parametrize("name", [name for name in SHORT if FAULTS[name].where != "disk"])
def test_a_build_for_a_store_needs_room_for_temporary_files(stores: Campaign, name: str):
    _judged(stores.fault(FAULTS[name]))


def test_kinds_of_points_take_turns():
    """Few points have some of each kind."""
    points = [draw(SEED, number, stores=False) for number in POINTS]
    assert len({(point.how, point.work) for point in points}) == 6
    assert {draw(SEED, number, stores=True).where for number in STORE_POINTS} == {"conditional", "unconditional"}


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        (lambda lake: next(lake.rglob("*.parquet")).unlink(), "is not there"),
        (lambda lake: _cut(next(lake.rglob("*.parquet"))), "has other bytes"),
        (lambda lake: (lake / "data" / "more.parquet").touch(), "is no part of the lake"),
        (lambda lake: (lake / "data" / "empty").mkdir(), "is no part of the lake"),
        (lambda lake: _cut(lake / "manifest.json"), "neither the old one nor the new one"),
        (lambda lake: (lake / "manifest.json").unlink(), "the old lake is gone"),
        (lambda lake: (lake.parent / ".lake.flowlake-staging-1").mkdir(), None),
    ],
)
def test_the_campaign_sees_what_is_wrong(
    disk: Campaign, tmp_path: Path, damage: Callable[[Path], None], seen: str | None
):
    case = Case(disk.corpus, Disk(tmp_path), "replace", Verdict("damaged", "damaged", "replace"))
    case.begin()
    assert case.look() == "old"
    assert case.verdict.wrong == []
    damage(case.place.target)
    case.look()
    if seen is None:
        assert case.verdict.wrong == []
        assert case.place.beside() == ["out/.lake.flowlake-staging-1"]
    else:
        assert any(seen in what for what in case.verdict.wrong), case.verdict.wrong
