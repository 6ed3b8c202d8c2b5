//! `flowlake files` and `flowlake sql`: how other engines find what is in a lake.

use std::io::{self, Write};
use std::path::Path;

use flowlake_export::Selection;
use flowlake_partition::read::read_manifest;
use flowlake_query::view::{Engine, Surroundings, code, percent_encoded};
use flowlake_store::Location;

use super::query::selected;
use crate::cli::{FilesArgs, SqlArgs, SqlEngine};
use crate::exit::{Exit, Failure};
use crate::places::open;

pub(crate) fn files(args: &FilesArgs) -> Result<Exit, Failure> {
    let manifest = read_manifest(&open(&args.lake, Exit::Input)?)?;
    let files = selected(&manifest, &args.selection.selection())?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let end: &[u8] = if args.null { b"\0" } else { b"\n" };
    for file in files {
        match args.lake.join(&file.path) {
            Location::Directory(path) if args.url => out.write_all(file_url(&path)?.as_bytes())?,
            Location::Directory(path) => out.write_all(path.as_os_str().as_encoded_bytes())?,
            url @ Location::Objects(_) => write!(out, "{url}")?,
        }
        out.write_all(end)?;
    }
    out.flush()?;
    Ok(Exit::Success)
}

/// `file:///…`, by RFC 8089.
fn file_url(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(|error| Failure::new(Exit::Input, error))?;
    Ok(format!("file://{}", percent_encoded(absolute.as_os_str().as_encoded_bytes())))
}

pub(crate) fn sql(args: &SqlArgs) -> Result<Exit, Failure> {
    let manifest = read_manifest(&open(&args.lake, Exit::Input)?)?;
    // Whoever pastes the code opens what it names, and takes it for the lake.
    selected(&manifest, &Selection::default())?;
    let engine = match args.engine {
        SqlEngine::Duckdb => Engine::DuckDb,
        SqlEngine::Spark => Engine::Spark,
        SqlEngine::Clickhouse => Engine::ClickHouse,
        SqlEngine::Polars => Engine::Polars,
    };
    let variables = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    let s3_endpoint =
        variables.iter().filter_map(|name| std::env::var(name).ok()).find(|url| !url.is_empty());
    let code = code(engine, &args.lake, &manifest, &Surroundings { s3_endpoint })?;
    io::stdout().lock().write_all(code.as_bytes())?;
    Ok(Exit::Success)
}
