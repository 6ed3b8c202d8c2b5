"""A cluster of Spark on this machine: a master and workers, processes of their own, listening on loopback only.

    with SparkCluster(scratch, workers=2) as cluster:
        ...  # SparkSession.builder.master(cluster.url)

Everything is taken from the package pyspark, and ends with this process whatever becomes of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyspark

from object_stores.servers import die_with_parent

HOME = Path(pyspark.__file__).parent
START_SECONDS = 120
STOP_SECONDS = 10
_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"
_LISTENING = ["--port", "0", "--webui-port", "0"]
_REGISTERED = r"(Successfully registered with master)"
# Processes of a few seconds on a machine of few cores: the last of speed costs them more than it gives.
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# What somebody's own Spark would lead these processes to.
_FOREIGN = ("SPARK_", "PYSPARK_", "HADOOP_", "YARN_")


class NotStarted(Exception):
    """A master or a worker did not come up."""


@dataclass
class Daemon:
    """A master or a worker, and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern: str, deadline: float) -> str:
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.said()):
                return found[1]
            if self.process.poll() is not None:
                raise NotStarted(f"{self.name} ended with {self.process.returncode}\n{self.said()}")
            time.sleep(0.05)
        raise NotStarted(f"{self.name} did not come up within {START_SECONDS} s\n{self.said()}")

    def signal(self, number: signal.Signals) -> None:
        """To the daemon and to what it started: executors are in its process group."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return

    def stop(self) -> None:
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        # Also whoever of its group is left.
        self.signal(signal.SIGKILL)
        self.process.wait()


class SparkCluster:
    """A master and workers of one core each. Logs, work directories and temporary files are below `scratch`.

    Workers are on the `hosts` in turn: Spark never runs two copies of a task on what it takes for one machine.
    """

    def __init__(
        self, scratch: Path, workers: int = 2, memory: str = "1g", hosts: Sequence[str] = ("127.0.0.1",)
    ) -> None:
        self.scratch = scratch
        self.workers = workers
        self.memory = memory
        # Of each worker there ever was.
        self.hosts = [hosts[number % len(hosts)] for number in range(workers)]
        self.daemons: list[Daemon] = []
        # spark://127.0.0.1:PORT
        self.url = ""
        self._web = ""

    def __enter__(self) -> SparkCluster:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        master = self._daemon("master", [_MASTER, *_LISTENING, "--host", "127.0.0.1"])
        self.url = master.wait_for(r"Starting Spark master at (spark://\S+)", deadline)
        self._web = master.wait_for(r"(?:MasterUI.* on port|MasterWebUI.*:)[ ]?(\d+)", deadline)
        for worker in [self._worker(number) for number in range(self.workers)]:
            worker.wait_for(_REGISTERED, deadline)

    def replace_worker(self, number: int) -> None:
        """One more, on the host of one that was killed: the hosts stay as many as they were."""
        self.hosts = [*self.hosts, self.hosts[number]]
        self.workers += 1
        self._worker(self.workers - 1).wait_for(_REGISTERED, time.monotonic() + START_SECONDS)

    def kill_worker(self, number: int) -> None:
        """As if its machine had lost its power: the worker and its executors are gone."""
        (worker,) = (daemon for daemon in self.daemons if daemon.name == f"worker-{number}")
        worker.signal(signal.SIGKILL)
        worker.process.wait()
        self.daemons.remove(worker)

    def stop(self) -> None:
        # Workers first: they would look for their master, and take their executors with them.
        while self.daemons:
            self.daemons.pop().stop()

    @property
    def numbers(self) -> range:
        """Of all workers, also of those that were killed."""
        return range(self.workers)

    def work_directory(self, number: int) -> Path:
        """Where a worker keeps what its executors say: a directory for each application."""
        return self.scratch / f"worker-{number}"

    def state(self) -> dict[str, Any]:
        """What the master says of itself, its workers and the applications."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._web}/json/", timeout=30) as answer:
            return json.load(answer)

    def _worker(self, number: int) -> Daemon:
        host = self.hosts[number]
        work = self.work_directory(number)
        resources = ["--cores", "1", "--memory", self.memory, "--work-dir", str(work)]
        return self._daemon(f"worker-{number}", [_WORKER, *_LISTENING, "--host", host, *resources, self.url], host)

    def _daemon(self, name: str, arguments: list[str], host: str = "127.0.0.1") -> Daemon:
        scratch = self.scratch / f"{name}-tmp"
        scratch.mkdir(parents=True)
        log = self.scratch / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [HOME / "bin" / "spark-class", *arguments],
                env=self._environment(scratch, host),
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.daemons.append(Daemon(name, process, log))
        return self.daemons[-1]

    def _environment(self, scratch: Path, host: str) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)} | {
            "SPARK_HOME": str(HOME),
            "SPARK_LOCAL_IP": host,
            "SPARK_LOCAL_DIRS": str(scratch),
            "SPARK_DAEMON_MEMORY": "256m",
            # Its port is always the same one, so that two clusters could not be on one machine.
            "SPARK_DAEMON_JAVA_OPTS": f"-Dspark.master.rest.enabled=false -Djava.io.tmpdir={scratch}",
            "PYSPARK_PYTHON": sys.executable,
            # Of daemons and, as they start them, of executors.
            "JDK_JAVA_OPTIONS": JAVA_OPTIONS,
        }
