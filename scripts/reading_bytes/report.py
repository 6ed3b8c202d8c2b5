"""The figures as tables, on a terminal and in docs/reading.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reading_bytes import layout
from reading_bytes.measure import OTHER, Lake, Reading

_BEGIN, _END = "<!-- bytes: begin -->", "<!-- bytes: end -->"
# Who is asked about every month and class.
SWEPT = ("DuckDB, pattern", "Polars, directory", "Polars, small reads")


def share(size: int, lake: Lake) -> str:
    return f"{100 * size / lake.bytes:.2f} %"


def cell(reading: Reading, lake: Lake) -> str:
    files = "" if reading.files is None else f", {reading.files} files" if reading.files != 1 else ", 1 file"
    return f"{share(reading.bytes, lake)}{files}"


def by_question(answered: Sequence[list[Reading]], lake: Lake) -> list[list[str]]:
    """A row a question, a column an engine; ways that make no difference anywhere share a column."""
    columns: dict[tuple[str, ...], list[str]] = {}
    for of_engine in zip(*answered, strict=True):
        cells = tuple(cell(reading, lake) for reading in of_engine)
        columns.setdefault(cells, []).append(of_engine[0].engine)
    rows = [["Asked for", "flows", "its columns", *(" or ".join(names) for names in columns.values())]]
    for number, readings in enumerate(answered):
        flows = sum(row[1] for row in readings[0].rows)
        least = share(lake.least(readings[0].question), lake)
        rows.append([readings[0].question.title, f"{flows:,}", least, *(cells[number] for cells in columns)])
    return rows


def by_engine(readings: Sequence[Reading], lake: Lake) -> list[list[str]]:
    """What the bytes of one question were, engine by engine."""
    rows = [
        ["", "bytes", "requests", "files", "columns asked for", "other columns", "footers, indexes", "bloom filters"]
    ]
    for reading in readings:
        if reading.kinds is None:
            continue
        columns = sum(size for what, size in reading.kinds.items() if what in reading.question.columns)
        kinds = [columns, *(reading.kinds.get(what, 0) for what in (OTHER, layout.INDEX, layout.BLOOM))]
        rows.append(
            [reading.engine, *(f"{number:,}" for number in (reading.bytes, reading.requests, reading.files, *kinds))]
        )
    return rows


def swept(readings: Sequence[list[Reading]], lake: Lake, limit: float) -> list[list[str]]:
    """All pairs of a month and a class: how many stay below the limit, and the worst."""
    rows = [["", f"pairs below {limit:g} %", "median", "most", "at"]]
    for number, first in enumerate(readings[0]):
        sizes = sorted((of_pair[number].bytes, of_pair[number].question.title) for of_pair in readings)
        below = sum(100 * size < limit * lake.bytes for size, _ in sizes)
        most, worst = sizes[-1]
        median = sizes[len(sizes) // 2][0]
        rows.append(
            [first.engine, f"{below} of {len(sizes)}", share(median, lake), share(most, lake), worst],
        )
    return rows


def above(readings: Sequence[list[Reading]], lake: Lake, limit: float) -> str:
    """Who reads more than the limit of which month and class."""
    found = []
    for of_engine in zip(*readings, strict=True):
        over = sorted((reading for reading in of_engine if 100 * reading.bytes >= limit * lake.bytes), key=_by_bytes)
        if over:
            pairs = "; ".join(f"{reading.question.title} ({share(reading.bytes, lake)})" for reading in over)
            found.append(f"{over[0].engine}: {pairs}")
    return f"Not below {limit:g} %: {'. '.join(found) or 'none'}."


def _by_bytes(reading: Reading) -> tuple[int, str]:
    return -reading.bytes, reading.question.title


def markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [f"| {' | '.join(head)} |", "| --- " + "| ---: " * (len(head) - 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in body)])


def write_docs(page: Path, text: str) -> None:
    """Puts text between the markers of a page."""
    before, begin, rest = page.read_text().partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{page} has no {_BEGIN} … {_END}")
    page.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}")
