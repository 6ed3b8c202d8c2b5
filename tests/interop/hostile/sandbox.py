"""A directory that a hostile input is tried in, and flowlake run in it: what it said, what it took, what it left."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from lakes import binary
from object_stores.stores import local_environment

_MEASURED = Path(__file__).with_name("measured.py")
# What hangs must end; nothing is said by it about how long anything takes.
TIMEOUT_SECONDS = 300
# Address space, not memory: threads and the allocator reserve far more than they use.
ADDRESS_MIB = 8192
_WATCH_SECONDS = 0.02
# A path that an archive can name without knowing where it is unpacked.
ANYWHERE = Path("/var/tmp/flowlake-was-here.json")


@dataclass
class Run:
    """A run of flowlake that has ended."""

    arguments: list[str]
    code: int
    stdout: str
    stderr: str
    # The most memory that it had, and the most that lay below its output and its temporary directory.
    memory_mib: float
    disk_mib: float
    seconds: float
    timed_out: bool = False

    def __str__(self) -> str:
        command = " ".join(["flowlake", *self.arguments])
        return (
            f"`{command}` ended with {self.code} after {self.seconds:.1f} s\n{self.stdout[-2000:]}{self.stderr[-2000:]}"
        )

    def complaints(self) -> list[str]:
        """What must not happen whatever the input is."""
        found = []
        if self.timed_out:
            found.append("it did not end in time")
        elif self.code < 0:
            found.append(f"it died of {signal.Signals(-self.code).name}")
        if self.code == 101 or "panicked at" in self.stderr or "stack backtrace" in self.stderr:
            found.append("it panicked")
        if self.code not in (0, 1) and "error: " not in self.stderr:
            found.append("no line of stderr begins with `error:`")
        if self.code == 0 and "\nerror: " in "\n" + self.stderr:
            found.append("it succeeded, and a line of stderr begins with `error:`")
        if self.code != 0 and len(self.stderr) > 20_000:
            found.append(f"the error has {len(self.stderr)} characters: no screen shows it")
        if any(character < " " and character not in "\n\t" for character in self.stderr):
            found.append("there are control characters in the error: a terminal would obey them")
        return found


@dataclass
class Sandbox:
    """Where one hostile input lies, and everything around it that must stay as it is."""

    root: Path
    before: dict[str, str] = field(default_factory=dict)
    patience: float = TIMEOUT_SECONDS

    @property
    def dumps(self) -> Path:
        return self.root / "dumps"

    @property
    def outside(self) -> Path:
        """What links and paths of hostile input lead to."""
        return self.root / "outside"

    @property
    def out(self) -> Path:
        """Holds what flowlake is asked to write, and nothing else."""
        return self.root / "out"

    @property
    def lake(self) -> Path:
        return self.out / "lake"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    def remember(self) -> None:
        """From now on nothing but the output may change."""
        self.before = self._tree()

    def changed(self) -> list[str]:
        """What is not as it was, the output apart."""
        after = self._tree()
        names = sorted(self.before.keys() | after.keys())
        found = [
            f"{name} was changed, made or taken away" for name in names if self.before.get(name) != after.get(name)
        ]
        if ANYWHERE.exists():
            found.append(f"{ANYWHERE} was written")
        return found

    def left(self) -> list[str]:
        """What lies where only the output may be, by names."""
        return sorted(path.name for path in self.out.iterdir())

    def _tree(self) -> dict[str, str]:
        found = {}
        for path in _below(self.root):
            if path == self.out or self.out in path.parents:
                continue
            status = path.lstat()
            what = f"{stat.filemode(status.st_mode)} {status.st_size if stat.S_ISREG(status.st_mode) else 0}"
            if stat.S_ISLNK(status.st_mode):
                what += f" {path.readlink()}"
            elif stat.S_ISREG(status.st_mode):
                # Large files are hostile inputs, which are only ever read: their time says enough.
                small = status.st_size < 1 << 20
                what += f" {hashlib.sha256(path.read_bytes()).hexdigest() if small else status.st_mtime_ns}"
            found[path.relative_to(self.root).as_posix()] = what
        return found

    def flowlake(self, *arguments: str | Path, jobs: bool = True) -> Run:
        """Runs flowlake in an empty directory, with two threads, and watches what it takes."""
        words = [str(argument) for argument in arguments] + (["--jobs", "2"] if jobs else [])
        report = self.root.with_name(self.root.name + ".measured")
        environment = local_environment() | {"TMPDIR": str(self.temporary), "HOME": str(self.outside)}
        command = [sys.executable, "-I", "-S", str(_MEASURED), str(report), str(ADDRESS_MIB), str(binary()), *words]
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=self.root / "work",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with _watched(self.out, self.temporary) as disk:
            timed_out = False
            try:
                stdout, stderr = process.communicate(timeout=self.patience)
            except subprocess.TimeoutExpired:
                timed_out = True
                os.killpg(process.pid, signal.SIGKILL)
                stdout, stderr = process.communicate()
        seconds = time.monotonic() - began
        code, peak = (int(word) for word in report.read_text().split()) if report.exists() else (-9, 0)
        report.unlink(missing_ok=True)
        # Not as text, which would make line feeds of carriage returns.
        said, complained = (output.decode(errors="replace") for output in (stdout, stderr))
        return Run(words, code, said, complained, peak / 1024, disk[0] / (1 << 20), seconds, timed_out)


@contextmanager
def sandbox(name: str) -> Iterator[Sandbox]:
    """A new sandbox, which is gone afterwards."""
    root = Path(mkdtemp(prefix=f"flowlake-hostile-{name}-"))
    try:
        for directory in ("dumps", "outside", "out", "tmp", "work"):
            (root / directory).mkdir()
        (root / "outside" / "secret.json").write_text('{"secret":"of somebody else"}\n')
        yield Sandbox(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def _watched(*directories: Path) -> Iterator[list[int]]:
    """The most bytes that lay below directories together, which is looked at every now and then."""
    most = [0]
    ended = threading.Event()

    def look() -> None:
        most[0] = max(most[0], sum(_bytes(directory) for directory in directories))

    def watch() -> None:
        while not ended.wait(_WATCH_SECONDS):
            look()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        ended.set()
        watcher.join()
        look()


def _bytes(directory: Path) -> int:
    total = 0
    for path in _below(directory):
        try:
            total += path.lstat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


def _below(directory: Path) -> Iterator[Path]:
    """Everything below a directory, without following links."""
    try:
        entries = list(os.scandir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path))
