"""Lakes in object stores are like those on disk: built, replaced, refused, checked, inspected and exported alike."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path

import pytest

from lakes import run as run_locally
from object_stores.corpus import Corpus
from object_stores.fault_proxy import FaultProxy, Seen
from object_stores.stores import Run, Store, flowlake, local_environment, stopped, store_environment

SELECTION = "several"


def succeed(store: Store, *arguments: str | Path, endpoint: str | None = None, **tuning: str) -> Run:
    run = flowlake(*arguments, environment=store_environment(endpoint or store.endpoint, **tuning))
    assert run.code == 0, str(run)
    assert run.complaints() == []
    return run


def build(store: Store, corpus: Corpus, prefix: str, selection: str = SELECTION, *more: str) -> Run:
    """Builds a lake in a store from the local dumps."""
    return succeed(store, *corpus.build(selection, corpus.dumps, store.url(prefix), *more))


def assert_holds(store: Store, corpus: Corpus, prefix: str, selection: str = SELECTION) -> None:
    """A store holds a lake as a local build makes it, and nothing else."""
    assert set(store.objects(prefix)) == corpus.names[selection]
    assert store.get(prefix + "manifest.json") == corpus.manifests[selection]
    assert store.damage(prefix, corpus.manifests[selection]) == []
    assert store.uploads(prefix) == []


def directory(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def is_data(request: Seen) -> bool:
    return request.path.endswith(".parquet")


@pytest.mark.parametrize("selection", [SELECTION, "encoded"])
def test_from_store_to_store(store: Store, corpus: Corpus, dumps_url: str, prefix: str, selection: str):
    succeed(store, *corpus.build(selection, dumps_url, store.url(prefix)))
    assert_holds(store, corpus, prefix, selection)


def test_from_disk_to_store(store: Store, corpus: Corpus, prefix: str):
    build(store, corpus, prefix)
    assert_holds(store, corpus, prefix)


def test_from_store_to_disk(store: Store, corpus: Corpus, dumps_url: str, tmp_path: Path):
    succeed(store, *corpus.build(SELECTION, dumps_url, tmp_path / "lake"))
    assert directory(tmp_path / "lake") == directory(corpus.lake(SELECTION))


def test_a_url_may_end_without_a_slash(store: Store, corpus: Corpus, dumps_url: str, prefix: str):
    succeed(store, *corpus.build(SELECTION, dumps_url.rstrip("/"), store.url(prefix).rstrip("/")))
    assert_holds(store, corpus, prefix)
    succeed(store, "verify", store.url(prefix).rstrip("/"))


def test_only_one_store_is_without_conditional_writes(store: Store, corpus: Corpus, prefix: str):
    """And the build says so where it matters."""
    run = build(store, corpus, prefix)
    assert ("does not honour conditional writes" in run.stderr) == (not store.conditional)


@pytest.mark.parametrize("size", ["16384", "65536", "8388608"])
def test_parts_make_the_same_objects(store: Store, corpus: Corpus, dumps_url: str, prefix: str, size: str):
    with FaultProxy(store.endpoint) as proxy:
        arguments = corpus.build(SELECTION, dumps_url, store.url(prefix))
        succeed(store, *arguments, endpoint=proxy.endpoint, FLOWLAKE_STORE_PART_BYTES=size)
    assert_holds(store, corpus, prefix)
    files = json.loads(corpus.manifests[SELECTION])["files"]
    large = sum(file["bytes"] > int(size) for file in files)
    creations = [request for request in proxy.seen if request.method == "POST" and "uploads" in request.target]
    parts = [request for request in proxy.seen if request.method == "PUT" and "partNumber=" in request.target]
    assert len(creations) == large
    assert len(parts) == sum(-(-file["bytes"] // int(size)) for file in files if file["bytes"] > int(size))
    whole = [request for request in proxy.seen if request.method == "PUT" and is_data(request)]
    assert len(whole) - len(parts) == len(files) - large


def test_data_objects_carry_their_digest(store: Store, corpus: Corpus, prefix: str):
    build(store, corpus, prefix)
    for file in json.loads(corpus.manifests[SELECTION])["files"]:
        answer = store.client.head_object(Bucket=store.bucket, Key=prefix + file["path"])
        metadata = {name.lower(): value for name, value in answer["Metadata"].items()}
        assert metadata["flowlakesha256"] == file["sha256"]
        assert file["path"].endswith(f"-{file['sha256'][:16]}.parquet")


def test_the_manifest_is_put_last(store: Store, corpus: Corpus, prefix: str):
    with FaultProxy(store.endpoint) as proxy:
        succeed(store, *corpus.build(SELECTION, corpus.dumps, store.url(prefix)), endpoint=proxy.endpoint)
    writes = [request.path for request in proxy.seen if request.method in ("PUT", "POST")]
    commits = [number for number, path in enumerate(writes) if path.endswith("/manifest.json")]
    assert len(commits) == 1
    assert not [path for path in writes[commits[0] :] if path.endswith((".parquet", ".ndjson"))]


def test_verify_sees_what_was_done_to_a_lake(store: Store, corpus: Corpus, prefix: str):
    build(store, corpus, prefix)
    url = store.url(prefix)
    environment = store_environment(store.endpoint)
    names = sorted(name for name in corpus.names[SELECTION] if name.startswith("data/"))
    for quick in ([], ["--quick"]):
        succeed(store, "verify", url, *quick)
    removed, changed = names[0], names[1]
    body, other = store.get(prefix + removed), store.get(prefix + changed)
    assert body is not None
    assert other is not None
    spoiled = other[:-200] + bytes([other[-200] ^ 1]) + other[-199:]
    digest = {"flowlakesha256": hashlib.sha256(other).hexdigest()}
    stray = "data/month=2019-07/deviceClass=tv/stray-00000-0123456789abcdef.parquet"
    for quick in ([], ["--quick"]):
        for change, name in (
            (lambda: store.delete([prefix + removed]), removed),
            (lambda: store.put(prefix + stray, body), stray),
            # As large as before, so that its metadata alone betrays it, or that it has none.
            (lambda: store.put(prefix + changed, spoiled), changed),
            (lambda: store.put(prefix + changed, spoiled, {"flowlakesha256": "0" * 64}), changed),
        ):
            change()
            found = flowlake("verify", url, *quick, environment=environment)
            assert found.code == 1, str(found)
            assert name in found.said
            store.delete([prefix + stray])
            store.put(prefix + removed, body, {"flowlakesha256": hashlib.sha256(body).hexdigest()})
            store.put(prefix + changed, other, digest)
            succeed(store, "verify", url, *quick)
    # With the right metadata only reading it tells.
    store.put(prefix + changed, spoiled, digest)
    assert flowlake("verify", url, environment=environment).code == 1


def test_inspect(store: Store, corpus: Corpus, prefix: str):
    build(store, corpus, prefix)
    shown = succeed(store, "inspect", "--json", store.url(prefix)).stdout
    assert shown == run_locally("inspect", "--json", corpus.lake(SELECTION)).stdout
    assert json.loads(shown) == json.loads(corpus.manifests[SELECTION])
    assert succeed(store, "inspect", store.url(prefix)).stdout == run_locally("inspect", corpus.lake(SELECTION)).stdout


@pytest.mark.parametrize(
    "options",
    [["--format", "csv", "--month", "2019-07"], ["--format", "ndjson", "--compression", "zstd"]],
    ids=" ".join,
)
def test_export(store: Store, corpus: Corpus, prefix: str, tmp_path: Path, options: list[str]):
    build(store, corpus, prefix)
    succeed(store, "export", store.url(prefix), *options, "--output", tmp_path / "store")
    run_locally("export", corpus.lake(SELECTION), *options, "--output", tmp_path / "disk")
    exported = directory(tmp_path / "store")
    assert exported
    assert exported == directory(tmp_path / "disk")


def test_replace(store: Store, corpus: Corpus, dumps_url: str, prefix: str):
    build(store, corpus, prefix)
    succeed(store, *corpus.build("parts", dumps_url, store.url(prefix), "--replace"))
    assert_holds(store, corpus, prefix, "parts")
    succeed(store, "verify", store.url(prefix))


def test_replace_where_there_is_nothing(store: Store, corpus: Corpus, prefix: str):
    build(store, corpus, prefix, SELECTION, "--replace")
    assert_holds(store, corpus, prefix)


def test_what_is_there_is_not_uploaded_again(store: Store, corpus: Corpus, prefix: str):
    build(store, corpus, prefix)
    with FaultProxy(store.endpoint) as proxy:
        arguments = corpus.build(SELECTION, corpus.dumps, store.url(prefix), "--replace")
        succeed(store, *arguments, endpoint=proxy.endpoint)
    assert [request for request in proxy.seen if request.method in ("PUT", "POST", "DELETE") and is_data(request)] == []
    assert_holds(store, corpus, prefix)
    # Nor what two lakes have in common.
    with FaultProxy(store.endpoint) as proxy:
        arguments = corpus.build("parts", corpus.dumps, store.url(prefix), "--replace")
        succeed(store, *arguments, endpoint=proxy.endpoint, FLOWLAKE_STORE_PART_BYTES="8388608")
    written = {Path(request.path).name for request in proxy.seen if request.method == "PUT" and is_data(request)}
    assert len(written) == len(corpus.names["parts"] - corpus.names[SELECTION] - {"manifest.json"})
    assert_holds(store, corpus, prefix, "parts")


def test_an_object_that_was_spoiled_is_uploaded_again(store: Store, corpus: Corpus, prefix: str):
    build(store, corpus, prefix)
    name = min(name for name in corpus.names[SELECTION] if name.startswith("data/"))
    body = store.get(prefix + name)
    assert body is not None
    store.put(prefix + name, bytes(len(body)))
    build(store, corpus, prefix, SELECTION, "--replace")
    assert_holds(store, corpus, prefix)


def test_a_lake_is_not_replaced_unasked(store: Store, corpus: Corpus, prefix: str):
    build(store, corpus, prefix)
    arguments = corpus.build("parts", corpus.dumps, store.url(prefix))
    refused = flowlake(*arguments, environment=store_environment(store.endpoint))
    assert refused.code == 4, str(refused)
    assert store.url(prefix).rstrip("/") in refused.error()
    assert "--replace" in refused.error()
    assert_holds(store, corpus, prefix)


@pytest.mark.parametrize("more", [[], ["--replace"]], ids=["build", "replace"])
@pytest.mark.parametrize("name", ["notes.txt", "data/mine.parquet", "deep/down/x"])
def test_what_is_not_of_a_lake_is_left_alone(store: Store, corpus: Corpus, prefix: str, name: str, more: list[str]):
    store.put(prefix + name, b"somebody's")
    arguments = corpus.build(SELECTION, corpus.dumps, store.url(prefix), *more)
    refused = flowlake(*arguments, environment=store_environment(store.endpoint))
    assert refused.code == 4, str(refused)
    assert store.url(prefix).rstrip("/") in refused.error()
    assert set(store.objects(prefix)) == {name}


def test_prefixes_that_begin_alike_are_two_places(store: Store, corpus: Corpus, prefix: str):
    build(store, corpus, prefix + "lake/")
    build(store, corpus, prefix + "lake-2/", "parts")
    build(store, corpus, prefix + "lake/", "encoded", "--replace")
    assert_holds(store, corpus, prefix + "lake/", "encoded")
    assert_holds(store, corpus, prefix + "lake-2/", "parts")


@pytest.mark.parametrize("share", [0.1, 0.4, 0.7, 0.9])
def test_an_interrupted_build_leaves_nothing(store: Store, corpus: Corpus, dumps_url: str, prefix: str, share: float):
    arguments = corpus.build(SELECTION, dumps_url, store.url(prefix))
    with FaultProxy(store.endpoint) as proxy:
        environment = store_environment(proxy.endpoint, FLOWLAKE_STORE_PART_BYTES="16384")
        succeed(store, *arguments, endpoint=proxy.endpoint, FLOWLAKE_STORE_PART_BYTES="16384")
        usual = len(proxy.seen)
    store.clear(prefix)
    with FaultProxy(store.endpoint) as proxy:
        run, sent = stopped(
            arguments,
            environment | {"AWS_ENDPOINT_URL": proxy.endpoint},
            signal.SIGINT,
            lambda: len(proxy.seen) >= share * usual,
        )
    assert sent, str(run)
    if run.code == 0:
        # It came when all had been done.
        assert share > 0.5
        assert_holds(store, corpus, prefix)
        return
    assert run.code == 130, str(run)
    assert store.objects(prefix) == {}
    assert store.uploads(prefix) == []


@pytest.mark.parametrize("number", range(1, 9))
def test_an_upload_that_completes_while_the_build_is_interrupted(
    store: Store, corpus: Corpus, prefix: str, number: int
):
    """What cannot be aborted any more, because it is an object already, is deleted."""

    def completing() -> bool:
        completions = [seen for seen in list(proxy.seen) if seen.method == "POST" and "uploadId=" in seen.target]
        return len(completions) >= number

    arguments = corpus.build(SELECTION, corpus.dumps, store.url(prefix))
    with FaultProxy(store.endpoint) as proxy:
        environment = store_environment(proxy.endpoint, FLOWLAKE_STORE_PART_BYTES="16384")
        run, sent = stopped(arguments, environment, signal.SIGINT, completing)
    assert sent, str(run)
    if run.code == 0:
        # The rest was done sooner than the signal was noticed.
        assert_holds(store, corpus, prefix)
        return
    assert run.code == 130, str(run)
    assert store.objects(prefix) == {}
    assert store.uploads(prefix) == []


def write_profile(directory: Path, name: str, endpoint: str) -> None:
    """A profile as `aws configure` leaves it."""
    section = name if name == "default" else f"profile {name}"
    (directory / "credentials").write_text(
        f"[{name}]\naws_access_key_id = {os.environ['AWS_ACCESS_KEY_ID']}\n"
        f"aws_secret_access_key = {os.environ['AWS_SECRET_ACCESS_KEY']}\n"
    )
    (directory / "config").write_text(f"[{section}]\nregion = us-east-1\nendpoint_url = {endpoint}\n")


def test_a_profile_is_enough(store: Store, corpus: Corpus, prefix: str, tmp_path: Path):
    build(store, corpus, prefix)
    named, home = tmp_path / "named", tmp_path / "home" / ".aws"
    named.mkdir()
    home.mkdir(parents=True)
    write_profile(named, "lakes", store.endpoint)
    write_profile(home, "default", store.endpoint)
    environment = local_environment()
    del environment["AWS_EC2_METADATA_DISABLED"]
    for more in (
        {
            "AWS_SHARED_CREDENTIALS_FILE": str(named / "credentials"),
            "AWS_CONFIG_FILE": str(named / "config"),
            "AWS_PROFILE": "lakes",
            "HOME": str(tmp_path),
        },
        {"HOME": str(home.parent)},
    ):
        run = flowlake("verify", store.url(prefix), environment=environment | more)
        assert run.code == 0, str(run)
