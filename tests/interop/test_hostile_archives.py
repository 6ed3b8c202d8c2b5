"""Hostile archives, lines, configurations and manifests: `python -m hostile.campaign` runs far more of them.

Each is tried in a sandbox of its own, which tells what was written outside of the target, how much memory and disk it
took, and, by Python's own reading of it, whether the rows are right.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from hostile.campaign import all_cases
from hostile.cases import Case, Tried, attempt
from hostile.seeded import draw

# What runs in CI: no case of gigabytes, and of those that are much alike the whole of them in one dump, or a few.
SEEDS = range(1, 13)


def short() -> list[Case]:
    return [case for case in all_cases() if not case.long and not case.repetitive]


def parameters() -> list[object]:
    return [pytest.param(case, id=case.title) for case in [*short(), *map(draw, SEEDS)]]


@pytest.fixture(scope="session")
def tried(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Tried]]]:
    """What became of every case that was asked for; two are tried at a time."""
    asked = [item.callspec.params.get("case") for item in request.session.items if hasattr(item, "callspec")]
    with ThreadPoolExecutor(2) as threads:
        yield {case.title: threads.submit(attempt, case) for case in asked if isinstance(case, Case)}
        threads.shutdown(cancel_futures=True)


@pytest.mark.parametrize("case", parameters())
def test_hostile_input_takes_nothing_over(case: Case, tried: dict[str, Future[Tried]]):
    found = tried[case.title].result()
    assert not found.wrong, "\n".join([*found.wrong, *map(str, found.runs)])


def test_a_seed_draws_the_same_case_again():
    assert [draw(seed).title for seed in SEEDS] == [draw(seed).title for seed in SEEDS]
    titles = [case.title for case in short()]
    assert len(titles) == len(set(titles)), "a title names one case"
