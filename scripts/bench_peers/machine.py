"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path


def use_cores(jobs: int) -> None:
    """Keeps this process, and so all that it starts, on as many cores as there are threads to use.

    Otherwise whoever starts more threads than they were told to would be measured on another machine.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:jobs])


def describe() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    used = len(os.sched_getaffinity(0))
    return (
        f"machine: {used} of {os.cpu_count()} cores, {_processor()}, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def first_line(*command: str | Path) -> str:
    """What a program says of its version."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()
