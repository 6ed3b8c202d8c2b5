"""Manifests whose entries are in lists beside them: written here by the page on formats, and read as flowlake does."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

import lakes
from lakes import run
from object_stores.stores import Run, Store, flowlake, local_environment, store_environment
from scale.measure import run_all
from scale.simulation import Simulation

Json = dict[str, Any]
KEYS = ("sources", "files", "warnings")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_list(root: Path, key: str, number: int, text: bytes, entries: int) -> Json:
    packed = zstandard.compress(text)
    path = f"manifest/{key}-{number:05}-{digest(packed)[:16]}.ndjson.zst"
    (root / "manifest").mkdir(exist_ok=True)
    (root / path).write_bytes(packed)
    return {"path": path, "entries": entries, "bytes": len(packed), "sha256": digest(packed)}


def write_index(root: Path, per_list: int = 7) -> None:
    """Puts the entries of a lake's manifest into lists."""
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["formatVersion"] = 2
    for key in KEYS:
        entries = manifest[key]
        parts = [entries[first : first + per_list] for first in range(0, len(entries), per_list)]
        texts = [b"".join(json.dumps(entry).encode() + b"\n" for entry in part) for part in parts]
        lists = [write_list(root, key, i, text, len(parts[i])) for i, text in enumerate(texts)]
        manifest[key] = {"lists": lists}
    (root / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")


def local(*arguments: str | Path) -> Run:
    return flowlake(*arguments, environment=local_environment())


@pytest.fixture(scope="module")
def whole(build_lake: lakes.BuildLake) -> lakes.Lake:
    return build_lake("sample", "flows")


@pytest.fixture
def indexed(whole: lakes.Lake, tmp_path: Path) -> Path:
    """The same lake with its entries in lists of a few."""
    root = tmp_path / "lake"
    shutil.copytree(whole.root, root)
    write_index(root)
    assert len(list((root / "manifest").iterdir())) > 10
    return root


def test_everything_reads_it_as_before(whole: lakes.Lake, indexed: Path, tmp_path: Path):
    manifest = json.loads(run("inspect", "--json", indexed).stdout)
    assert manifest == whole.manifest | {"formatVersion": 2}
    expected = run("inspect", whole.root).stdout.replace("manifest format 1", "manifest format 2")
    assert run("inspect", indexed).stdout == expected
    assert run("files", indexed).stdout == run("files", whole.root).stdout.replace(str(whole.root), str(indexed))
    for options in ([], ["--quick"]):
        run("verify", *options, indexed)
    question = "SELECT deviceClass, count(*), sum(octetTotalCount) FROM flows GROUP BY ALL ORDER BY 1"
    assert run("query", indexed, question).stdout == run("query", whole.root, question).stdout
    selection = ("--device", whole.devices[0].name, "--format", "csv")
    for root, name in ((indexed, "a"), (whole.root, "b")):
        run("export", root, *selection, "--output", tmp_path / name)
    exported = [sorted(path.read_bytes() for path in (tmp_path / name).rglob("*.csv")) for name in "ab"]
    assert exported[0] == exported[1] != []
    # Rows and files are the same: all that differs is how the manifest is written.
    difference = local("diff", "--json", indexed, whole.root)
    assert difference.code in {0, 1}, difference
    assert [entry["what"] for entry in json.loads(difference.stdout)["origin"]] == ["formatVersion"]


def test_it_is_replaced_with_its_lists(whole: lakes.Lake, indexed: Path):
    run(
        *("build", "--config", whole.data_set.catalogue, "--input", whole.data_set.input, "--output", indexed),
        *("--replace", "--progress", "none"),
    )
    manifest = json.loads((indexed / "manifest.json").read_text())
    assert manifest["formatVersion"] == 1
    assert [manifest[key] for key in KEYS] == [whole.manifest[key] for key in KEYS]
    run("verify", indexed)
    assert not (indexed / "manifest").exists()


def test_it_is_copied_as_a_release(indexed: Path, tmp_path: Path):
    release = tmp_path / "release"
    run("release", indexed, "--version", "1.0.0", "--output", release)
    run("verify", release)
    # It has few entries, so it needs no lists.
    assert not (release / "manifest").exists()
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=release, check=True)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def change(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def test_a_list_that_is_not_what_the_manifest_says(indexed: Path):
    path = sorted((indexed / "manifest").glob("files-*"))[1]
    before = path.read_bytes()
    damages: list[tuple[Callable[[Path], None], str]] = [
        (cut_off, f"{path} is not what manifest.json says: {len(before)} bytes expected, found {len(before) - 1}"),
        (change, f"{path} is not what manifest.json says: SHA-256 expected {digest(before)}"),
        (Path.unlink, f"{path} is missing, a list of manifest.json"),
    ]
    for damage, message in damages:
        damage(path)
        for command in (["inspect"], ["files"], ["verify"], ["verify", "--quick"]):
            refused = local(*command, indexed)
            assert (refused.code, message in refused.stderr) == (3, True), refused
        path.write_bytes(before)
    run("verify", indexed)


@pytest.mark.parametrize("name", ["manifest/files-00099-0123456789abcdef.ndjson.zst", "manifest/notes.txt"])
def test_what_is_beside_the_lists_is_a_stray(indexed: Path, name: str):
    (indexed / name).write_text("mine")
    found = local("verify", indexed)
    assert found.code == 1
    assert f"{name}: stray: the manifest does not list it" in found.stdout


def test_a_list_that_says_otherwise(indexed: Path):
    """Lists that belong to the manifest, of which one has other rows in it: what checks totals finds it."""
    path = indexed / "manifest.json"
    manifest = json.loads(path.read_text())
    old = manifest["files"]["lists"][0]
    lines = zstandard.decompress((indexed / old["path"]).read_bytes()).splitlines()
    first = json.loads(lines[0])
    text = b"\n".join([json.dumps(first | {"rows": first["rows"] + 1}).encode(), *lines[1:]]) + b"\n"
    (indexed / old["path"]).unlink()
    manifest["files"]["lists"][0] = write_list(indexed, "files", 0, text, len(lines))
    path.write_text(json.dumps(manifest))
    found = local("verify", "--quick", indexed)
    assert found.code == 1
    assert "totals.rows" in found.stdout


def test_in_a_store(indexed: Path, whole: lakes.Lake, conditional_store: Store, prefix: str):
    conditional_store.put_directory(indexed, prefix)
    url, environment = conditional_store.url(prefix), store_environment(conditional_store.endpoint)
    for options in ([], ["--quick"]):
        checked = flowlake("verify", *options, url, environment=environment)
        assert checked.code == 0, checked
    shown = flowlake("inspect", "--json", url, environment=environment)
    assert json.loads(shown.stdout) == whole.manifest | {"formatVersion": 2}


def test_what_is_written_for_very_many_files(tmp_path: Path):
    """A build of 21,000 files, of which only the names are real, against what its tasks have said."""
    simulation = Simulation(tmp_path, dumps=2_100, files=10)
    results = run_all(simulation)
    shown = {result.command: result.output.read_text() for result in results}
    expected = {
        dump: simulation.fragment({"source": {"records": {}}}, {"dump": dump, "device": dump, "parts": []})
        for dump in (f"d{number:06}" for number in range(simulation.dumps))
    }
    files = sorted(
        (file for fragment in expected.values() for file in fragment["files"]), key=lambda file: file["path"]
    )
    manifest = json.loads((simulation.lake / "manifest.json").read_text())
    assert manifest["formatVersion"] == 2
    assert manifest["totals"]["files"] == len(files) == 21_000
    packed = {key: manifest[key]["lists"] for key in KEYS}
    names = {entry["path"] for lists in packed.values() for entry in lists}
    assert names == {f"manifest/{path.name}" for path in (simulation.lake / "manifest").iterdir()}
    lines: dict[str, list[Json]] = {}
    for key, lists in packed.items():
        lines[key] = []
        for number, entry in enumerate(lists):
            data = (simulation.lake / entry["path"]).read_bytes()
            assert (len(data), digest(data)) == (entry["bytes"], entry["sha256"])
            assert entry["path"] == f"manifest/{key}-{number:05}-{digest(data)[:16]}.ndjson.zst"
            found = zstandard.ZstdDecompressor().decompressobj().decompress(data).splitlines()
            assert len(found) == entry["entries"]
            lines[key] += map(json.loads, found)
    assert lines["files"] == files
    assert [source["dump"] for source in lines["sources"]] == sorted(expected)
    assert shown["files"].splitlines() == [str(simulation.lake / file["path"]) for file in files]
    assert "21,000 files" in shown["inspect"]
    assert "names and sizes of 21,000 files" in shown["verify"]
    # As the page on formats says.
    query = f"SELECT count(*), sum(rows) FROM read_ndjson('{simulation.lake}/manifest/files-*.ndjson.zst')"
    assert duckdb.sql(query).fetchone() == (21_000, 2_100_000)
