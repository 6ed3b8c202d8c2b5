"""Where lakes of these tests are built, on disk and in a store, and what one machine makes of the same dumps."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lakes import read_catalogue, run
from object_stores.stores import Store, local_environment, store_environment

# Enough for two executors; each costs Spark and Python more than flowlake.
MOST_DEVICES = 10
WANTED = ("qrioHub", "natureRemo")


@dataclass
class Sample:
    """Dumps, and the lake that one machine makes of some of them."""

    dumps: Path
    lake: Path

    @classmethod
    def make(cls, directory: Path) -> Sample:
        made = cls(directory / "dumps", directory / "lake")
        run("sample", "--scale", "0.002", "--output", made.dumps)
        run("build", *made.arguments(made.lake))
        return made

    @property
    def catalogue(self) -> Path:
        return self.dumps / "catalogue.toml"

    @property
    def devices(self) -> list[str]:
        others = [device.name for device in read_catalogue(self.catalogue) if device.name not in WANTED]
        return [*WANTED, *others][:MOST_DEVICES]

    @property
    def rows(self) -> int:
        return json.loads((self.lake / "manifest.json").read_text())["rowAccounting"]["read"]

    @property
    def tasks(self) -> list[str]:
        """Names of dumps in the order of their tasks, by the rule that the documents give: the largest first."""
        sources = json.loads((self.lake / "manifest.json").read_text())["sources"]
        sizes = {source["dump"]: sum(part["bytes"] for part in source["parts"]) for source in sources}
        return sorted(sizes, key=lambda name: (-sizes[name], name))

    def arguments(
        self, output: str | Path, dumps: str | Path | None = None, devices: list[str] | None = None
    ) -> list[str | Path]:
        chosen = [text for device in devices or self.devices for text in ("--device", device)]
        return ["--config", self.catalogue, "--input", dumps or self.dumps, "--output", output, *chosen]


class Target(Protocol):
    """A place for a lake."""

    environment: dict[str, str]

    def arguments(self, sample: Sample) -> list[str | Path]:
        """Those of a build of the sample."""

    def contents(self) -> dict[str, bytes]:
        """All that is there."""

    def left(self) -> list[str]:
        """What a build has left behind elsewhere."""


@dataclass
class OnDisk:
    """A directory that does not exist."""

    lake: Path

    def __post_init__(self) -> None:
        self.environment = local_environment()

    def arguments(self, sample: Sample) -> list[str | Path]:
        return sample.arguments(self.lake)

    def contents(self) -> dict[str, bytes]:
        return contents(self.lake)

    def left(self) -> list[str]:
        return beside(self.lake)


@dataclass
class InStore:
    """A place in a store where nothing is; dumps are read from there too."""

    store: Store
    prefix: str

    def __post_init__(self) -> None:
        self.environment = store_environment(self.store.endpoint)
        self.lake = self.prefix + "lake/"

    def arguments(self, sample: Sample) -> list[str | Path]:
        self.store.put_directory(sample.dumps, self.prefix + "dumps/")
        return sample.arguments(self.store.url(self.lake), self.store.url(self.prefix + "dumps/"))

    def contents(self) -> dict[str, bytes]:
        return {name: self.store.get(self.lake + name) or b"" for name in self.store.objects(self.lake)}

    def left(self) -> list[str]:
        return [key for key, _ in self.store.uploads(self.lake)]


def contents(lake: Path) -> dict[str, bytes]:
    return {path.relative_to(lake).as_posix(): path.read_bytes() for path in lake.rglob("*") if path.is_file()}


def beside(lake: Path) -> list[str]:
    """What a build has left beside its lake."""
    return [path.name for path in lake.parent.glob(f".{lake.name}.*")]


def assert_same(target: Target, sample: Sample) -> None:
    """The bytes of one machine, and nothing beside them."""
    found, expected = target.contents(), contents(sample.lake)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    assert target.left() == []
