"""docs/guarantees.md names tests: each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CITED = re.compile(r"`((?:crates|tests|fuzz)/[\w/]+\.(?:rs|py))`((?:[:,;]? ?`\w+`)+)")


def citations() -> list[tuple[str, str]]:
    text = (ROOT / "docs/guarantees.md").read_text()
    return [(path, name) for path, names in CITED.findall(text) for name in re.findall(r"`(\w+)`", names)]


def test_there_are_many():
    rows = [line for line in (ROOT / "docs/guarantees.md").read_text().splitlines() if line.startswith("| ")]
    promises = [row for row in rows if ".rs`" in row or ".py`" in row]
    assert len(citations()) > 2 * len(promises) > 100


@pytest.mark.parametrize("path", sorted({path for path, _ in citations()}))
def test_each_is_there(path: str):
    source = (ROOT / path).read_text()
    defined = set(re.findall(r"\b(?:fn|def) (\w+)", source))
    assert {name for cited, name in citations() if cited == path} <= defined
