"""Spark reads lakes, within this process or, as a program, through a master:

    PYTHONPATH=tests/interop python -m engines.spark_engine --master spark://127.0.0.1:7077 QUESTION

QUESTION is a file of JSON: `columns`, and `sources` to summarise one after the other. The answer goes to standard
output, as JSON too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyspark
from pyspark.sql import DataFrame, SparkSession

from engines.reading import ELSEWHERE, Columns, Effort, Partition, Query, Source, Summary, summary_from


def session(master: str, scratch: Path, **more: str) -> SparkSession:
    """A session that shows nothing, listens on loopback only, and writes below `scratch` only."""
    builder = SparkSession.builder.master(master).appName("flowlake tests")
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.local.dir": str(scratch / "local"),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.session.timeZone": ELSEWHERE,
        # As many as there are cores; the default of 200 is for other sizes.
        "spark.sql.shuffle.partitions": "2",
        # A list of files is looked at by the driver; otherwise that would be a task for each of them.
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
        # Plans as they are, for tests to look into.
        "spark.sql.debug.maxToStringFields": "10000",
        "spark.sql.maxMetadataStringLength": "100000",
    }
    for name, value in (settings | more).items():
        builder = builder.config(name, value)
    started = builder.getOrCreate()
    started.sparkContext.setLogLevel("ERROR")
    return started


class Spark:
    title = "Spark"
    version = pyspark.__version__

    def __init__(self, session: SparkSession) -> None:
        self.session = session

    def session_zone(self) -> str:
        return self.session.sql("SELECT current_timezone()").collect()[0][0]

    def flows(self, source: Source) -> DataFrame:
        if source.files is None:
            return self.session.read.parquet(source.data)
        # Without the base path the partition columns of single files are missing.
        return self.session.read.option("basePath", source.data).parquet(*source.files)

    def types(self, source: Source) -> dict[str, str]:
        return dict(self.flows(source).dtypes)

    def summary(self, source: Source, columns: Columns) -> dict[Partition, Summary]:
        selected = ["month", "deviceClass", "count(*)"]
        if columns.start:
            selected += [f"unix_millis({edge}({columns.start}))" for edge in ("min", "max")]
        selected += [f"sum(`{name}`)" for name in columns.summed]
        selected += [f"count(`{name}`)" for name in columns.all]
        self.flows(source).createOrReplaceTempView("flows")
        found = self.session.sql(f"SELECT {', '.join(selected)} FROM flows GROUP BY month, deviceClass").collect()
        return {(month, name): summary_from(columns, values) for month, name, *values in found}

    def asked(self, source: Source, query: Query | None) -> DataFrame:
        where = query.where("TIMESTAMP '{}Z'") if query else ""
        self.flows(source).createOrReplaceTempView("flows")
        return self.session.sql(f"SELECT count(*), coalesce(sum(octetTotalCount), 0) FROM flows {where}")

    def answer(self, source: Source, query: Query | None) -> tuple[int, int]:
        rows, octets = self.asked(source, query).collect()[0]
        return rows, octets

    def effort(self, source: Source, query: Query | None) -> Effort:
        asked = self.asked(source, query)
        rows, octets = asked.collect()[0]
        (scan,) = (
            node
            for node in nodes(asked._jdf.queryExecution().executedPlan())
            if node.getClass().getSimpleName() == "FileSourceScanExec"
        )
        metrics = {}
        entries = scan.metrics().iterator()
        while entries.hasNext():
            entry = entries.next()
            metrics[entry._1()] = entry._2().value()
        told = f"{scan.simpleString(10_000)}\n{metrics}"
        return Effort(rows, octets, metrics["numFiles"], scanned_rows=metrics["numOutputRows"], told=told)


def nodes(plan: Any) -> Iterator[Any]:
    """The nodes of a plan that was carried out. Adaptive execution hides those that were in stages of their own."""
    yield plan
    name = plan.getClass().getSimpleName()
    if name == "AdaptiveSparkPlanExec":
        yield from nodes(plan.executedPlan())
    elif name.endswith("QueryStageExec"):
        yield from nodes(plan.plan())
    else:
        children = plan.children().iterator()
        while children.hasNext():
            yield from nodes(children.next())


def tasks_by_executor(session: SparkSession) -> dict[str, int]:
    """How many tasks each executor has completed; the driver is none."""
    executors = session.sparkContext._jsc.sc().statusStore().executorList(True).iterator()
    found = {}
    while executors.hasNext():
        executor = executors.next()
        if executor.id() != "driver":
            found[executor.id()] = executor.completedTasks()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Summarises a lake with Spark.")
    parser.add_argument("--master", required=True)
    parser.add_argument("--scratch", required=True, type=Path, help="directory for what Spark writes")
    parser.add_argument("question", type=Path)
    arguments = parser.parse_args()
    question = json.loads(arguments.question.read_text())
    sources = [Source(source["root"], as_tuple(source["files"])) for source in question["sources"]]
    columns = Columns(**{name: as_tuple(value) for name, value in question["columns"].items()})
    # All executors are to be there before the first task.
    spark = session(arguments.master, arguments.scratch, **{"spark.scheduler.minRegisteredResourcesRatio": "1.0"})
    try:
        engine = Spark(spark)
        found = []
        for source in sources:
            before = tasks_by_executor(spark)
            summary = engine.summary(source, columns)
            after = tasks_by_executor(spark)
            found.append(
                {
                    "types": engine.types(source),
                    "summary": [[*partition, asdict(values)] for partition, values in summary.items()],
                    "tasks": {name: number - before.get(name, 0) for name, number in after.items()},
                }
            )
        answer = {"zone": engine.session_zone(), "found": found}
    finally:
        spark.stop()
    json.dump(answer, sys.stdout)
    return 0


def as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main())
