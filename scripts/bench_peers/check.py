"""Whether the peers built what flowlake built: `python -m bench_peers.check LAKE PRODUCT...`.

Nobody may be fast by being wrong. For each month and class the number of rows must be the one of flowlake's manifest,
and each column must hold as many values as in flowlake's files, with the same checksum over them, in no particular
order. That is every cell, but not which cells stand in one row together.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import duckdb

from bench_peers.product import columns

# Names are the same in all products, types need not be: the engines write other widths and units.
_TIMESTAMPS = ("flowStartMilliseconds", "flowEndMilliseconds")

Partition = tuple[str, str]
Sums = dict[str, tuple[int, int]]


def main() -> int:
    lake, *products = map(Path, sys.argv[1:])
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    wanted_rows = _manifest_rows(lake)
    wanted = {partition: sums for partition, (_, sums) in _read(database, lake / "data").items()}
    total = [sum(wanted_rows.values())]
    wrong = []
    for product in products:
        found = _read(database, product)
        rows = {partition: rows for partition, (rows, _) in found.items()}
        total.append(sum(rows.values()))
        for partition in sorted(wanted_rows.keys() | rows.keys()):
            if rows.get(partition) != wanted_rows.get(partition):
                wrong.append(
                    f"{product.name}: {partition} has {rows.get(partition)} rows, not {wanted_rows.get(partition)}"
                )
        for name in columns():
            if any(found[partition][1][name] != wanted[partition][name] for partition in found.keys() & wanted.keys()):
                wrong.append(f"{product.name}: the values of {name} are others")
    print(json.dumps({"rows": total, "wrong": wrong}))
    return 0


def _manifest_rows(lake: Path) -> dict[Partition, int]:
    rows: Counter[Partition] = Counter()
    for file in json.loads((lake / "manifest.json").read_text())["files"]:
        rows[file["month"], file["deviceClass"]] += file["rows"]
    return dict(rows)


def _read(database: duckdb.DuckDBPyConnection, product: Path) -> dict[Partition, tuple[int, Sums]]:
    """Rows, and values and checksum of each column, by partition."""
    names = columns()
    sums = ", ".join(f'count("{name}"), sum(hash({_normal(name)}))' for name in names)
    found = database.execute(
        f"""
        SELECT month, deviceClass, count(*), {sums}
        FROM read_parquet('{product}/**/*.parquet', hive_partitioning = true, hive_types_autocast = false)
        GROUP BY ALL
        """
    ).fetchall()
    return {
        (month, device_class): (rows, dict(zip(names, zip(values[::2], values[1::2], strict=True), strict=True)))
        for month, device_class, rows, *values in found
    }


def _normal(name: str) -> str:
    return f'epoch_ms("{name}")' if name in _TIMESTAMPS else f'"{name}"::VARCHAR'


if __name__ == "__main__":
    sys.exit(main())
