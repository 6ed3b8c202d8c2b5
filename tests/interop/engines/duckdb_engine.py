"""DuckDB reads lakes."""

from __future__ import annotations

import json
from typing import Any

import duckdb

from engines.reading import ELSEWHERE, Columns, Effort, Partition, Query, Source, Summary, summary_from


def table(source: Source) -> str:
    paths = f"'{source.data}/**/*.parquet'" if source.files is None else list(source.files)
    return f"read_parquet({paths}, hive_partitioning = true)"


def question(flows: str, query: Query | None) -> str:
    where = query.where("TIMESTAMPTZ '{}+00'") if query else ""
    return f"SELECT count(*), coalesce(sum(octetTotalCount), 0) FROM {flows} {where}"


class DuckDB:
    title = "DuckDB"
    version = duckdb.__version__

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        connection.execute(f"SET TimeZone = '{ELSEWHERE}'")

    def session_zone(self) -> str:
        return self.connection.execute("SELECT current_setting('TimeZone')").fetchone()[0]

    def table(self, source: Source) -> str:
        return table(source)

    def types(self, source: Source) -> dict[str, str]:
        return {row[0]: row[1] for row in self.connection.execute(f"DESCRIBE FROM {self.table(source)}").fetchall()}

    def summary(self, source: Source, columns: Columns) -> dict[Partition, Summary]:
        selected = ["month", "deviceClass", "count(*)"]
        if columns.start:
            selected += [f"epoch_ms({edge}({columns.start}))" for edge in ("min", "max")]
        selected += [f'sum("{name}")' for name in columns.summed]
        selected += [f'count("{name}")' for name in columns.all]
        found = self.connection.execute(
            f"SELECT {', '.join(selected)} FROM {self.table(source)} GROUP BY ALL"
        ).fetchall()
        return {(month, name): summary_from(columns, values) for month, name, *values in found}

    def answer(self, source: Source, query: Query | None) -> tuple[int, int]:
        rows, octets = self.connection.execute(question(self.table(source), query)).fetchone()
        return rows, int(octets)

    def effort(self, source: Source, query: Query | None) -> Effort:
        plan = self.connection.execute(
            f"EXPLAIN (ANALYZE, FORMAT json) {question(self.table(source), query)}"
        ).fetchone()[1]
        files = int(scan_of(json.loads(plan))["extra_info"]["Total Files Read"])
        return Effort(*self.answer(source, query), files, told=plan)

    def row_groups_excluded_by_bloom_filters(self, path: str, column: str, value: str) -> list[bool]:
        """What the bloom filter of each row group says: whether the value cannot be in it."""
        probe = f"parquet_bloom_probe('{path}', '{column}', '{value}')"
        found = self.connection.execute(f"SELECT bloom_filter_excludes FROM {probe} ORDER BY row_group_id").fetchall()
        return [excluded for (excluded,) in found]


def scan_of(node: dict[str, Any]) -> dict[str, Any]:
    """The operator of a plan that reads the files."""
    found = operators(node)
    assert len(found) == 1, found
    return found[0]


def operators(node: dict[str, Any]) -> list[dict[str, Any]]:
    mine = [node] if node.get("operator_type") == "TABLE_SCAN" else []
    return mine + [found for child in node.get("children", []) for found in operators(child)]
