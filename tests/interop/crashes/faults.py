"""Everything that happens to a run in the campaign but a kill, by name."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from crashes import calls_failing, full_disks, permissions, vanishing
from crashes.points import Undisturbed
from crashes.verdicts import Case


@dataclass(frozen=True)
class Fault:
    """Something that happens, to which command, and where."""

    name: str
    kind: str
    work: str
    attempt: Callable[[Case, random.Random, Undisturbed], None]
    where: str = "disk"


def _all() -> list[Fault]:
    found = []
    for module in (full_disks, permissions, vanishing, calls_failing):
        found += [Fault(*case) for case in module.cases()]
    return found


FAULTS = {fault.name: fault for fault in _all()}
# One or two of each kind, for a short run.
SHORT = [
    "set-aside-replace",
    "set-aside-refused-replace",
    "denied-lock-fresh",
    "full-fresh-2",
    "full-replace-5",
    "full-release-7",
    "inodes-replace-4",
    "file-limit-fresh-3",
    "file-limit-signal-replace",
    "read-only-fresh",
    "read-only-replace",
    "descriptors-release",
    "full-tmpdir-conditional-fresh-1",
    "read-only-tmpdir-unconditional-replace",
    "denied-dump-replace",
    "denied-catalogue-fresh",
    "denied-lake-release",
    "denied-parent-fresh",
    "denied-parent-replace",
    "denied-old-data-replace",
    "open-unlinked-fresh",
    "open-truncated-replace",
    "part-unlinked-replace",
    "part-truncated-fresh",
    "part-replaced-fresh",
    "lake-unlinked-release",
    "error-fresh-1",
    "error-replace-2",
    "error-release-3",
    "interrupted-reads-fresh",
    "interrupted-reads-release",
    "interrupted-writes-replace",
    "short-fresh",
    "short-release",
    "full-output-fresh",
    "no-lock-fresh",
    "no-exchange-replace",
    "last-fsync-replace",
]
