"""One question to one engine, and what the store sent for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reading_bytes import layout
from reading_bytes.questions import Question
from reading_bytes.store import CountingStore

# Long enough for the slowest machine; what hangs must end all the same.
_TIMEOUT_SECONDS = 600
OTHER = "other columns"


class Failed(Exception):
    """An engine did not answer, or not as the others."""


@dataclass(frozen=True)
class Reading:
    """What an engine answered, and what it read for that."""

    engine: str
    question: Question
    rows: list[list[Any]]
    bytes: int
    # Of local files nothing is known but the bytes.
    files: int | None = None
    requests: int | None = None
    # Bytes of files that month and class leave out.
    elsewhere: int | None = None
    # Bytes by what they are: columns asked for by name, the rest by kind.
    kinds: dict[str, int] | None = None


class Lake:
    """A lake whose every byte is known."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.manifest = json.loads((root / "manifest.json").read_text())
        self.files: list[dict[str, Any]] = self.manifest["files"]
        self.spans = layout.spans(root)

    @property
    def bytes(self) -> int:
        return self.manifest["totals"]["bytes"]

    @property
    def rows(self) -> int:
        return self.manifest["totals"]["rows"]

    def least(self, question: Question) -> int:
        """The bytes of the columns asked for, in the files that month and class leave."""
        return sum(
            layout.bytes_of(self.spans[file["path"]], question.columns)
            for file in self.files
            if question.asks_for(file)
        )

    def rows_of(self, question: Question) -> int | None:
        """How many flows an answer has in all, where the manifest tells."""
        if question.day or question.address:
            return None
        return sum(file["rows"] for file in self.files if question.asks_for(file))


def ask(engine: str, question: Question, lake: Lake, store: CountingStore) -> Reading:
    """Asks in a process of its own, so that nothing is in a cache."""
    store.take()
    # Whatever leads clients to somebody's account or settings stays out.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "POLARS_"))}
    environment |= {"AWS_EC2_METADATA_DISABLED": "true", "TZ": "Asia/Tokyo", "READING_BYTES_LAKE": str(lake.root)}
    asked = {
        "engine": engine,
        "question": question.as_json(),
        "address": store.address,
        "files": [file["path"] for file in lake.files],
    }
    done = subprocess.run(
        [sys.executable, "-m", "reading_bytes.engines"],
        input=json.dumps(asked),
        env=environment,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise Failed(f"{engine}, asked about {question.title}, ended with {done.returncode}\n{done.stderr[-4000:]}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    if said["said"]:
        return Reading(engine, question, said["rows"], said["said"]["bytes"])
    got = [sent for sent in store.take() if sent.method == "GET"]
    left_out = {file["path"] for file in lake.files if not question.asks_for(file)}
    kinds: Counter[str] = Counter()
    for sent in got:
        for what, size in layout.overlap(lake.spans.get(sent.key or "", []), sent.start, sent.end).items():
            kinds[what if what in question.columns | {layout.BLOOM, layout.INDEX} else OTHER] += size
    return Reading(
        engine,
        question,
        said["rows"],
        sum(sent.bytes for sent in got),
        len({sent.key for sent in got if sent.bytes}),
        len(got),
        sum(sent.bytes for sent in got if sent.key in left_out),
        dict(kinds),
    )


def agree(readings: list[Reading], lake: Lake) -> None:
    """All engines gave one answer, and the manifest's count where it has one."""
    first, *others = readings
    for other in others:
        if other.rows != first.rows:
            raise Failed(f"{first.question.title}: {first.engine} and {other.engine} differ: {first.rows} {other.rows}")
    rows = lake.rows_of(first.question)
    if rows is not None and rows != sum(row[1] for row in first.rows):
        raise Failed(f"{first.question.title}: the manifest has {rows} flows, the engines {first.rows}")
