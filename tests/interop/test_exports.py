"""Exports, read by other programs and compared with the lake's own Parquet files cell by cell."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.json
import pyarrow.parquet as pq
import pytest

import lakes
from dumps import read_records
from lakes import BuildLake, Lake, run

ARROW_TYPES = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "date": pa.date32(),
    "timestamp[ms, UTC]": pa.timestamp("ms", "UTC"),
}
DUCKDB_TYPES = {
    "string": "VARCHAR",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "date": "DATE",
    "timestamp[ms, UTC]": "TIMESTAMPTZ",
}
POLARS_TYPES = {
    "string": pl.String,
    "int32": pl.Int32,
    "int64": pl.Int64,
    "float64": pl.Float64,
    "date": pl.Date,
    "timestamp[ms, UTC]": pl.Datetime("ms", "UTC"),
}
COMPRESSIONS = {"none": "", "gzip": ".gz", "zstd": ".zst"}


def columns(lake: Lake) -> dict[str, str]:
    """Every column of an export with its type as the manifest has it: those of the files, then partition columns."""
    schema = lake.manifest["schema"]
    return {column["name"]: column["type"] for column in schema["columns"] + schema["partitionBy"]}


def expected(lake: Lake) -> dict[str, pa.Table]:
    """What each file of an export holds, by its name without extension: the data files of a device and month."""
    schema = pa.schema({name: ARROW_TYPES[kind] for name, kind in columns(lake).items()})
    tables: dict[str, list[pa.Table]] = {}
    for file in sorted(lake.manifest["files"], key=lambda file: file["path"]):
        table = pq.read_table(lake.root / file["path"], partitioning=None)
        for name in ["month", "deviceClass"]:
            table = table.append_column(name, pa.array([file[name]] * len(table), pa.string()))
        tables.setdefault(f"{file['deviceName']}_{file['month']}", []).append(table.cast(schema))
    return {name: pa.concat_tables(parts) for name, parts in tables.items()}


def export(lake: Lake, directory: Path, form: str, compression: str) -> dict[str, Path]:
    """The files of an export, by name without extension."""
    run("export", lake.root, "--format", form, "--compression", compression, "--output", directory)
    ending = ".arrow" if form == "arrow" else f".{form}{COMPRESSIONS[compression]}"
    assert all(path.name.endswith(ending) for path in directory.iterdir())
    return {path.name.removesuffix(ending): path for path in sorted(directory.iterdir())}


def compare(found: pa.Table, table: pa.Table, name: str) -> None:
    assert found.schema.names == table.schema.names, name
    assert found.schema.types == table.schema.types, name
    for column in table.schema.names:
        assert found[column].equals(table[column]), f"{name}: {column}"


def read_csv(lake: Lake, path: Path) -> pa.Table:
    types = {column: ARROW_TYPES[kind] for column, kind in columns(lake).items()}
    convert = pyarrow.csv.ConvertOptions(
        column_types=types,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.read_csv(path, parse_options=parse, convert_options=convert)


def read_ndjson(lake: Lake, path: Path) -> pa.Table:
    schema = pa.schema({column: ARROW_TYPES[kind] for column, kind in columns(lake).items()})
    # pyarrow takes a date in JSON for a number of days and nothing else.
    written = pa.schema([field.with_type(pa.string()) if pa.types.is_date(field.type) else field for field in schema])
    parse = pyarrow.json.ParseOptions(explicit_schema=written, unexpected_field_behavior="error")
    with pa.input_stream(path) as stream:
        return pyarrow.json.read_json(stream, parse_options=parse).cast(schema)


def read_arrow(_lake: Lake, path: Path) -> pa.Table:
    return pyarrow.feather.read_table(path, memory_map=False)


PYARROW = {"csv": read_csv, "ndjson": read_ndjson, "arrow": read_arrow}
ENCODINGS = [
    *((form, compression) for form in ["csv", "ndjson"] for compression in COMPRESSIONS),
    ("arrow", "none"),
    ("arrow", "zstd"),
]


@pytest.mark.parametrize(("form", "compression"), ENCODINGS)
def test_pyarrow_finds_every_cell(lake: Lake, tmp_path: Path, form: str, compression: str):
    files = export(lake, tmp_path / "out", form, compression)
    tables = expected(lake)
    assert files.keys() == tables.keys()
    for name, path in files.items():
        compare(PYARROW[form](lake, path), tables[name], name)


def test_an_arrow_file_says_where_it_is_from(lake: Lake, tmp_path: Path):
    path = next(iter(export(lake, tmp_path / "out", "arrow", "zstd").values()))
    metadata = {key.decode(): value.decode() for key, value in read_arrow(lake, path).schema.metadata.items()}
    dataset, recipe = lake.manifest["dataset"], lake.manifest["recipe"]
    assert metadata == {
        "flowlake.dataset": dataset["name"],
        "flowlake.title": dataset["title"],
        "flowlake.licence": dataset["licence"],
        "flowlake.citation": dataset["citation"],
        "flowlake.url": dataset["url"],
        "flowlake.recipe": recipe["name"],
        "flowlake.recipeDigest": recipe["digest"],
    }


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_duckdb_finds_every_row(lake: Lake, tmp_path: Path, form: str, compression: str):
    export(lake, tmp_path / "out", form, compression)
    types = ", ".join(f"'{name}': '{DUCKDB_TYPES[kind]}'" for name, kind in columns(lake).items())
    source = {
        "csv": f"read_csv('{tmp_path}/out/*', columns = {{{types}}}, allow_quoted_nulls = false, header = true, "
        "delim = ',', quote = '\"', escape = '\"', auto_detect = false)",
        "ndjson": f"read_json('{tmp_path}/out/*', columns = {{{types}}}, format = 'newline_delimited')",
    }[form]
    names = ", ".join(f'"{name}"' for name in columns(lake))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE VIEW exported AS SELECT {names} FROM {source}")
        connection.execute(f"CREATE VIEW lake AS SELECT {names} FROM {lake.duckdb_source()}")
        for one, other in [("exported", "lake"), ("lake", "exported")]:
            left = connection.execute(f"SELECT count(*) FROM (FROM {one} EXCEPT ALL FROM {other})").fetchone()
            assert left == (0,), f"rows of {one} that are not in {other}"
        assert connection.execute("SELECT count(*) FROM exported").fetchone() == (lake.manifest["totals"]["rows"],)


@pytest.mark.parametrize("form", ["csv", "ndjson", "arrow"])
def test_polars_finds_every_cell(lake: Lake, tmp_path: Path, form: str):
    schema = {name: POLARS_TYPES[kind] for name, kind in columns(lake).items()}
    # Polars reads a time zone in text as one only when it is told how times are written.
    written = {name: pl.String if isinstance(kind, pl.Datetime) else kind for name, kind in schema.items()}
    times = [name for name, kind in schema.items() if isinstance(kind, pl.Datetime)]
    tables = expected(lake)
    for name, path in export(lake, tmp_path / "out", form, "none").items():
        if form == "csv":
            found = pl.read_csv(path, schema=written)
        elif form == "ndjson":
            found = pl.read_ndjson(path, schema=written)
        else:
            found = pl.read_ipc(path, memory_map=False)
        if form != "arrow":
            found = found.with_columns(pl.col(times).str.to_datetime("%+", time_unit="ms", time_zone="UTC"))
        assert dict(found.schema) == schema
        assert found.equals(pl.from_arrow(tables[name]), null_equal=True), name


def test_null_and_empty_text_stay_apart(build_lake: BuildLake, tmp_path: Path):
    """The recipe that ships leaves no text empty, so a lake without one of its repairs is made of three flows."""
    sample = build_lake("sample", "flows")
    device = sample.devices[0]
    flows = [flow for _, kind, flow in read_records(sample.parts(device)) if kind == "flows"]
    started = [flow for flow in flows if flow["sourceMacAddress"].startswith(device.mac)]
    texts = ["", None, 'a,"b"\nc']
    lines = [json.dumps({"flows": started[0] | {"flowEndReason": text}}, default=float) for text in texts]
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    (dumps / f"{device.dump}.json").write_text("\n".join(lines) + "\n")
    recipe = lakes.recipe_file("flows").read_text()
    (tmp_path / "recipe.toml").write_text(recipe.replace('"flowEndReasonClosed",', ""))
    odd = lakes.DataSet("odd", dumps, sample.data_set.catalogue, [device])
    config = ["--config", odd.catalogue, "--recipe", tmp_path / "recipe.toml"]
    run("build", *config, "--input", dumps, "--device", device.name, "--output", tmp_path / "lake")
    lake = Lake(tmp_path / "lake", odd, sample.recipe)

    for form, read in PYARROW.items():
        (path,) = export(lake, tmp_path / form, form, "none").values()
        assert read(lake, path)["flowEndReason"].to_pylist() == texts, form
    csv, ndjson = tmp_path / "csv" / "*.csv", tmp_path / "ndjson" / "*.ndjson"
    with duckdb.connect() as connection:
        for source in [f"read_csv('{csv}', allow_quoted_nulls = false)", f"read_json('{ndjson}')"]:
            found = connection.execute(f"SELECT flowEndReason FROM {source}").fetchall()
            assert [text for (text,) in found] == texts, source
    assert pl.read_csv(csv)["flowEndReason"].to_list() == texts
    assert pl.read_ndjson(ndjson)["flowEndReason"].to_list() == texts
