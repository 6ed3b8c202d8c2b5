"""Tables of figures."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench_peers.measure import DISTURBED, Run, Series


def table(rows: Sequence[Sequence[str]]) -> str:
    """Aligned text: the first row is the head, the first column is on the left and the others on the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def disturbance(run: Run) -> str:
    return f", others used {100 * run.disturbed:.0f} % of the cores" if run.disturbed > DISTURBED else ""


def warn_if_disturbed(series: Sequence[Series]) -> None:
    """Says so if the machine had other things to do: then nothing here means much."""
    disturbed = sum(one.disturbed for one in series)
    if disturbed:
        total = sum(len(one.runs) for one in series)
        print(f"warning: other programs were busy during {disturbed} of {total} runs", file=sys.stderr)


def megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.1f}"
