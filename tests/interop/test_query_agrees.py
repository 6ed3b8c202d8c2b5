"""`flowlake query` answers as DuckDB does over the same files, or refuses: never a wrong answer in silence.

The SQL is that of DataFusion, which keeps close to PostgreSQL. Where its dialect merely differs, the queries spell out
what they mean (`NULLS LAST`, casts), or stand under DIALECT with the answer that is documented.
"""

from __future__ import annotations

import io
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from lakes import BuildLake, Lake, binary
from query_cases import ANSWERED, DEVICES, ORDERED
from query_refusals import DIALECT, REFUSED, RIGHT_OR_REFUSED

# A query of a small lake takes far less than a second; what hangs must end all the same.
TIMEOUT_SECONDS = 60
USAGE_ERROR = 2
# What only a programmer can read.
INSIDES = (
    "panicked",
    "Ident {",
    "Span(",
    "Some(",
    "Expr",
    "InSubquery(",
    "internal error",
    "ArrowError(",
    "bug report",
    "Optimizer rule",
)


@pytest.fixture(scope="module")
def sample(build_lake: BuildLake) -> Lake:
    return build_lake("sample", "flows")


@pytest.fixture(scope="module")
def oracle(sample: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB, in which `flows` is what flowlake says it is: whole numbers have 64 bits, partition columns come last."""
    schema = sample.manifest["schema"]
    columns = ", ".join(
        f'CAST("{column["name"]}" AS BIGINT) AS "{column["name"]}"' if column["type"] == "int32" else column["name"]
        for column in schema["columns"] + schema["partitionBy"]
    )
    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE flows AS SELECT {columns} FROM {sample.duckdb_source()}")
        yield connection


def query(lake: Path, sql: str, form: str = "parquet") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [binary(), "query", lake, sql, "--format", form],
        # Everything in a lake is UTC, so a machine elsewhere must make no difference.
        env=os.environ | {"TZ": "Asia/Tokyo"},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def answer(lake: Path, sql: str) -> list[tuple[Any, ...]]:
    done = query(lake, sql)
    assert done.returncode == 0, done.stderr.decode()
    return plain_rows(pq.read_table(io.BytesIO(done.stdout)))


def plain_rows(table: Any) -> list[tuple[Any, ...]]:
    return list(zip(*([plain(value) for value in column.to_pylist()] for column in table.columns), strict=True))


def plain(value: Any) -> Any:
    """Numbers of one value compare equal, whatever their type; sums of floats may differ in the last digits."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(f"{value:.9g}")
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return tuple(plain(item) for item in value)
    return value


def expected(oracle: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return plain_rows(oracle.execute(sql).to_arrow_table())


def unordered(rows: list[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    return Counter(rows)


def check_refusal(done: subprocess.CompletedProcess[bytes]) -> str:
    """The message of a query that was refused, which says in words why."""
    said = done.stderr.decode()
    assert done.returncode == USAGE_ERROR, said
    assert said.startswith("error: "), said
    for inside in INSIDES:
        assert inside not in said, said
    # What is known to be wrong with the SQL has nothing to do with the lake.
    assert "flowlake verify" not in said, said
    return said.removeprefix("error: ")


@pytest.mark.parametrize(("sql", "in_duckdb"), ANSWERED)
def test_answers(sample: Lake, oracle: duckdb.DuckDBPyConnection, sql: str, in_duckdb: str | None):
    assert unordered(answer(sample.root, sql)) == unordered(expected(oracle, in_duckdb or sql))


@pytest.mark.parametrize("sql", ORDERED)
def test_answers_in_order(sample: Lake, oracle: duckdb.DuckDBPyConnection, sql: str):
    assert answer(sample.root, sql) == expected(oracle, sql)


@pytest.mark.parametrize("sql", RIGHT_OR_REFUSED)
def test_is_right_or_refused(sample: Lake, oracle: duckdb.DuckDBPyConnection, sql: str):
    done = query(sample.root, sql)
    if done.returncode != 0:
        check_refusal(done)
        return
    found = plain_rows(pq.read_table(io.BytesIO(done.stdout)))
    assert unordered(found) == unordered(expected(oracle, sql))


@pytest.mark.parametrize(("sql", "reason"), REFUSED)
def test_is_refused(sample: Lake, sql: str, reason: str):
    assert reason.lower() in check_refusal(query(sample.root, sql)).lower()


@pytest.mark.parametrize(("sql", "rows"), DIALECT)
def test_dialect(sample: Lake, sql: str, rows: list[tuple[Any, ...]]):
    assert answer(sample.root, sql) == rows


def test_nulls_are_there(oracle: duckdb.DuckDBPyConnection):
    """Otherwise the queries above would show nothing about them."""
    for column in ("averageInterarrivalTime", "reverseMaxPacketSize"):
        nulls, values = oracle.execute(f"SELECT count(*) - count({column}), count({column}) FROM flows").fetchone()
        assert nulls > 100
        assert values > 100


TYPED = {
    "COUNT(*)": "BIGINT",
    "COUNT(DISTINCT deviceName)": "BIGINT",
    "SUM(octetTotalCount)": "BIGINT",
    "SUM(protocolIdentifier)": "BIGINT",
    "SUM(CASE WHEN octetTotalCount > 100 THEN 1 ELSE 0 END)": "BIGINT",
    "SUM(bytesPerPacket * 0.5)": "DOUBLE",
    "AVG(octetTotalCount)": "DOUBLE",
    "MEDIAN(octetTotalCount)": "DOUBLE",
    "MAX(protocolIdentifier)": "BIGINT",
    "MAX(deviceName)": "VARCHAR",
    "MIN(flowStartMilliseconds)": "TIMESTAMP WITH TIME ZONE",
    "MIN(flowStartMillisecondsDate)": "DATE",
    "MAX(LENGTH(deviceName))": "INTEGER",
    "MAX(EXTRACT(HOUR FROM flowStartMilliseconds))": "INTEGER",
    "MAX(month) > '2019-07'": "BOOLEAN",
}


def test_types_in_parquet(sample: Lake, tmp_path: Path):
    """Whole numbers of the lake and their sums have 64 bits, and times are instants in UTC."""
    file = tmp_path / "answer.parquet"
    names = {f"c{number}": expression for number, expression in enumerate(TYPED)}
    selected = ", ".join(f"{expression} AS {name}" for name, expression in names.items())
    done = query(sample.root, f"SELECT {selected} FROM flows")
    assert done.returncode == 0, done.stderr.decode()
    file.write_bytes(done.stdout)
    assert described(file) == {name: TYPED[expression] for name, expression in names.items()}
    found = pq.read_schema(file)
    assert str(found.field("c10").type) == "timestamp[ms, tz=UTC]"


def test_types_of_rows_in_parquet(sample: Lake, tmp_path: Path):
    """Columns come as they are in the lake, but for whole numbers, which have 64 bits."""
    file = tmp_path / "answer.parquet"
    done = query(sample.root, "SELECT *, ROW_NUMBER() OVER (ORDER BY flowStartMilliseconds) AS number FROM flows")
    assert done.returncode == 0, done.stderr.decode()
    file.write_bytes(done.stdout)
    with duckdb.connect() as connection:
        lake = connection.execute(f"DESCRIBE SELECT * FROM {sample.duckdb_source()}").fetchall()
    types = {row[0]: row[1].replace("INTEGER", "BIGINT") for row in lake} | {"number": "BIGINT"}
    assert described(file) == types


def described(file: Path) -> dict[str, str]:
    with duckdb.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(f"DESCRIBE FROM read_parquet('{file}')").fetchall()}


ROWS = (
    "SELECT deviceName, month, octetTotalCount, averageInterarrivalTime, bytesPerPacket / 7.0 AS share,"
    " flowStartMilliseconds, flowStartMillisecondsDate, flowStartMillisecondsTime, octetTotalCount > 1000 AS isLarge,"
    " CASE WHEN octetTotalCount > 1000 THEN '' WHEN octetTotalCount > 500 THEN 'a \"quoted\", text' END AS note"
    " FROM flows WHERE deviceClass = 'tv'"
)
ROW_TYPES = {
    "deviceName": "VARCHAR",
    "month": "VARCHAR",
    "octetTotalCount": "BIGINT",
    "averageInterarrivalTime": "BIGINT",
    "share": "DOUBLE",
    "flowStartMilliseconds": "TIMESTAMP WITH TIME ZONE",
    "flowStartMillisecondsDate": "DATE",
    "flowStartMillisecondsTime": "VARCHAR",
    "isLarge": "BOOLEAN",
    "note": "VARCHAR",
}
READ = {
    "csv": "read_csv('{file}', columns = {columns}, allow_quoted_nulls = false)",
    "json": "read_json('{file}', columns = {columns}, format = 'array')",
    "ndjson": "read_json('{file}', columns = {columns}, format = 'newline_delimited')",
    "parquet": "read_parquet('{file}')",
}


@pytest.mark.parametrize("form", READ)
def test_every_format_holds_the_same_rows(sample: Lake, oracle: duckdb.DuckDBPyConnection, tmp_path: Path, form: str):
    file = tmp_path / f"answer.{form}"
    done = query(sample.root, ROWS, form)
    assert done.returncode == 0, done.stderr.decode()
    file.write_bytes(done.stdout)
    source = READ[form].format(file=file, columns=ROW_TYPES)
    names = [row[0] for row in oracle.execute(f"DESCRIBE FROM {source}").fetchall()]
    assert names == list(ROW_TYPES)
    found = expected(oracle, f"SELECT * FROM {source}")
    assert len(found) > 1000
    assert unordered(found) == unordered(expected(oracle, ROWS))


@pytest.mark.parametrize("form", READ)
def test_every_format_holds_an_answer_without_rows(
    sample: Lake, oracle: duckdb.DuckDBPyConnection, tmp_path: Path, form: str
):
    file = tmp_path / f"answer.{form}"
    done = query(sample.root, f"{ROWS} AND month = '1999-01'", form)
    assert done.returncode == 0, done.stderr.decode()
    file.write_bytes(done.stdout)
    if form == "ndjson":
        assert done.stdout == b""
    else:
        assert expected(oracle, f"SELECT * FROM {READ[form].format(file=file, columns=ROW_TYPES)}") == []


@pytest.mark.parametrize("form", ["csv", "json", "ndjson", "parquet"])
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT deviceName, n, SUM(n) OVER (PARTITION BY deviceClass) AS ofClass"
        " FROM (SELECT deviceName, deviceClass, COUNT(*) AS n FROM flows GROUP BY deviceName, deviceClass) AS t",
        "SELECT month, 1 AS one, COUNT(*) AS n FROM flows GROUP BY month",
    ],
    ids=["a window over groups", "a constant beside groups"],
)
def test_every_format_takes_columns_in_pieces(sample: Lake, oracle: duckdb.DuckDBPyConnection, form: str, sql: str):
    """What is computed from groups comes in pieces that differ from column to column."""
    done = query(sample.root, sql, form)
    assert done.returncode == 0, done.stderr.decode()
    if form == "parquet":
        assert unordered(plain_rows(pq.read_table(io.BytesIO(done.stdout)))) == unordered(expected(oracle, sql))


def test_columns_of_one_name_are_for_people(sample: Lake):
    """Where columns are found by their names, two of one name would be one."""
    sql = f"SELECT a.d, b.d FROM {DEVICES} AS a JOIN {DEVICES} AS b ON a.d = b.d ORDER BY a.d LIMIT 1"
    for form in ("csv", "table"):
        done = query(sample.root, sql, form)
        assert done.returncode == 0, done.stderr.decode()
    for form in ("json", "ndjson", "parquet"):
        check_refusal(query(sample.root, sql, form))


@pytest.mark.parametrize("form", ["csv", "json", "ndjson", "table"])
def test_durations_are_text(sample: Lake, form: str):
    sql = "SELECT MAX(flowEndMilliseconds - flowStartMilliseconds) AS d FROM flows WHERE deviceClass = 'tv'"
    done = query(sample.root, sql, form)
    assert done.returncode == 0, done.stderr.decode()
    assert b"PT" in done.stdout


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT COUNT(*) AS n FROM flows WHERE RANDOM() < 0.5",
        "SELECT deviceName, RANDOM() AS r FROM flows LIMIT 5",
        "SELECT deviceName FROM flows ORDER BY RANDOM() LIMIT 5",
        "SELECT UUID() AS u, deviceName FROM flows LIMIT 5",
    ],
    ids=["in a condition", "selected", "as an order", "as a name"],
)
def test_random_numbers_can_be_used_directly(sample: Lake, sql: str):
    done = query(sample.root, sql)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("sql", ["SHOW TABLES", "SHOW COLUMNS FROM flows", "DESCRIBE flows", "EXPLAIN SELECT 1 AS a"])
def test_what_else_asks(sample: Lake, sql: str):
    done = query(sample.root, sql, "csv")
    assert done.returncode == 0, done.stderr.decode()


def test_dates_are_days_of_utc(sample: Lake):
    days = answer(sample.root, "SELECT DISTINCT CAST(flowStartMilliseconds AS DATE) AS day FROM flows ORDER BY day")
    stored = answer(sample.root, "SELECT DISTINCT flowStartMillisecondsDate AS day FROM flows ORDER BY day")
    assert days == stored
    assert isinstance(days[0][0], date)
