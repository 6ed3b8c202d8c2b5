"""A build of very many dumps: the plan and the commit are real, the tasks are not.

Dumps are empty. What tasks would leave is written here instead: fragments as `flowlake task` writes them, after the
model of a real one, and data files that are holes of the right size.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

from lakes import run

CLASSES = [f"{letter}Class" for letter in "abcdefghij"]
ROWS, BYTES = 100, 1000
Json = dict[str, Any]


class Simulation:
    """A build below a directory, of so many dumps with so many data files each."""

    def __init__(self, root: Path, dumps: int, files: int) -> None:
        if files > 12:
            raise ValueError("a dump has a file for each month of one year at most")
        self.root, self.dumps, self.files = root, dumps, files
        self.catalogue, self.input, self.lake = root / "catalogue.toml", root / "input", root / "lake"
        self.plan = root / "plan.json"

    def write_input(self) -> None:
        self.input.mkdir(parents=True)
        empty = gzip.compress(b"")
        lines = [
            "[dataset]",
            'name = "scale"',
            'title = "Many"',
            'licence = "none"',
            'citation = "none"',
            'url = "none"',
        ]
        for number in range(self.dumps):
            name = f"d{number:06}"
            mac = ":".join(f"{part:02x}" for part in (2, 0, 0, *number.to_bytes(3, "big")))
            lines += ["[[device]]", f'name = "{name}"', f'class = "{device_class(number)}"']
            lines += [f'mac = "{mac}"', f'archive = "{name}"']
            (self.input / f"{name}.json.gz").write_bytes(empty)
        self.catalogue.write_text("\n".join(lines) + "\n")

    def plan_arguments(self) -> list[str | Path]:
        return [
            *("plan", "--config", self.catalogue, "--input", self.input),
            *("--output", self.lake, "--output-plan", self.plan),
        ]

    def write_fragments(self) -> None:
        """What all tasks of the plan would leave."""
        run("task", "--plan", self.plan, "--index", "0", "--progress", "none")
        (workspace,) = self.root.glob(".lake.flowlake-plan-*")
        model = json.loads(unpacked(workspace / "fragments" / "000000.json.zst"))
        packer = zstandard.ZstdCompressor()
        for directory in {f"month={month}/deviceClass={of}" for month in months(self.files) for of in CLASSES}:
            (workspace / "lake" / "data" / directory).mkdir(parents=True)
        for index, task in enumerate(json.loads(self.plan.read_text())["tasks"]):
            fragment = self.fragment(model["fragment"], task)
            for file in fragment["files"]:
                descriptor = os.open(workspace / "lake" / file["path"], os.O_CREAT | os.O_WRONLY, 0o644)
                os.ftruncate(descriptor, BYTES)
                os.close(descriptor)
            packed = packer.compress(json.dumps({**model, "task": index, "fragment": fragment}).encode())
            (workspace / "fragments" / f"{index:06}.json.zst").write_bytes(packed)

    def fragment(self, model: Json, task: Json) -> Json:
        number = int(task["dump"][1:])
        files = list(data_files(number, task["device"], months(self.files)))
        rows = ROWS * len(files)
        source = {
            **model["source"],
            "dump": task["dump"],
            "device": task["device"],
            "deviceClass": device_class(number),
            "parts": [{"name": part["name"], "bytes": part["bytes"], "sha256": "0" * 64} for part in task["parts"]],
            "records": model["source"]["records"] | {"flows": rows},
            "read": rows,
            "kept": rows,
            "firstFlowStart": files[0]["minFlowStart"],
            "lastFlowStart": files[-1]["maxFlowStart"],
        }
        return {**model, "source": source, "files": files}


def device_class(number: int) -> str:
    return CLASSES[number % len(CLASSES)]


def months(number: int) -> list[str]:
    return [f"2019-{month:02}" for month in range(1, number + 1)]


def data_files(number: int, device: str, in_months: list[str]) -> Iterator[Json]:
    of = device_class(number)
    for month in in_months:
        digest = hashlib.sha256(f"{number} {month}".encode()).hexdigest()
        yield {
            "path": f"data/month={month}/deviceClass={of}/{device}-00000-{digest[:16]}.parquet",
            "month": month,
            "deviceClass": of,
            "deviceName": device,
            "rows": ROWS,
            "bytes": BYTES,
            "sha256": digest,
            "contentDigest": hashlib.sha256(f"rows of {number} {month}".encode()).hexdigest(),
            "minFlowStart": f"{month}-01T00:00:00.000Z",
            "maxFlowStart": f"{month}-02T00:00:00.000Z",
            "rowGroups": 1,
        }


def unpacked(path: Path) -> bytes:
    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as text:
        return text.read()
