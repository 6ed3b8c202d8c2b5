"""Drivers: `scripts/spark_build.py` under spark-submit or on its own, on a cluster of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.spark_cluster import HOME, JAVA_OPTIONS, SparkCluster
from lakes import REPOSITORY
from object_stores.servers import die_with_parent
from spark_build.stand_in import wait_until

SCRIPT = REPOSITORY / "scripts" / "spark_build.py"
# What hangs must end all the same.
TIMEOUT_SECONDS = 240
_FOREIGN = ("SPARK_", "PYSPARK_", "HADOOP_", "YARN_")
_SETTINGS = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "512m",
    "spark.executor.memory": "512m",
    "spark.ui.enabled": "false",
}


@dataclass
class Built:
    """A driver that has ended."""

    code: int
    stdout: str
    stderr: str

    def __str__(self) -> str:
        return f"the driver ended with {self.code}\n{self.stdout}\n{self.stderr}"

    @property
    def said(self) -> str:
        """All of it: spark-submit puts what a driver says to standard error on its own standard output."""
        return self.stdout + self.stderr

    def error(self) -> str:
        """From the first line on that begins with `error:`."""
        # Of the two streams one alone has it.
        _, _, message = ("\n" + self.stderr + "\n" + self.stdout).partition("\nerror:")
        return message


class Driver:
    """A driver that runs. With `submit` it is a child of spark-submit, else it is a program that uses pyspark.

    Without a cluster it is one that has no need of Spark, since all tasks are done.
    """

    def __init__(
        self,
        cluster: SparkCluster | None,
        scratch: Path,
        arguments: list[str | Path],
        environment: dict[str, str],
        settings: dict[str, str] | None = None,
        submit: bool = True,
    ) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        chosen = _SETTINGS | {"spark.local.dir": str(scratch)} | (settings or {})
        given = [text for name, value in chosen.items() for text in ("--conf", f"{name}={value}")]
        environment = {name: value for name, value in environment.items() if not name.startswith(_FOREIGN)} | {
            "SPARK_HOME": str(HOME),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "JDK_JAVA_OPTIONS": JAVA_OPTIONS,
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "TMPDIR": str(scratch),
        }
        master = cluster.url if cluster else "no-cluster"
        if submit:
            command = [HOME / "bin" / "spark-submit", "--master", master, *given, SCRIPT, *arguments]
        else:
            command = [sys.executable, SCRIPT, "--master", master, *arguments]
            environment["PYSPARK_SUBMIT_ARGS"] = " ".join([*given, "pyspark-shell"])
        # Files, which can be read while it runs, and which nobody keeps open for this process.
        self.outputs = [scratch / name for name in ("stdout", "stderr")]
        with self.outputs[0].open("wb") as stdout, self.outputs[1].open("wb") as stderr:
            self.process = subprocess.Popen(
                command,
                env=environment,
                # Paths of the driver mean nothing on executors.
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def members(self) -> list[int]:
        """The living processes of it: the virtual machine, Python, and what these started."""
        listing = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=True)
        found = [line.split() for line in listing.stdout.splitlines()]
        return [int(pid) for pid, group, state in found if int(group) == self.process.pid and state[0] != "Z"]

    def signal(self, number: signal.Signals, everyone: bool) -> None:
        """To the process that was started, as `kill` does, or to everyone, as a terminal does at Ctrl-C."""
        if everyone:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def wait_until(self, happened: Callable[[], bool], what: str) -> None:
        """Waits for something that happens while it runs; it does not if the driver ends before."""

        def happened_or_ended() -> bool:
            return happened() or self.process.poll() is not None

        wait_until(happened_or_ended, what)
        assert happened(), f"it did not happen: {what}\n{self.end()}"

    def end(self) -> Built:
        try:
            self.process.wait(TIMEOUT_SECONDS)
        except BaseException:
            self.kill()
            raise
        return Built(self.process.returncode, *self.said())

    def said(self) -> list[str]:
        """What it printed so far, to standard output and to standard error."""
        return [output.read_text(errors="replace") for output in self.outputs]

    def kill(self) -> None:
        """The driver and its virtual machine, of which one may outlive the other."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
