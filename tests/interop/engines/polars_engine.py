"""Polars reads lakes."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import polars as pl

from engines.reading import START, Columns, Effort, Partition, Query, Source, Summary, summary_from


def condition(query: Query) -> pl.Expr:
    return (
        (pl.col("month") == query.month)
        & (pl.col("deviceClass") == query.device_class)
        & (pl.col(START) >= query.begin)
        & (pl.col(START) < query.end)
        & (pl.col("serverIPAddress") == query.server)
    )


def measured(flows: pl.LazyFrame, query: Query | None) -> pl.LazyFrame:
    asked = flows if query is None else flows.filter(condition(query))
    return asked.select(pl.len().alias("rows"), pl.col("octetTotalCount").sum().alias("octets"))


class Polars:
    title = "Polars"
    version = pl.__version__

    def __init__(self, **options: object) -> None:
        self.options = options

    def scan(self, source: Source) -> pl.LazyFrame:
        # In a store only the slash says that it is a directory.
        paths = f"{source.data}/" if source.files is None else list(source.files)
        return pl.scan_parquet(paths, hive_partitioning=True, **self.options)

    def session_zone(self) -> None:
        return None

    def types(self, source: Source) -> dict[str, str]:
        return {name: str(data_type) for name, data_type in self.scan(source).collect_schema().items()}

    def summary(self, source: Source, columns: Columns) -> dict[Partition, Summary]:
        asked = [pl.len().alias("rows")]
        if columns.start:
            start = pl.col(columns.start)
            asked += [start.min().dt.epoch("ms").alias("first"), start.max().dt.epoch("ms").alias("last")]
        # A sum of nulls alone is 0 here, and null in SQL; a sum of Int32 is Int32, whether it fits or not.
        asked += [
            pl.when(pl.col(name).count() > 0).then(pl.col(name).cast(pl.Int64).sum()).alias(f"sum of {name}")
            for name in columns.summed
        ]
        asked += [pl.col(name).count().alias(f"values of {name}") for name in columns.all]
        keys = [pl.col("month").alias("key: month"), pl.col("deviceClass").alias("key: class")]
        found = self.scan(source).group_by(keys).agg(asked).collect()
        return {(month, name): summary_from(columns, values) for month, name, *values in found.iter_rows()}

    def answer(self, source: Source, query: Query | None) -> tuple[int, int]:
        return measured(self.scan(source), query).collect().row(0)

    def effort(self, source: Source, query: Query | None) -> Effort:
        plan = measured(self.scan(source), query).explain()
        with standard_error() as told, pl.Config(verbose=True):
            rows, octets = self.answer(source, query)
            log = told()
        read = [int(groups) for groups in re.findall(r"Predicate pushdown: reading (\d+) / \d+ row groups", log)]
        # It says nothing where there is nothing to skip by.
        return Effort(rows, octets, files_of(plan), row_groups=sum(read) if read else None, told=f"{plan}\n{log}")


@contextmanager
def standard_error() -> Iterator[Callable[[], str]]:
    """What Polars writes to standard error: it tells there what it skips."""
    before = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield lambda: os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()
        finally:
            os.dup2(before, 2)
            os.close(before)


def files_of(plan: str) -> int:
    """How many files a plan scans: it names the first and counts the others."""
    found = re.search(r"Parquet SCAN \[(.*?)\]\n", plan)
    assert found, plan
    more = re.search(r"\.\.\. (\d+) other", found[1])
    return found[1].count(".parquet") + (int(more[1]) if more else 0)
