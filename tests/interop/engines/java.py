"""Finds a Java that Spark runs on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

OLDEST = 17


def missing_java() -> str | None:
    """Why there is no Java for Spark; nothing if there is one, where Spark itself would look for it."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    wanted = f"Spark needs Java {OLDEST} or newer"
    if java is None:
        return f"{wanted}, and there is neither JAVA_HOME nor java"
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"{wanted}, and {java} does not run: {error}"
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr)
    if found is None or int(found[1]) < OLDEST:
        return f"{wanted}, and {java} says: {said.stderr.strip()}"
    return None
