"""Dumps to build lakes in stores from, and the lakes that local builds make of them, which are what is expected."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from object_stores.stores import flowlake, local_environment

# Selections of the sample: arguments of `build`. The dumps of the first two have several parts, or names that a URL has
# to escape.
SELECTIONS = {
    "several": ["--device", "sonyBravia", "--device", "qrioHub", "--device", "planexCameraOneShot"],
    "parts": ["--device", "ioDataQWatch", "--device", "qrioHub"],
    "full": ["--recipe", "full", "--device", "qrioHub"],
    "encoded": ["--recipe", "encoded", "--device", "qrioHub", "--device", "planexCameraOneShot"],
}


class Unable(Exception):
    """What was to be done cannot begin."""


@dataclass
class Corpus:
    """Dumps, and the lakes that local builds make of them."""

    directory: Path
    manifests: dict[str, bytes] = field(default_factory=dict)
    # Names of all objects of a lake.
    names: dict[str, set[str]] = field(default_factory=dict)
    dump_names: set[str] = field(default_factory=set)

    @property
    def dumps(self) -> Path:
        return self.directory / "dumps"

    @property
    def catalogue(self) -> Path:
        return self.dumps / "catalogue.toml"

    def lake(self, selection: str) -> Path:
        return self.directory / selection

    def make(self) -> Corpus:
        local(["sample", "--output", self.dumps, "--scale", "0.003", "--seed", "7"])
        for name in SELECTIONS:
            lake = self.lake(name)
            local(self.build(name, self.dumps, lake))
            self.manifests[name] = (lake / "manifest.json").read_bytes()
            self.names[name] = {path.relative_to(lake).as_posix() for path in lake.rglob("*") if path.is_file()}
            self.dump_names |= {source["dump"] for source in json.loads(self.manifests[name])["sources"]}
        return self

    def build(self, selection: str, dumps: str | Path, target: str | Path, *more: str) -> list[str | Path]:
        """The arguments of a build of a selection."""
        places = ["--config", self.catalogue, "--input", dumps, "--output", target]
        return ["build", *places, "--jobs", "2", "--progress", "none", *SELECTIONS[selection], *more]


def local(arguments: list[str | Path]) -> None:
    run = flowlake(*arguments, environment=local_environment())
    if run.code != 0:
        raise Unable(f"it already goes wrong locally: {run}")
