"""Compares a lake with what was expected of its dumps: every row, every count, every rejected line, every warning."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raw_flows import TIMESTAMP, to_millis
from recompute import RecipeOracle, Row
from torture.containers import Files
from torture.expected import Expected

# A row as the values of its columns in their order; times are milliseconds.
Values = tuple[Any, ...]
# Kinds of warnings that are about one dump, and told from its lines.
_OF_DUMPS = {"linesRejected", "trailerMismatch", "trailerMissing", "unknownFields"}


@dataclass
class Comparison:
    """What was found in a lake."""

    wrong: list[str] = field(default_factory=list)
    rows: int = 0
    lost: int = 0
    invented: int = 0
    rejected: int = 0


def compare(root: Path, inputs: Files, dumps: dict[str, Expected], recipe: RecipeOracle) -> Comparison:
    """What differs between the lake at `root` and what these dumps must become."""
    found = Comparison()
    manifest = json.loads((root / "manifest.json").read_text())
    _compare_rows(root, manifest, dumps, recipe, found)
    _compare_sources(root, manifest, inputs, dumps, found)
    _compare_sums(manifest, dumps, recipe, found)
    return found


def values_of(row: Row, recipe: RecipeOracle) -> Values:
    return tuple(
        to_millis(row.cells[name]) if kind == TIMESTAMP else row.cells[name] for name, kind in recipe.columns.items()
    )


def read_rows(path: Path, recipe: RecipeOracle) -> list[Values]:
    """The rows of a data file, in the order of the recipe's columns."""
    table = pq.read_table(path, partitioning=None)
    if table.column_names != list(recipe.columns):
        raise ValueError(f"{path.name} has the columns {table.column_names}")
    columns = []
    for column in table.columns:
        stored = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        columns.append(stored.to_pylist())
    return list(zip(*columns, strict=True))


def _compare_rows(
    root: Path, manifest: dict, dumps: dict[str, Expected], recipe: RecipeOracle, found: Comparison
) -> None:
    expected: dict[tuple[str, str, str], list[Values]] = {}
    for dump in dumps.values():
        for month, rows in dump.result.months.items():
            key = (month, dump.device.device_class, dump.device.name)
            expected[key] = [values_of(row, recipe) for row in rows]
    there: dict[tuple[str, str, str], list[Values]] = {}
    for file in sorted(manifest["files"], key=lambda file: file["path"]):
        key = (file["month"], file["deviceClass"], file["deviceName"])
        if not file["path"].startswith(f"data/month={key[0]}/deviceClass={key[1]}/{key[2]}-"):
            found.wrong.append(f"{file['path']} is listed as {key}")
        try:
            rows = read_rows(root / file["path"], recipe)
        except (OSError, ValueError, pa.ArrowException) as error:
            found.wrong.append(f"{file['path']} cannot be read: {error}")
            continue
        there.setdefault(key, []).extend(rows)
    for key in sorted(expected.keys() | there.keys()):
        wanted, have = expected.get(key, []), there.get(key, [])
        found.rows += len(have)
        if wanted == have:
            continue
        lost, invented = Counter(wanted) - Counter(have), Counter(have) - Counter(wanted)
        found.lost += lost.total()
        found.invented += invented.total()
        if not lost and not invented:
            found.wrong.append(f"{key}: the rows are in another order")
        found.wrong += [f"{key}: not there: {_near(row, invented, recipe)}" for row in list(lost)[:3]]
        found.wrong += [f"{key}: nobody wrote: {_near(row, lost, recipe)}" for row in list(invented)[:3]]


def _near(row: Values, others: Counter[Values], recipe: RecipeOracle) -> str:
    """A row, by what tells it from the one that it is most like."""
    names = list(recipe.columns)
    differing = [{n: v for n, v, w in zip(names, row, other, strict=True) if v != w} for other in others]
    least = min(differing, key=len, default=dict(zip(names, row, strict=True)))
    return json.dumps(least, default=str, ensure_ascii=False)


def _compare_sources(root: Path, manifest: dict, inputs: Files, dumps: dict[str, Expected], found: Comparison) -> None:
    sources = {source["dump"]: source for source in manifest["sources"]}
    if set(sources) != set(dumps):
        found.wrong.append(f"the sources are {sorted(sources)}")
    listed = set()
    for name, dump in dumps.items():
        source = sources.get(name)
        if source is None:
            continue

        def differs(what: str, have: Any, want: Any, name: str = name) -> None:
            if have != want:
                found.wrong.append(f"{name}: {what} is {have}, should be {want}")

        removed = {rule["rule"]: rule["rows"] for rule in source["removed"]}
        differs("read", source["read"], source["kept"] + sum(removed.values()) + source["rejected"])
        differs("read", source["read"], dump.read)
        differs("kept", source["kept"], dump.result.kept)
        differs("removed", removed, dump.result.removed)
        differs("rejected", source["rejected"], len(dump.rejected))
        differs("records", source["records"], dump.records)
        differs("trailer", source["trailer"], dump.trailer)
        directions = {kind: dump.result.directions[kind] for kind in ("fromDevice", "toDevice", "both", "neither")}
        differs("directions", source["directions"], directions)
        unknown = {field["name"]: field["rows"] for field in source.get("unknownFields", [])}
        differs("unknownFields", _plain(unknown), _plain(dump.unknown))
        differs("unknownFields in all", sum(unknown.values()), dump.unknown.total())
        parts = [
            {"name": part, "bytes": len(inputs[part]), "sha256": hashlib.sha256(inputs[part]).hexdigest()}
            for part in dump.parts
        ]
        differs("parts", source["parts"], parts)
        kinds = [warning["kind"] for warning in manifest["warnings"] if warning["subject"] == name]
        differs("warnings", Counter(kind for kind in kinds if kind in _OF_DUMPS), dump.warnings())
        found.rejected += len(dump.rejected)
        rejected_lines = source.get("rejectedLines")
        if rejected_lines is not None:
            listed.add(rejected_lines["path"])
            found.wrong += _rejected_differ(root / rejected_lines["path"], dump)
        elif dump.rejected:
            found.wrong.append(f"{name}: rejected lines are not listed")
    there = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    listed |= {"manifest.json", *(file["path"] for file in manifest["files"])}
    if there != listed:
        found.wrong.append(f"files that are there or listed, but not both: {sorted(there ^ listed)}")


def _plain(names: dict[str, int]) -> dict[str, int]:
    """Names that are told as they are: long ones are cut, and what would garble a screen is escaped."""
    return {name: rows for name, rows in names.items() if re.fullmatch(r"[\w. ,:;{}\[\]-]{0,40}", name)}


def _rejected_differ(path: Path, dump: Expected) -> list[str]:
    wrong = []
    name = dump.device.dump
    told = [json.loads(line) for line in path.read_text().split("\n") if line]
    if len(told) != len(dump.rejected):
        wrong.append(f"{name}: {len(told)} lines are kept as rejected, should be {len(dump.rejected)}")
    for have, want in zip(told, dump.rejected, strict=False):
        text = bytes.fromhex(have["textHex"]) if "textHex" in have else have["text"].encode()
        place = (have["dump"], have["line"], have["offset"])
        if place != (name, want.number, want.offset):
            wrong.append(f"{name}: rejected {place}, should be {(name, want.number, want.offset)}")
        if text != want.text:
            wrong.append(f"{name} line {want.number}: kept as {text[:80]!r}, should be {want.text[:80]!r}")
        if not have["reason"].startswith(want.reasons):
            wrong.append(f"{name} line {want.number}: rejected for {have['reason']!r}, should be {want.reasons}")
    return wrong


def _compare_sums(manifest: dict, dumps: dict[str, Expected], recipe: RecipeOracle, found: Comparison) -> None:
    accounting = manifest["rowAccounting"]
    removed: Counter[str] = sum((Counter(dump.result.removed) for dump in dumps.values()), Counter())
    wanted = {
        "read": sum(dump.read for dump in dumps.values()),
        "kept": sum(dump.result.kept for dump in dumps.values()),
        "removed": [{"rule": rule, "rows": removed[rule]} for rule in recipe.rules()],
        "rejected": sum(len(dump.rejected) for dump in dumps.values()),
    }
    if accounting != wanted:
        found.wrong.append(f"rowAccounting is {accounting}, should be {wanted}")
    if manifest["totals"]["rows"] != wanted["kept"]:
        found.wrong.append(f"totals.rows is {manifest['totals']['rows']}, should be {wanted['kept']}")
    repairs: Counter[str] = sum((dump.result.repairs for dump in dumps.values()), Counter())
    told = [(repair["name"], repair["values"]) for repair in manifest["repairs"]]
    if told != [(name, repairs[name]) for name in recipe.repairs]:
        found.wrong.append(f"repairs are {told}, should be {dict(repairs)}")
