"""Releases in object stores: the same bytes as on disk, never overwritten, killed and made again, raced for."""

from __future__ import annotations

import hashlib
import json
import signal
from pathlib import Path

import pytest

from lakes import run as run_locally
from object_stores.corpus import Corpus
from object_stores.fault_proxy import FaultProxy
from object_stores.stores import Run, Store, finish, flowlake, local_environment, start, stopped, store_environment

SELECTION = "several"
VERSION = ["--version", "1.0.0", "--acknowledge-licence"]


def directory(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def run(store: Store, *arguments: str | Path, endpoint: str | None = None) -> Run:
    return flowlake(*arguments, environment=store_environment(endpoint or store.endpoint))


def assert_holds(store: Store, prefix: str, expected: dict[str, bytes]) -> None:
    """The store holds these files and nothing else, and flowlake finds nothing to complain of."""
    assert set(store.objects(prefix)) == set(expected)
    assert {path: store.get(prefix + path) for path in expected} == expected
    assert store.uploads(prefix) == []
    for options in ([], ["--quick"]):
        verified = run(store, "verify", store.url(prefix), *options)
        assert verified.code == 0, str(verified)


@pytest.fixture
def released(corpus: Corpus, tmp_path: Path) -> dict[str, bytes]:
    """A release on disk, by path."""
    run_locally("release", corpus.lake(SELECTION), *VERSION, "--output", tmp_path / "release")
    return directory(tmp_path / "release")


def test_a_release_in_a_store_is_that_on_disk(
    store: Store, corpus: Corpus, prefix: str, released: dict[str, bytes], tmp_path: Path
):
    store.put_directory(corpus.lake(SELECTION), prefix + "lake/")
    made = run(store, "release", store.url(prefix + "lake"), *VERSION, "--output", store.url(prefix + "1.0.0"))
    assert made.code == 0, str(made)
    assert_holds(store, prefix + "1.0.0/", released)
    # And back, and with the sums as whoever downloads it has them.
    sums = released["SHA256SUMS"].decode().splitlines()
    assert {line.split("  ", 1)[1] for line in sums} == set(released) - {"SHA256SUMS"}
    for line in sums:
        digest, path = line.split("  ", 1)
        body = store.get(f"{prefix}1.0.0/{path}")
        assert body is not None
        assert hashlib.sha256(body).hexdigest() == digest
    back = run(store, "release", store.url(prefix + "lake"), *VERSION, "--output", tmp_path / "back")
    assert back.code == 0, str(back)
    assert directory(tmp_path / "back") == released


def test_a_version_in_a_store_is_never_overwritten(
    store: Store, corpus: Corpus, prefix: str, released: dict[str, bytes]
):
    lake = corpus.lake(SELECTION)
    made = run(store, "release", lake, *VERSION, "--output", store.url(prefix))
    assert made.code == 0, str(made)
    again = run(store, "release", lake, "--version", "1.0.1", "--acknowledge-licence", "--output", store.url(prefix))
    assert again.code == 5, str(again)
    assert "holds release 1.0.0, which is never overwritten" in again.error()
    built = run(store, *corpus.build(SELECTION, corpus.dumps, store.url(prefix), "--replace"))
    assert built.code == 5, str(built)
    assert_holds(store, prefix, released)


def test_a_release_in_a_lake_is_refused(store: Store, corpus: Corpus, prefix: str):
    store.put_directory(corpus.lake(SELECTION), prefix)
    lake = store.url(prefix)
    made = run(store, "release", lake, *VERSION, "--output", lake.rstrip("/") + "/release")
    assert made.code == 2, str(made)
    assert "lies inside the lake" in made.error()
    assert set(store.objects(prefix)) == corpus.names[SELECTION]


def test_what_a_killed_build_has_in_a_store_for_a_moment_is_no_part_of_a_release(
    store: Store, corpus: Corpus, prefix: str
):
    made = run(store, "release", corpus.lake(SELECTION), *VERSION, "--output", store.url(prefix))
    assert made.code == 0, str(made)
    store.put(prefix + ".flowlake-commit-claim-1-2-3-4", b"claim\n")
    store.put(prefix + "notes.txt", b"mine")
    verified = run(store, "verify", store.url(prefix), "--json")
    assert verified.code == 1, str(verified)
    assert [found["path"] for found in json.loads(verified.stdout)["differences"]] == ["notes.txt"]


def test_a_file_of_somebody_else_is_left_alone(store: Store, corpus: Corpus, prefix: str):
    store.put(prefix + "README.md", b"mine")
    made = run(store, "release", corpus.lake(SELECTION), *VERSION, "--output", store.url(prefix))
    assert made.code == 4, str(made)
    assert store.objects(prefix).keys() == {"README.md"}
    assert store.get(prefix + "README.md") == b"mine"


@pytest.mark.parametrize("last", ["LICENSE", "rebuild.md", "SHA256SUMS", "manifest.json"])
def test_a_release_that_was_killed_is_no_obstacle(
    store: Store, corpus: Corpus, prefix: str, released: dict[str, bytes], last: str
):
    lake = corpus.lake(SELECTION)

    def is_written() -> bool:
        return any(seen.method == "PUT" and seen.path.endswith(last) for seen in list(proxy.seen))

    with FaultProxy(store.endpoint) as proxy:
        environment = store_environment(proxy.endpoint)
        arguments = ["release", lake, *VERSION, "--output", store.url(prefix)]
        killed, sent = stopped(arguments, environment, signal.SIGKILL, is_written)
        assert sent or killed.code == 0, str(killed)
    # Its claim counts for a minute; nobody has to wait for that here.
    store.delete([prefix + path for path in store.objects(prefix) if path.startswith(".flowlake-commit-claim-")])
    made = run(store, "release", lake, *VERSION, "--output", store.url(prefix))
    if made.code == 5:
        # It came so far that the release is there.
        assert last == "manifest.json", str(made)
    else:
        assert made.code == 0, str(made)
    assert_holds(store, prefix, released)


def test_of_two_releases_at_once_one_wins(store: Store, corpus: Corpus, prefix: str, tmp_path: Path):
    lake = corpus.lake(SELECTION)
    environment = store_environment(store.endpoint)
    versions = ["1.0.0", "2.0.0", "3.0.0"]
    racing = [
        start(["release", lake, "--version", v, "--acknowledge-licence", "--output", store.url(prefix)], environment)
        for v in versions
    ]
    runs = [finish(process) for process in racing]
    assert sorted(run.code for run in runs) == [0, 5, 5], "\n".join(map(str, runs))
    won = versions[[run.code for run in runs].index(0)]
    options = ["--version", won, "--acknowledge-licence", "--output", tmp_path / "release"]
    local = flowlake("release", lake, *options, environment=local_environment())
    assert local.code == 0, str(local)
    assert_holds(store, prefix, directory(tmp_path / "release"))
    manifest = store.get(prefix + "manifest.json")
    assert manifest is not None
    assert json.loads(manifest)["release"]["version"] == won
