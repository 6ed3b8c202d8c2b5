"""Two builds for one target at once: one of them makes the lake, the other says so and leaves it alone."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter

import pytest

from object_stores.corpus import Corpus
from object_stores.fault_proxy import FaultProxy
from object_stores.stores import Run, Store, finish, flowlake, start, stopped, store_environment

ROUNDS = 12


def race(store: Store, arguments: list[list], delay: float) -> list[Run]:
    environment = store_environment(store.endpoint)
    first = start(arguments[0], environment)
    time.sleep(delay)
    second = start(arguments[1], environment)
    return [finish(first), finish(second)]


def assert_whole(store: Store, corpus: Corpus, prefix: str, selection: str) -> None:
    assert store.get(prefix + "manifest.json") == corpus.manifests[selection]
    assert set(store.objects(prefix)) == corpus.names[selection]
    assert store.damage(prefix, corpus.manifests[selection]) == []
    assert store.uploads(prefix) == []
    verified = flowlake("verify", store.url(prefix), environment=store_environment(store.endpoint))
    assert verified.code == 0, str(verified)


# Of lakes that have nothing in common but their place, and of lakes that share files.
@pytest.mark.parametrize(
    "selections", [("full", "encoded"), ("several", "parts"), ("encoded", "encoded")], ids="-".join
)
def test_one_of_two_new_lakes(store: Store, corpus: Corpus, prefix: str, selections: tuple[str, str]):
    chance = random.Random("-".join(selections))
    ends: Counter[tuple[int, int]] = Counter()
    for number in range(ROUNDS):
        target = f"{prefix}{number}/"
        arguments = [corpus.build(selection, corpus.dumps, store.url(target)) for selection in selections]
        runs = race(store, arguments, chance.choice([0, 0, chance.uniform(0, 0.05), chance.uniform(0, 0.3)]))
        codes = [run.code for run in runs]
        said = "\n".join(map(str, runs))
        assert codes.count(0) == 1, said
        loser = runs[1 - codes.index(0)]
        # 4 is for one that saw at its beginning that the other was through.
        assert loser.code in (4, 5), said
        assert store.url(target).rstrip("/") in loser.error(), said
        assert_whole(store, corpus, target, selections[codes.index(0)])
        store.clear(target)
        ends[tuple(codes)] += 1
    # Otherwise they did not race.
    assert any(5 in codes for codes in ends), ends


def test_two_replacements(store: Store, corpus: Corpus, prefix: str):
    """The later commit wins only if it saw the earlier one's lake."""
    chance = random.Random("replacements")
    ends: Counter[tuple[int, int]] = Counter()
    for number in range(ROUNDS):
        target = f"{prefix}{number}/"
        before = flowlake(
            *corpus.build("full", corpus.dumps, store.url(target)), environment=store_environment(store.endpoint)
        )
        assert before.code == 0, str(before)
        selections = ("encoded", "parts")
        arguments = [corpus.build(name, corpus.dumps, store.url(target), "--replace") for name in selections]
        runs = race(store, arguments, chance.choice([0, 0, chance.uniform(0, 0.05), chance.uniform(0, 0.3)]))
        codes = [run.code for run in runs]
        said = "\n".join(map(str, runs))
        assert 0 in codes, said
        assert set(codes) <= {0, 5}, said
        manifest = store.get(target + "manifest.json")
        winners = [name for name in selections if manifest == corpus.manifests[name]]
        assert len(winners) == 1
        assert codes[selections.index(winners[0])] == 0, said
        assert_whole(store, corpus, target, winners[0])
        store.clear(target)
        ends[tuple(codes)] += 1
    assert any(5 in codes for codes in ends), ends


def test_the_claim_of_a_build_that_was_killed(unconditional_store: Store, corpus: Corpus, prefix: str):
    """It stands in nobody's way: whoever made it cannot take it back any more."""
    store = unconditional_store
    arguments = corpus.build("full", corpus.dumps, store.url(prefix))
    with FaultProxy(store.endpoint) as proxy:
        run, sent = stopped(
            arguments,
            store_environment(proxy.endpoint),
            signal.SIGKILL,
            lambda: any("/.flowlake-commit-claim-" in request.path and request.status for request in list(proxy.seen)),
        )
    assert sent, str(run)
    # It may have been quicker than the signal.
    more = [] if store.get(prefix + "manifest.json") is None else ["--replace"]
    again = flowlake(*arguments, *more, environment=store_environment(store.endpoint))
    assert again.code == 0, str(again)
    assert_whole(store, corpus, prefix, "full")
