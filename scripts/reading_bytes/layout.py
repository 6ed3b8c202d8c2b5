"""What each byte of a data file is for, by its footer; so what was read can be told apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

# Kinds of bytes that are no values of a column.
BLOOM = "bloom filters"
INDEX = "footer and page index"


@dataclass(frozen=True)
class Span:
    start: int
    end: int
    # A column's name, or one of the kinds above.
    what: str


def spans(root: Path) -> dict[str, list[Span]]:
    """By path in the lake, what lies where in each data file, in order and without a gap."""
    with duckdb.connect() as connection:
        chunks = connection.execute(
            "SELECT file_name, path_in_schema, coalesce(dictionary_page_offset, data_page_offset),"
            " data_page_offset, total_compressed_size, bloom_filter_offset, bloom_filter_length"
            f" FROM parquet_metadata('{root}/data/**/*.parquet')"
        ).fetchall()
    found: dict[str, list[Span]] = {}
    for name, column, dictionary, data, size, bloom, bloom_size in chunks:
        path = Path(name).relative_to(root).as_posix()
        # Writers put 0 where there is no dictionary.
        start = min(dictionary or data, data)
        kept = found.setdefault(path, [])
        kept.append(Span(start, start + size, column))
        if bloom:
            kept.append(Span(bloom, bloom + bloom_size, BLOOM))
    return {path: _without_gaps(kept, (root / path).stat().st_size) for path, kept in found.items()}


def _without_gaps(known: list[Span], size: int) -> list[Span]:
    filled = []
    at = 0
    for span in sorted(known, key=lambda span: span.start):
        if span.start > at:
            filled.append(Span(at, span.start, INDEX))
        filled.append(span)
        at = span.end
    if at < size:
        filled.append(Span(at, size, INDEX))
    return filled


def bytes_of(kinds: Iterable[Span], wanted: set[str]) -> int:
    """Bytes of some columns or kinds."""
    return sum(span.end - span.start for span in kinds if span.what in wanted)


def overlap(kinds: Iterable[Span], start: int, end: int) -> dict[str, int]:
    """What a range of a file has, in bytes."""
    found: dict[str, int] = {}
    for span in kinds:
        common = min(end, span.end) - max(start, span.start)
        if common > 0:
            found[span.what] = found.get(span.what, 0) + common
    return found
