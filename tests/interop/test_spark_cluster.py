"""Spark on a cluster of a master and two workers reads a lake as Spark in one process does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from engines.expected import columns_of, expected_summary, expected_types
from engines.reading import ELSEWHERE, Columns, Source, Summary, directory, listed
from engines.spark_cluster import SparkCluster
from lakes import BuildLake

WORKERS = 2
TIMEOUT_SECONDS = 600


@pytest.fixture(scope="module")
def cluster(java: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    with SparkCluster(tmp_path_factory.mktemp("spark-cluster"), workers=WORKERS) as cluster:
        yield cluster


def ask(cluster: SparkCluster, sources: list[Source], columns: Columns, scratch: Path) -> dict[str, Any]:
    """What a driver of its own gets from the cluster."""
    question = scratch / "question.json"
    question.write_text(json.dumps({"sources": list(map(asdict, sources)), "columns": asdict(columns)}))
    environment = os.environ | {
        "TZ": ELSEWHERE,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": str(Path(__file__).parent),
    }
    command = [sys.executable, "-m", "engines.spark_engine", "--master", cluster.url, "--scratch", scratch, question]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_cluster_reads_a_lake(cluster: SparkCluster, build_lake: BuildLake, tmp_path: Path):
    lake = build_lake("sample", "flows")
    columns = columns_of(lake)
    answer = ask(cluster, [directory(lake.root), listed(lake.root)], columns, tmp_path)
    assert answer["zone"] == ELSEWHERE
    assert len(answer["found"]) == 2
    for found in answer["found"]:
        assert found["types"] == expected_types(lake, "Spark")
        summaries = {(month, name): Summary(**values) for month, name, values in found["summary"]}
        assert summaries == expected_summary(lake, columns)
        # Each worker has one core, so these are two executors; both had work to do.
        assert len(found["tasks"]) == WORKERS
        assert all(found["tasks"].values()), found["tasks"]


def test_the_cluster_is_one_of_two_workers_on_loopback(cluster: SparkCluster):
    state = cluster.state()
    assert state["aliveworkers"] == WORKERS
    assert {worker["host"] for worker in state["workers"]} == {"127.0.0.1"}
    assert cluster.url.startswith("spark://127.0.0.1:")


def test_nothing_of_a_cluster_is_left(java: None, tmp_path: Path):
    processes: list[subprocess.Popen[bytes]] = []

    def fail() -> None:
        with SparkCluster(tmp_path, workers=1) as cluster:
            processes.extend(daemon.process for daemon in cluster.daemons)
            assert {process.pid for process in processes} <= groups_of_living_processes()
            raise RuntimeError("a test that fails")

    with pytest.raises(RuntimeError, match="a test that fails"):
        fail()
    assert len(processes) == 2
    for process in processes:
        assert process.poll() is not None
        # Nor anything that these started: they were the leaders of their process groups.
        assert process.pid not in groups_of_living_processes()


def groups_of_living_processes() -> set[int]:
    """Process groups without those of which only zombies are left: who collects them is none of ours."""
    listing = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    found = (line.split() for line in listing.splitlines())
    return {int(group) for group, state in found if not state.startswith("Z")}
