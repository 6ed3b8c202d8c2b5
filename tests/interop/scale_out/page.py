"""docs/scale-out.md: its text, and the commands in it."""

from __future__ import annotations

from cookbook import read_blocks
from lakes import REPOSITORY

PAGE = REPOSITORY / "docs" / "scale-out.md"
TEXT = PAGE.read_text()
BLOCKS = read_blocks(TEXT)


def blocks_of(*place: str) -> list[str]:
    """The shell blocks of a section, or of one below it."""
    section, question = (*place, "")[:2]
    found = [block.code for block in BLOCKS if (block.section, block.question) == (section, question)]
    assert found, f"{PAGE.name} has no block in {place}"
    return found
