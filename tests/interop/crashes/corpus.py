"""What the campaign builds from, and what must come of it: trees of undisturbed runs, rows counted by the oracle."""

from __future__ import annotations

import hashlib
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from dumps import find_parts
from lakes import RECIPES, read_catalogue, recompute_dump
from object_stores.corpus import Unable
from object_stores.stores import flowlake, local_environment

# Everything at a place: path below it and SHA-256; a directory without anything in it is a path that ends in `/`.
Tree = dict[str, str]

# The three commands that publish. `replace` finds the lake `before`, the others find nothing.
WORKS = ("fresh", "replace", "release")
DEVICES = {
    "before": ("full", ["qrioHub", "ioDataQWatch"]),
    "now": ("flows", ["sonyBravia", "qrioHub", "planexCameraOneShot"]),
}
# A dump that lies there as plain JSON, in which every hundredth line is cut, so that there are rejected lines.
PLAIN = "qrio_hub"
# A dump in three parts, and one in a single archive.
PARTS = "sony_bravia"
SINGLE = "planex_camera_one_shot!"


@dataclass(frozen=True)
class Expected:
    """What a reader must find: all files, and what the oracle counts in the dumps."""

    tree: Tree
    rows: int
    packets: int


@dataclass
class Corpus:
    """Dumps, and what undisturbed runs make of them."""

    directory: Path
    expected: dict[str, Expected] = field(default_factory=dict)

    @property
    def dumps(self) -> Path:
        return self.directory / "dumps"

    @property
    def catalogue(self) -> Path:
        return self.dumps / "catalogue.toml"

    def lake(self, name: str) -> Path:
        return self.directory / name

    def make(self) -> Corpus:
        run = ["sample", "--output", self.dumps, "--scale", "0.002", "--seed", "7"]
        undisturbed(run)
        self._spoil()
        for name in DEVICES:
            undisturbed(self.build(name, self.lake(name)))
            self.expected[name] = Expected(tree_of(self.lake(name)), *self._counted(name))
        undisturbed(self.arguments("release", self.lake("release")))
        now = self.expected["now"]
        self.expected["release"] = Expected(tree_of(self.lake("release")), now.rows, now.packets)
        return self

    def build(self, name: str, target: str | Path, *more: str, dumps: Path | None = None) -> list[str | Path]:
        recipe, devices = DEVICES[name]
        source = dumps or self.dumps
        # The catalogue of a case that has dumps of its own lies beside them.
        catalogue = source.with_name("catalogue.toml") if dumps else self.catalogue
        arguments: list[str | Path] = ["build", "--config", catalogue, "--input", source]
        arguments += ["--output", target, "--recipe", recipe, "--progress", "none"]
        for device in devices:
            arguments += ["--device", device]
        return [*arguments, *more]

    def arguments(self, work: str, target: str | Path, *, jobs: int = 2, dumps: Path | None = None) -> list[str | Path]:
        """The command of a work, from dumps or from a lake that are there for all cases unless others are named."""
        number = ["--jobs", str(jobs)]
        if work == "release":
            options = ["--version", "1.0.0", "--acknowledge-licence", "--output", target]
            return ["release", dumps or self.lake("now"), *options, *number]
        return self.build("now", target, *number, *(["--replace"] if work == "replace" else []), dumps=dumps)

    def old(self, work: str) -> Expected | None:
        return self.expected["before"] if work == "replace" else None

    def new(self, work: str) -> Expected:
        return self.expected["release" if work == "release" else "now"]

    def _spoil(self) -> None:
        (archive,) = find_parts(self.dumps, PLAIN)
        with tarfile.open(archive) as members:
            content = members.extractfile(members.next())
            assert content is not None, "a dump has content"
            lines = content.read().splitlines(keepends=True)
        archive.unlink()
        with (self.dumps / f"{PLAIN}.json").open("wb") as plain:
            for number, line in enumerate(lines):
                flow = line.startswith(b'{"flows"')
                plain.write(line[: len(line) // 2] + b"\n" if flow and number % 100 == 50 else line)
        text = self.catalogue.read_text()
        self.catalogue.write_text(text + "\n[limits]\nmax_rejected_share = 0.5\n")

    def _counted(self, name: str) -> tuple[int, int]:
        """Rows kept and their packets, by the oracle."""
        recipe, devices = DEVICES[name]
        rows = packets = 0
        for device in read_catalogue(self.catalogue):
            if device.name not in devices:
                continue
            made = recompute_dump(RECIPES[recipe], find_parts(self.dumps, device.dump), device)
            rows += made.kept
            packets += sum(row.cells["packetTotalCount"] for month in made.months.values() for row in month)
        return rows, packets


def undisturbed(arguments: list[str | Path]) -> None:
    run = flowlake(*arguments, environment=local_environment())
    if run.code != 0:
        raise Unable(f"it already goes wrong undisturbed: {run}")


def tree_of(root: Path) -> Tree:
    """Everything below a directory; nothing is followed."""
    tree = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            tree[name] = "no file"
        elif path.is_file():
            tree[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif not any(path.iterdir()):
            tree[name + "/"] = ""
    return tree
