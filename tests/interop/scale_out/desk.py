"""A desk at which somebody follows docs/scale-out.md, with programs that stand in for those that reach clusters."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lakes import REPOSITORY, binary

RECIPES = REPOSITORY / "config" / "scale-out"
# What no machine without a cluster can run.
CLUSTERS = ("kubectl", "aws", "sbatch", "podman")
# Generous: it ends what hangs.
TIMEOUT_SECONDS = 300

STAND_IN = """\
import json, os, pathlib, shutil, sys
me, arguments = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
place = pathlib.Path(os.environ["STAND_IN"])
given = sys.stdin.read() if arguments[-1] == "-" else ""
with (place / "calls").open("a") as calls:
    print(json.dumps([me, arguments, given, {name: os.environ.get(name) for name in ("PLAN", "ELEMENTS")}]), file=calls)
if me == "aws" and arguments[:2] == ["s3", "cp"]:
    source, target = (place / "bucket" / a[5:] if a.startswith("s3://") else pathlib.Path(a) for a in arguments[-2:])
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
elif me == "sbatch" or arguments[:2] == ["batch", "submit-job"]:
    print("4711")
"""


def content(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@dataclass
class Call:
    """How a program that stands in for a cluster was called."""

    program: str
    arguments: list[str]
    given: str
    environment: dict[str, str | None]

    def option(self, name: str) -> str:
        """The value of `--name value` or `--name=value`."""
        for number, argument in enumerate(self.arguments):
            if argument == name:
                return self.arguments[number + 1]
            if argument.startswith(name + "="):
                return argument.partition("=")[2]
        raise AssertionError(f"{self.program} was not given {name}: {self.arguments}")


@dataclass
class Desk:
    """Where somebody sits who follows the page: a clone, flowlake on the path, and programs that reach clusters."""

    root: Path
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root.mkdir()
        for name in ("config", "scripts"):
            (self.root / name).symlink_to(REPOSITORY / name)
        tools = self.root / "tools"
        tools.mkdir()
        (tools / "flowlake").symlink_to(binary().resolve())
        for name in CLUSTERS:
            (tools / name).write_text(f"#!{sys.executable}\n{STAND_IN}")
            (tools / name).chmod(0o755)
        (self.root / "scratch").mkdir()

    @property
    def plan(self) -> Path:
        return self.root / "walk" / "plan.json"

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        foreign = ("AWS_", "SLURM_", "JOB_", "SPARK_", "PYSPARK_", "PLAN", "ELEMENTS")
        return (
            {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
            | {"PATH": f"{self.root / 'tools'}:{os.environ['PATH']}", "STAND_IN": str(self.root)}
            | {"TMPDIR": str(self.root / "scratch")}
            | self.more
            | (more or {})
        )

    def run(self, command: list[str], more: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a command, and ends whatever it started when it ends."""
        process = subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment(more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=TIMEOUT_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def shell(self, code: str, more: dict[str, str] | None = None) -> str:
        done = self.run(["bash", "-euo", "pipefail", "-c", code], more)
        assert done.returncode == 0, f"{code}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def install_step(self) -> None:
        """Puts on the path what the image has there beside flowlake."""
        pattern = r"^COPY (\S+step\.sh) /usr/local/bin/(\S+)$"
        found = re.search(pattern, (RECIPES / "Containerfile").read_text(), re.MULTILINE)
        assert found
        shutil.copy(REPOSITORY / found[1], self.root / "tools" / found[2])

    def calls(self) -> list[Call]:
        return [Call(*json.loads(line)) for line in (self.root / "calls").read_text().splitlines()]

    def missing(self) -> list[int]:
        return [int(line) for line in self.shell("flowlake task --plan walk/plan.json --missing").split()]

    def tasks(self) -> int:
        return len(json.loads(self.plan.read_text())["tasks"])
