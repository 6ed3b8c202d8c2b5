"""Builds while requests fail: what a retry cures goes unnoticed, what none cures leaves the store as it was."""

from __future__ import annotations

import pytest

from object_stores.campaign import campaign
from object_stores.corpus import Corpus
from object_stores.fault_proxy import FaultProxy
from object_stores.faults import CONFLICT, PRECONDITION_FAILED, Document, Fault, commit_refused
from object_stores.stores import Store, flowlake, store_environment

SELECTION = "several"
SHORT = {"FLOWLAKE_STORE_TIMEOUT": "1s", "FLOWLAKE_STORE_RETRY_TIMEOUT": "20s", "FLOWLAKE_STORE_PART_BYTES": "16384"}
RATES = {"stalled": 0.02, "slow": 0.02}


@pytest.mark.parametrize(
    "kind",
    [
        "error",
        "slow-down",
        "reset",
        "lost-error",
        "lost-reset",
        "reset-body",
        "truncated",
        "stalled",
        "slow",
        "duplicate",
    ],
)
def test_retries_cure_what_passes(store: Store, corpus: Corpus, dumps_url: str, prefix: str, kind: str):
    faults = [Fault(kind, RATES.get(kind, 0.08))]
    with FaultProxy(store.endpoint, faults, seed=1, known_as=lambda name: name.replace(prefix, "")) as proxy:
        arguments = corpus.build(SELECTION, dumps_url, store.url(prefix))
        built = flowlake(*arguments, environment=store_environment(proxy.endpoint, **SHORT))
    assert proxy.counts[kind] > 0
    assert built.code == 0, str(built)
    assert built.complaints() == []
    assert store.get(prefix + "manifest.json") == corpus.manifests[SELECTION]
    assert set(store.objects(prefix)) == corpus.names[SELECTION]
    assert store.damage(prefix, corpus.manifests[SELECTION]) == []
    if kind not in ("lost-error", "lost-reset", "duplicate", "stalled"):
        # Of an upload that nobody told it of it cannot know.
        assert store.uploads(prefix) == []


@pytest.mark.parametrize("more", [[], ["--replace"]], ids=["new", "replace"])
@pytest.mark.parametrize("document", [PRECONDITION_FAILED, CONFLICT], ids=lambda document: document.code)
def test_somebody_else_committed(
    conditional_store: Store, corpus: Corpus, prefix: str, document: Document, more: list[str]
):
    store = conditional_store
    if more:
        before = corpus.build("full", corpus.dumps, store.url(prefix))
        assert flowlake(*before, environment=store_environment(store.endpoint)).code == 0
    there = store.objects(prefix)
    with FaultProxy(store.endpoint, [commit_refused(document, carried_out=False)]) as proxy:
        arguments = corpus.build(SELECTION, corpus.dumps, store.url(prefix), *more)
        built = flowlake(*arguments, environment=store_environment(proxy.endpoint, **SHORT))
    assert built.code == 5, str(built)
    assert store.url(prefix).rstrip("/") in built.error()
    assert store.objects(prefix) == there
    assert store.uploads(prefix) == []


@pytest.mark.parametrize(
    "fault",
    [
        commit_refused(PRECONDITION_FAILED, carried_out=True, limit=1),
        Fault("lost-error", method="PUT", path=r"/manifest\.json$", limit=1),
        Fault("lost-reset", method="PUT", path=r"/manifest\.json$", limit=1),
        Fault("stalled", method="PUT", path=r"/manifest\.json$", limit=1),
        Fault("duplicate", method="PUT", path=r"/manifest\.json$", limit=1),
    ],
    ids=lambda fault: fault.name,
)
@pytest.mark.parametrize("more", [[], ["--replace"]], ids=["new", "replace"])
def test_a_commit_whose_answer_was_lost(store: Store, corpus: Corpus, prefix: str, fault: Fault, more: list[str]):
    """The second try meets its own lake and is no conflict."""
    if more:
        before = corpus.build("full", corpus.dumps, store.url(prefix))
        assert flowlake(*before, environment=store_environment(store.endpoint)).code == 0
    with FaultProxy(store.endpoint, [fault]) as proxy:
        arguments = corpus.build(SELECTION, corpus.dumps, store.url(prefix), *more)
        built = flowlake(*arguments, environment=store_environment(proxy.endpoint, **SHORT))
    assert built.code == 0, str(built)
    assert proxy.counts[fault.name] == 1
    assert store.get(prefix + "manifest.json") == corpus.manifests[SELECTION]
    assert set(store.objects(prefix)) == corpus.names[SELECTION]
    assert store.damage(prefix, corpus.manifests[SELECTION]) == []


@pytest.mark.parametrize("command", [["verify"], ["inspect", "--json"]], ids=" ".join)
@pytest.mark.parametrize("kind", ["error", "slow-down", "reset", "reset-body", "truncated", "stalled", "slow"])
def test_readers_try_again(conditional_store: Store, corpus: Corpus, prefix: str, kind: str, command: list[str]):
    store = conditional_store
    built = flowlake(
        *corpus.build("full", corpus.dumps, store.url(prefix)), environment=store_environment(store.endpoint)
    )
    assert built.code == 0, str(built)
    faults = [Fault(kind, method="GET", limit=2)]
    with FaultProxy(store.endpoint, faults) as proxy:
        read = flowlake(*command, store.url(prefix), environment=store_environment(proxy.endpoint, **SHORT))
    assert read.code == 0, str(read)
    assert proxy.counts[kind] > 0


def test_a_short_campaign(store: Store):
    """`scripts/faults` runs longer ones."""
    server = "conditional" if store.conditional else "unconditional"
    verdicts = campaign(range(1, 13), jobs=2, server=server)
    wrong = {str(verdict.scenario): [*verdict.wrong, *map(str, verdict.runs)] for verdict in verdicts if verdict.wrong}
    assert wrong == {}
    assert {verdict.outcome for verdict in verdicts} > {"built"}
