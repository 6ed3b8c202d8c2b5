"""What a release tells people to do works as it stands there: its snippets, its sums, its page about rebuilding."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

import lakes
from cookbook import java_is_missing, run_apart


@pytest.fixture(scope="session")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dumps = tmp_path_factory.mktemp("card") / "dumps"
    lakes.run("sample", "--scale", "0.0001", "--output", dumps)
    return dumps


@pytest.fixture(scope="session")
def release(dumps: Path) -> Path:
    lake, release = dumps.with_name("lake"), dumps.with_name("release")
    lakes.run("build", "--config", dumps / "catalogue.toml", "--input", dumps, "--output", lake)
    lakes.run("release", lake, "--version", "1.0.0", "--output", release)
    return release


@pytest.fixture(scope="session")
def manifest(release: Path) -> dict[str, Any]:
    return json.loads((release / "manifest.json").read_text())


@pytest.fixture(scope="session")
def rows(manifest: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Rows by class and month, as the manifest has them."""
    rows: dict[tuple[str, str], int] = {}
    for file in manifest["files"]:
        key = file["deviceClass"], file["month"]
        rows[key] = rows.get(key, 0) + file["rows"]
    return rows


def snippet(release: Path, title: str, language: str) -> str:
    card = (release / "README.md").read_text()
    found = re.search(rf"^{title}:\n\n```{language}\n(.*?)^```$", card, re.DOTALL | re.MULTILINE)
    assert found, f"no snippet for {title}"
    return found[1]


def test_the_snippet_for_duckdb(release: Path, rows: dict[tuple[str, str], int]) -> None:
    query = snippet(release, "DuckDB", "sql")
    found = duckdb.connect().execute(query.replace("'data/", f"'{release}/data/")).fetchall()
    assert {(device_class, month): flows for device_class, month, flows in found} == rows


@pytest.mark.parametrize("title", ["Polars", "pandas"])
def test_the_snippets_in_python(release: Path, rows: dict[tuple[str, str], int], title: str) -> None:
    code = snippet(release, title, "python")
    program = f"import os\nos.environ['POLARS_FMT_MAX_ROWS'] = '-1'\n{code}"
    program = program.replace("import pandas as pd", "import pandas as pd\npd.set_option('display.max_rows', None)")
    environment = os.environ | {"POLARS_FMT_MAX_ROWS": "-1", "COLUMNS": "200"}
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=release, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    printed = re.findall(r"(\d{4}-\d{2})\D+(\d+)", result.stdout)
    assert sorted((month, int(flows)) for month, flows in printed) == sorted(
        (month, flows) for (_, month), flows in rows.items()
    )


def test_the_snippet_for_spark(release: Path, rows: dict[tuple[str, str], int], tmp_path: Path) -> None:
    if reason := java_is_missing():
        pytest.skip(reason)
    # The card is for Spark's own shell, which has a session. It is not to leave anything in the release.
    shell = "from pyspark.sql import SparkSession\n\nspark = SparkSession.builder.getOrCreate()"
    (tmp_path / "data").symlink_to(release / "data")
    session, outcome = run_apart(
        [("spark", "python", code) for code in (shell, snippet(release, "Spark", "python"))], tmp_path
    )
    assert session.error is None, session.error
    assert outcome.error is None, outcome.error
    read = Counter((row["deviceClass"], row["month"]) for row in outcome.rows or [])
    assert read == rows
    # Spark shows the first 20 rows, in any order.
    shown = re.findall(r"^\| *(\w+)\| *(\d{4}-\d{2})\| *(\d+)\|$", outcome.printed, re.MULTILINE)
    assert len(shown) == min(20, len(rows)), outcome.printed
    assert {(device_class, month): int(flows) for device_class, month, flows in shown}.items() <= rows.items()


def test_the_table_of_classes_and_months(release: Path, rows: dict[tuple[str, str], int]) -> None:
    card = (release / "README.md").read_text()
    table = card.split("## Rows by class and month\n\n")[1].split("\n\n")[0].splitlines()
    months = [cell.strip() for cell in table[0].split("|")[3:-2]]
    found = {}
    for line in table[2:]:
        name, _, *counts, _ = [cell.strip() for cell in line.split("|")[1:-1]]
        for month, count in zip(months, counts, strict=True):
            if count != "0":
                found[name.strip("`"), month] = int(count.replace(",", ""))
    assert found == rows


def test_the_columns_of_the_card_are_those_of_the_data(release: Path) -> None:
    card = (release / "README.md").read_text()
    told = re.findall(r"^\| `(\w+)` \|", card.split("## Columns\n")[1].split("\n## ")[0], re.MULTILINE)
    described = duckdb.connect().execute(
        f"DESCRIBE FROM read_parquet('{release}/data/**/*.parquet', hive_partitioning = true)"
    )
    assert sorted(told) == sorted(name for name, *_ in described.fetchall())


def test_the_sums_are_those_of_all_files(release: Path) -> None:
    command = ["sha256sum", "-c", "SHA256SUMS"]
    result = subprocess.run(command, cwd=release, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout
    checked = {line.removesuffix(": OK") for line in result.stdout.splitlines()}
    there = {str(path.relative_to(release)) for path in release.rglob("*") if path.is_file()}
    assert there - checked == {"SHA256SUMS"}


def test_the_digest_of_all_rows_can_be_computed_from_the_manifest(manifest: dict[str, Any]) -> None:
    lines = (f"{f['contentDigest']} {f['month']} {f['deviceClass']} {f['deviceName']}\n" for f in manifest["files"])
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == manifest["totals"]["contentDigest"]
