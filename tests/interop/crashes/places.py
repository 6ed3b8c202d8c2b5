"""Where lakes are published in the campaign, looked at directly and not through flowlake: a directory, or a store."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb

from crashes.corpus import Corpus, Expected, Tree, tree_of
from object_stores.stores import Store, flowlake, local_environment, store_environment

# What a build that was killed may leave in a store for as long as nobody builds there again.
CLAIM = ".flowlake-commit-claim-"


class Place(Protocol):
    """A target of builds, and all that lies around it."""

    # As the command line has it.
    target: str | Path
    environment: dict[str, str]

    def put(self, lake: Path) -> None:
        """Makes a lake be there."""

    def manifest(self) -> bytes | None:
        """What a reader begins with."""

    def fetch(self, path: str) -> Path | None:
        """A file that the manifest lists."""

    def tree(self) -> Tree:
        """Everything at the target."""

    def beside(self) -> list[str]:
        """What lies around the target and is no lake: files of builds that are not under way any more."""

    def may_hold_strays(self) -> bool:
        """Whether readers must go by the manifest."""


@dataclass
class Disk:
    """A directory of this machine that is there for one case, and a TMPDIR of its own."""

    root: Path
    # The directory that the target lies in was there before: nobody has to take it away.
    parent_stays: bool = False

    def __post_init__(self) -> None:
        self.parent = self.root / "out"
        self.target = self.parent / "lake"
        self.temporary = self.root / "tmp"
        self.temporary.mkdir(parents=True)
        self.environment = local_environment() | {"TMPDIR": str(self.temporary)}

    def put(self, lake: Path) -> None:
        shutil.copytree(lake, self.target)

    def manifest(self) -> bytes | None:
        path = self.target / "manifest.json"
        return path.read_bytes() if path.is_file() else None

    def fetch(self, path: str) -> Path | None:
        return self.target / path if (self.target / path).is_file() else None

    def tree(self) -> Tree:
        return tree_of(self.target)

    def beside(self) -> list[str]:
        around = sorted(self.parent.iterdir()) if self.parent.exists() else []
        found = [path.relative_to(self.root).as_posix() for path in around if path != self.target]
        found += sorted(path.relative_to(self.root).as_posix() for path in self.temporary.iterdir())
        if self.parent.exists() and not self.parent_stays and not around:
            found.append("out, made for a lake that is not there")
        return found

    def may_hold_strays(self) -> bool:
        return False

    def clear(self) -> None:
        shutil.rmtree(self.root)


@dataclass
class Bucket:
    """A prefix of a store that is there for one case, and a TMPDIR of its own on this machine."""

    store: Store
    prefix: str
    root: Path

    def __post_init__(self) -> None:
        self.target = self.store.url(self.prefix).rstrip("/")
        self.temporary = self.root / "tmp"
        self.temporary.mkdir(parents=True)
        self.environment = self.through(self.store.endpoint)

    def through(self, endpoint: str) -> dict[str, str]:
        """The environment of a run that asks the server at an endpoint."""
        tuning = {"FLOWLAKE_STORE_PART_BYTES": "16384"}
        return store_environment(endpoint, **tuning) | {"TMPDIR": str(self.temporary)}

    def put(self, lake: Path) -> None:
        self.store.put_directory(lake, self.prefix)

    def manifest(self) -> bytes | None:
        return self.store.get(self.prefix + "manifest.json")

    def fetch(self, path: str) -> Path | None:
        body = self.store.get(self.prefix + path)
        if body is None:
            return None
        fetched = self.root / "fetched" / hashlib.sha256(path.encode()).hexdigest()
        fetched.parent.mkdir(exist_ok=True)
        fetched.write_bytes(body)
        return fetched

    def tree(self) -> Tree:
        tree = {}
        for name in self.store.objects(self.prefix):
            if not name.startswith(CLAIM):
                tree[name] = hashlib.sha256(self.store.get(self.prefix + name) or b"").hexdigest()
        return tree

    def beside(self) -> list[str]:
        claims = [f"object {name}" for name in self.claims()]
        uploads = [f"unfinished upload of {key}" for key, _ in self.store.uploads(self.prefix)]
        return claims + uploads + sorted(f"tmp/{path.name}" for path in self.temporary.iterdir())

    def claims(self) -> list[str]:
        return [name for name in self.store.objects(self.prefix) if name.startswith(CLAIM)]

    def may_hold_strays(self) -> bool:
        return True

    def clear(self) -> None:
        self.store.clear(self.prefix)
        shutil.rmtree(self.root)


def state(place: Place, corpus: Corpus, work: str) -> tuple[str, list[str]]:
    """What is at a place (`nothing`, `old`, `new`, or `something else`), and what is wrong with it for a reader."""
    manifest = place.manifest()
    known = {"old": corpus.old(work), "new": corpus.new(work)}
    if manifest is None:
        if work == "replace":
            return "something else", ["the old lake is gone"]
        left = [] if place.may_hold_strays() else sorted(place.tree())
        return "nothing", [f"without a manifest, there is {path}" for path in left]
    digest = hashlib.sha256(manifest).hexdigest()
    for name, expected in known.items():
        if expected is not None and expected.tree["manifest.json"] == digest:
            return name, not_whole(place, manifest, expected)
    return "something else", ["the manifest is neither the old one nor the new one"]


def not_whole(place: Place, manifest: bytes, expected: Expected) -> list[str]:
    """What a reader who goes by the manifest misses, or finds otherwise than it must be."""
    found = place.tree()
    wrong = [f"{path} is not there" for path in sorted(set(expected.tree) - set(found))]
    if not place.may_hold_strays():
        wrong += [f"{path} is no part of the lake" for path in sorted(set(found) - set(expected.tree))]
    wrong += [
        f"{path} has other bytes"
        for path in sorted(set(found) & set(expected.tree))
        if found[path] != expected.tree[path]
    ]
    if wrong:
        return wrong
    files = [place.fetch(file["path"]) for file in json.loads(manifest)["files"]]
    with duckdb.connect() as connection:
        query = "SELECT count(*), sum(packetTotalCount) FROM read_parquet(?)"
        counted = connection.execute(query, [[str(file) for file in files]]).fetchone()
    if counted != (expected.rows, expected.packets):
        wrong.append(f"DuckDB finds {counted} rows and packets, the dumps hold {(expected.rows, expected.packets)}")
    return wrong + not_verified(place)


def not_verified(place: Place) -> list[str]:
    """What `flowlake verify` has to say; strays in a store are nobody's."""
    run = flowlake("verify", "--json", place.target, environment=place.environment)
    if run.code == 0:
        return []
    if run.code != 1:
        return [f"verify ended with {run.code}: {run.error().strip()}"]
    differences = json.loads(run.stdout)["differences"]
    return [
        f"verify: {found['path']}: {found['detail']}"
        for found in differences
        if not (found["kind"] == "stray" and place.may_hold_strays())
    ]
