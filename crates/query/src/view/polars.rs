//! Python with Polars.

use std::fmt::Write;

use super::{Lake, Place, named, python_text};

pub(super) fn code(lake: &Lake<'_>) -> String {
    let mut code = String::from("# Python with Polars\n");
    let root = lake.place.root(|scheme| scheme.name());
    let mut storage = String::new();
    match &lake.place {
        Place::Directory(_) => {
            let _ = write!(
                code,
                "\
import json
from pathlib import Path

import polars as pl

lake = Path({})
# Exactly the files that the manifest lists.
files = [lake / file[\"path\"] for file in json.loads((lake / \"manifest.json\").read_text())[\"files\"]]
",
                python_text(&root)
            );
        }
        Place::Objects(_) => {
            let _ = write!(
                code,
                "\
import os

# Without it Polars reads what lies between the columns that are asked for, too.
os.environ.setdefault(\"POLARS_DOWNLOAD_CHUNK_SIZE_RANDOM_ACCESS\", \"65536\")

import polars as pl

lake = {}
# Exactly the files that the manifest lists, at the time this was printed.
files = [
",
                python_text(&root)
            );
            for path in lake.paths() {
                let _ = writeln!(code, "    f\"{{lake}}/{path}\",");
            }
            code.push_str("]\n");
            if let Some(endpoint) = &lake.surroundings.s3_endpoint {
                let allow =
                    if endpoint.starts_with("http://") { ", \"aws_allow_http\": \"true\"" } else { "" };
                storage = format!(
                    "    storage_options={{\"aws_endpoint_url\": {}{allow}}},\n",
                    python_text(endpoint)
                );
            }
        }
    }
    // Directories above the lake count, too.
    let keys =
        lake.outer_keys().into_iter().chain(lake.partition_columns().map(|column| column.name.clone()));
    let hive: Vec<String> = keys.map(|key| format!("{}: pl.String", python_text(&key))).collect();
    let select = match lake.outer_keys().is_empty() {
        true => String::new(),
        false => {
            let names: Vec<String> = lake.columns().map(|column| python_text(&column.name)).collect();
            format!(".select(\n    {}\n)", names.join(",\n    "))
        }
    };
    code.push_str("flows = pl.scan_parquet(\n    files,\n    schema={\n");
    for column in &lake.manifest.schema.columns {
        let data_type = named(
            column.data_type,
            ["pl.String", "pl.Int32", "pl.Int64", "pl.Float64", "pl.Date", "pl.Datetime(\"ms\", \"UTC\")"],
        );
        let _ = writeln!(code, "        {}: {data_type},", python_text(&column.name));
    }
    let _ = write!(
        code,
        "    }},\n    hive_partitioning=True,\n    hive_schema={{{}}},\n    glob=False,\n{storage}){select}\n# SQL: pl.SQLContext(flows=flows).execute(\"SELECT …\", eager=True)\n",
        hive.join(", ")
    );
    code
}
