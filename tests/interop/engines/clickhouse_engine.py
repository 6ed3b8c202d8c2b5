"""ClickHouse reads lakes, within this process (chdb)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from engines.reading import ELSEWHERE, Columns, Effort, Partition, Query, Source, Summary, summary_from

if TYPE_CHECKING:
    from chdb.session import Session

# One file more than this in braces is refused unless the setting is raised.
MOST_FILES = 100_000


def paths(source: Source) -> str:
    """All files as one pattern, which is how the functions `file` and `s3` want them."""
    if source.files is None:
        return f"{source.data}/**/*.parquet"
    below = [path.removeprefix(f"{source.root}/") for path in source.files]
    return f"{source.root}/{{{','.join(below)}}}" if len(below) > 1 else f"{source.root}/{below[0]}"


class ClickHouse:
    title = "ClickHouse"

    def __init__(self, session: Session, credentials: tuple[str, str] | None = None) -> None:
        self.session = session
        # Of the store that the lakes are in; without, they are in directories.
        self.credentials = credentials
        settings = {
            "session_timezone": f"'{ELSEWHERE}'",
            "glob_expansion_max_elements": MOST_FILES,
            "output_format_json_quote_64bit_integers": 0,
        }
        self.set(settings)
        self.version = str(self.rows("SELECT version()")[0][0])

    def set(self, settings: dict[str, object]) -> None:
        for name, value in settings.items():
            self.session.query(f"SET {name} = {value}")

    def rows(self, sql: str) -> list[list[Any]]:
        return [json.loads(line) for line in str(self.session.query(sql, "JSONCompactEachRow")).splitlines()]

    def table(self, source: Source) -> str:
        if self.credentials is None:
            return f"file('{paths(source)}', Parquet)"
        key, secret = self.credentials
        return f"s3('{paths(source)}', '{key}', '{secret}', Parquet)"

    def session_zone(self) -> str:
        return self.rows("SELECT timezone()")[0][0]

    def types(self, source: Source) -> dict[str, str]:
        return {name: data_type for name, data_type, *_ in self.rows(f"DESCRIBE {self.table(source)}")}

    def summary(self, source: Source, columns: Columns) -> dict[Partition, Summary]:
        selected = ["month", "deviceClass", "count()"]
        if columns.start:
            selected += [f"toUnixTimestamp64Milli({edge}({columns.start}))" for edge in ("min", "max")]
        selected += [f'sum("{name}")' for name in columns.summed]
        selected += [f'count("{name}")' for name in columns.all]
        found = self.rows(f"SELECT {', '.join(selected)} FROM {self.table(source)} GROUP BY month, deviceClass")
        return {(month, name): summary_from(columns, values) for month, name, *values in found}

    def answer(self, source: Source, query: Query | None) -> tuple[int, int]:
        where = query.where("toDateTime64('{}', 3, 'UTC')") if query else ""
        rows, octets = self.rows(f"SELECT count(), sum(octetTotalCount) FROM {self.table(source)} {where}")[0]
        return rows, octets

    def effort(self, source: Source, query: Query | None) -> Effort:
        before = self.events()
        answer = self.answer(source, query)
        after = self.events()
        happened = {name: after[name] - before.get(name, 0) for name in after if after[name] != before.get(name, 0)}
        return Effort(
            *answer,
            happened["EngineFileLikeReadFiles"],
            row_groups=happened.get("ParquetReadRowGroups", 0),
            # Rows that a condition was asked about: not those of row groups that a bloom filter excludes.
            scanned_rows=happened.get("ParquetRowsFilterExpression") if query else None,
            told=str(happened),
        )

    def events(self) -> dict[str, int]:
        """What this process counted since it began."""
        return dict(self.rows("SELECT event, value FROM system.events"))
