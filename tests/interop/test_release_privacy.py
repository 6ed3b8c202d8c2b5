"""Releases with pseudonyms against the lakes they were made of, by an implementation of its own (pseudonyms.py)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import lakes
from lakes import Lake
from pseudonyms import IpcryptPfx, Pseudonyms

KEY = b"a key for tests: nobody keeps it secret\n"
MAC_FIELDS = {"sourceMacAddress", "destinationMacAddress"}
IP_FIELDS = {"sourceIPv4Address", "destinationIPv4Address"}

# Treatments of a recipe's addresses; `encoded` has IP addresses as numbers and no MAC addresses.
PFX = {
    "flows": ["--mac", "hmac", "--ip", "ipcrypt-pfx"],
    "full": ["--mac", "hmac", "--ip", "ipcrypt-pfx"],
    "encoded": ["--ip", "ipcrypt-pfx"],
}


@pytest.fixture(scope="module", params=list(lakes.RECIPES))
def lake(request: pytest.FixtureRequest, build_lake: lakes.BuildLake) -> Lake:
    return build_lake("sample", request.param)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(KEY)
    return path


def release(lake: Lake, target: Path, *options: str | Path) -> dict[str, Any]:
    """Makes and verifies a release of a lake; gives its manifest."""
    lakes.run("release", lake.root, "--version", "1.0.0", "--output", target, *options)
    lakes.run("verify", target)
    return json.loads((target / "manifest.json").read_text())


def pairs(lake: Lake, target: Path, manifest: dict[str, Any]) -> list[tuple[Path, Path]]:
    """Each data file of a lake, and what became of it: names differ in their digests alone."""

    def files(root: Path, manifest: dict[str, Any]) -> dict[str, Path]:
        return {file["path"].rsplit("-", 1)[0]: root / file["path"] for file in manifest["files"]}

    before, after = files(lake.root, lake.manifest), files(target, manifest)
    assert before.keys() == after.keys()
    return [(before[name], after[name]) for name in sorted(before)]


def fields(column: dict[str, Any]) -> set[str]:
    return set(column["source"])


def compare(
    lake: Lake,
    target: Path,
    manifest: dict[str, Any],
    expected: Callable[[dict[str, Any], Any], Any],
) -> int:
    """Compares every value of every column with what it should be; gives how many columns have pseudonyms."""
    treated = 0
    columns = {column["name"]: column for column in lake.manifest["schema"]["columns"]}
    assert list(columns) == [column["name"] for column in manifest["schema"]["columns"]]
    for before, after in pairs(lake, target, manifest):
        # As files, not as a data set: partition columns are the same by their names.
        old, new = pq.ParquetFile(before).read(), pq.ParquetFile(after).read()
        assert old.schema == new.schema
        for name, column in columns.items():
            if not fields(column) & (MAC_FIELDS | IP_FIELDS):
                assert old[name].equals(new[name]), name
                continue
            treated += 1
            values = [None if value is None else expected(column, value) for value in old[name].to_pylist()]
            assert new[name].to_pylist() == values, name
    return treated


def test_the_oracle_agrees_with_the_test_vectors_of_the_draft():
    cipher = IpcryptPfx(bytes.fromhex("0123456789abcdeffedcba98765432101032547698badcfeefcdab8967452301"))
    assert cipher.encrypt("0.0.0.0") == "151.82.155.134"
    assert cipher.encrypt("255.255.255.255") == "94.185.169.89"
    assert cipher.encrypt("192.0.2.1") == "100.115.72.131"
    assert cipher.encrypt("2001:db8::1") == "c180:5dd4:2587:3524:30ab:fa65:6ab6:f88"
    cipher = IpcryptPfx(bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3ca9f5ba40db214c3798f2e1c23456789a"))
    assert cipher.encrypt("10.0.0.47") == "19.214.210.244"
    assert cipher.encrypt("172.16.97.42") == "210.78.179.241"
    assert cipher.encrypt("2001:db8:9f27::b4e2:7a3d:5f91:c8e6") == "7cec:702c:a504:b74e:194a:3d90:b047:2d1a"


def test_every_pseudonym_is_what_the_oracle_computes(lake: Lake, tmp_path: Path, key_file: Path):
    pseudonyms = Pseudonyms(KEY)
    target = tmp_path / "release"
    manifest = release(lake, target, *PFX[lake.recipe.name], "--key-file", key_file)

    def expected(column: dict[str, Any], value: Any) -> Any:
        if fields(column) & MAC_FIELDS:
            return pseudonyms.mac(value)
        return pseudonyms.ipcrypt_pfx_number(value) if isinstance(value, int) else pseudonyms.ipcrypt_pfx(value)

    assert compare(lake, target, manifest, expected) > 0
    assert manifest["release"]["privacy"]["keyCheck"] == pseudonyms.key_check


def test_keyed_digests_of_ip_addresses(build_lake: lakes.BuildLake, tmp_path: Path, key_file: Path):
    lake = build_lake("sample", "flows")
    pseudonyms = Pseudonyms(KEY)
    target = tmp_path / "release"
    manifest = release(lake, target, "--ip", "hmac", "--key-file", key_file)

    def expected(column: dict[str, Any], value: str) -> str:
        return value if fields(column) & MAC_FIELDS else pseudonyms.ip(value)

    assert compare(lake, target, manifest, expected) > 0


def test_nothing_tells_an_address(lake: Lake, tmp_path: Path, key_file: Path):
    target = tmp_path / "release"
    manifest = release(lake, target, *PFX[lake.recipe.name], "--key-file", key_file)
    addresses: set[str] = set()
    for column in lake.manifest["schema"]["columns"]:
        if fields(column) & (MAC_FIELDS | IP_FIELDS):
            for file in lake.data_files():
                values = pq.read_table(file, columns=[column["name"]], partitioning=None)[column["name"]]
                addresses |= {str(value) for value in values.unique().to_pylist() if value is not None}
    # What is short can be part of something else.
    addresses = {address for address in addresses if len(address) >= 12}
    texts = [path.read_bytes() for path in target.rglob("*") if path.is_file()]
    assert not [address for address in addresses if any(address.encode() in text for text in texts)]
    if "--mac" in PFX[lake.recipe.name]:
        macs = [device.mac for device in lake.devices]
        assert not [mac for mac in macs if any(mac.encode() in text.lower() for text in texts)]
        assert manifest["configuration"]["catalogue"] == {}
    assert not (target / "rejected").exists()


def test_what_is_not_treated_is_encoded_as_a_build_does(lake: Lake, tmp_path: Path):
    name = lake.manifest["schema"]["columns"][-1]["name"]
    target = tmp_path / "release"
    manifest = release(lake, target, "--drop", name)
    for before, after in pairs(lake, target, manifest):
        old, new = pq.ParquetFile(before), pq.ParquetFile(after)
        assert old.metadata.metadata == new.metadata.metadata
        assert old.metadata.created_by == new.metadata.created_by
        assert old.metadata.num_row_groups == new.metadata.num_row_groups
        old_bytes, new_bytes = before.read_bytes(), after.read_bytes()
        for group in range(old.metadata.num_row_groups):
            groups = old.metadata.row_group(group), new.metadata.row_group(group)
            assert groups[0].num_columns == groups[1].num_columns + 1
            for column in range(groups[1].num_columns):
                chunks = [group.column(column) for group in groups]
                assert chunks[0].path_in_schema == chunks[1].path_in_schema != name
                assert chunk(old_bytes, chunks[0]) == chunk(new_bytes, chunks[1]), chunks[0].path_in_schema
                assert chunks[0].statistics == chunks[1].statistics


def chunk(file: bytes, column: pq.ColumnChunkMetaData) -> bytes:
    """The pages of a column chunk, as they lie in the file."""
    start = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
    return file[start : start + column.total_compressed_size]


def test_the_same_key_gives_the_same_bytes(build_lake: lakes.BuildLake, tmp_path: Path, key_file: Path):
    lake = build_lake("sample", "flows")
    other_key = tmp_path / "other-key"
    other_key.write_bytes(b"another key for the same tests")

    def files(target: str, key: Path, jobs: str) -> list[str]:
        options = (*PFX["flows"], "--key-file", key, "--jobs", jobs)
        return [file["sha256"] for file in release(lake, tmp_path / target, *options)["files"]]

    first = files("first", key_file, "1")
    assert files("second", key_file, "4") == first
    assert not set(files("third", other_key, "4")) & set(first)


def test_nulls_stay_nulls(lake: Lake, tmp_path: Path, key_file: Path):
    target = tmp_path / "release"
    manifest = release(lake, target, *PFX[lake.recipe.name], "--key-file", key_file)
    before = {column["name"]: column["profile"] for column in lake.manifest["schema"]["columns"]}
    for column in manifest["schema"]["columns"]:
        assert column["profile"]["nulls"] == before[column["name"]]["nulls"], column["name"]
        # A mapping of one to one leaves as many values as there were.
        if column["type"] == "string" and not column["profile"]["distinctIsEstimate"]:
            assert column["profile"]["distinct"] == before[column["name"]]["distinct"], column["name"]
