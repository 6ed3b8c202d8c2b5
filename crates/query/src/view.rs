//! Code for other engines that makes the table `flows` of a lake there.
//!
//! It names exactly the files of the manifest, and the types that the manifest states, so that what an engine would guess
//! plays no part: partition columns are text, timestamps are instants in UTC. Where the engine can read the manifest itself,
//! the code does that, and goes on to be right when the lake is replaced.

mod clickhouse;
mod duckdb;
mod polars;
mod spark;

use std::collections::BTreeSet;
use std::path::Path;

use flowlake_partition::manifest::{Column, ColumnType, Manifest};
use flowlake_store::{Location, ObjectUrl, Scheme};

/// Engines that there is code for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// SQL of DuckDB.
    DuckDb,
    /// Python with PySpark.
    Spark,
    /// SQL of ClickHouse.
    ClickHouse,
    /// Python with Polars.
    Polars,
}

/// Why there is no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// Code is text.
    #[error("{path} is not UTF-8, so no code can name it")]
    NotText {
        /// The path, as well as it can be shown.
        path: String,
    },
    /// The engine cannot read from there.
    #[error("{engine} has no plain way to read {url}")]
    Unreachable {
        /// Its name.
        engine: &'static str,
        /// The lake.
        url: String,
    },
    /// What the engine would take a letter of the path for.
    #[error("{engine} would take `{letter}` in {place} for a pattern")]
    Letter {
        /// Its name.
        engine: &'static str,
        /// The letter.
        letter: char,
        /// The lake.
        place: String,
    },
    /// What the engine would take a directory above the lake for.
    #[error("{engine} would take {directory} above the lake for the partition of its rows")]
    Partition {
        /// Its name.
        engine: &'static str,
        /// The directory.
        directory: String,
    },
    /// What code in one of the languages would have to quote, each in its own way.
    #[error("the name of column {column:?} has letters that code cannot name in every engine")]
    Column {
        /// Its name.
        column: String,
    },
    /// No files, no table.
    #[error("the lake has no rows, so there is nothing to make a view of")]
    Empty,
}

/// What the code depends on beside the lake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// URL of the server of S3, where that is not Amazon.
    pub s3_endpoint: Option<String>,
}

/// The code. It ends with a line end.
///
/// # Errors
/// [`ViewError`].
pub fn code(
    engine: Engine,
    lake: &Location,
    manifest: &Manifest,
    surroundings: &Surroundings,
) -> Result<String, ViewError> {
    if manifest.files.is_empty() {
        return Err(ViewError::Empty);
    }
    let place = Place::of(lake)?;
    let lake = Lake { place, manifest, surroundings };
    lake.refuse_names()?;
    match engine {
        Engine::DuckDb => {
            lake.refuse_letters("DuckDB", "*?[")?;
            lake.refuse_partitions("DuckDB")?;
            Ok(duckdb::code(&lake))
        }
        Engine::Spark => {
            lake.refuse_letters("Spark", "*?[]{}\\")?;
            spark::code(&lake)
        }
        Engine::ClickHouse => {
            lake.refuse_letters("ClickHouse", "*?[]{},\"")?;
            lake.refuse_partitions("ClickHouse")?;
            clickhouse::code(&lake)
        }
        Engine::Polars => {
            lake.refuse_partitions("Polars")?;
            Ok(polars::code(&lake))
        }
    }
}

/// A lake that code is made for.
struct Lake<'a> {
    place: Place<'a>,
    manifest: &'a Manifest,
    surroundings: &'a Surroundings,
}

enum Place<'a> {
    /// An absolute path, so that the code can be pasted anywhere.
    Directory(String),
    Objects(&'a ObjectUrl),
}

impl<'a> Place<'a> {
    fn of(lake: &'a Location) -> Result<Self, ViewError> {
        match lake {
            Location::Directory(path) => absolute(path).map(Self::Directory),
            Location::Objects(url) => Ok(Self::Objects(url)),
        }
    }

    /// The path, or the URL with a scheme as the engine has it.
    fn root(&self, scheme: impl Fn(Scheme) -> &'static str) -> String {
        match self {
            Self::Directory(path) => path.clone(),
            Self::Objects(url) => {
                let text = url.to_string();
                let rest = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
                format!("{}://{rest}", scheme(url.scheme()))
            }
        }
    }
}

impl Lake<'_> {
    /// All columns, partition columns last.
    fn columns(&self) -> impl Iterator<Item = &Column> {
        self.manifest.schema.columns.iter().chain(&self.manifest.schema.partition_by)
    }

    fn root(&self) -> String {
        self.place.root(Scheme::name)
    }

    /// Names that stand before a `=` in directories above the lake, which engines take for partitions.
    fn outer_keys(&self) -> BTreeSet<String> {
        let root = self.root();
        let keys = root.split('/').filter_map(|directory| directory.split_once('='));
        keys.map(|(key, _)| key.to_owned()).collect()
    }

    /// Names that would have to be quoted with more than the quotes around them. No recipe of ours has such ones, but a
    /// manifest may be of anybody.
    fn refuse_names(&self) -> Result<(), ViewError> {
        let is_plain = |name: &str| {
            let plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | ' ');
            !name.is_empty() && name.chars().all(plain)
        };
        match self.columns().find(|column| !is_plain(&column.name)) {
            Some(column) => Err(ViewError::Column { column: column.name.clone() }),
            None => Ok(()),
        }
    }

    fn refuse_letters(&self, engine: &'static str, letters: &str) -> Result<(), ViewError> {
        let place = self.root();
        match place.chars().find(|letter| letters.contains(*letter)) {
            Some(letter) => Err(ViewError::Letter { engine, letter, place }),
            None => Ok(()),
        }
    }

    fn refuse_partitions(&self, engine: &'static str) -> Result<(), ViewError> {
        let root = self.root();
        let is_partition = |directory: &&str| {
            let key = directory.split_once('=').map(|(key, _)| key);
            self.columns().any(|column| Some(column.name.as_str()) == key)
        };
        match root.split('/').find(is_partition) {
            Some(directory) => Err(ViewError::Partition { engine, directory: directory.to_owned() }),
            None => Ok(()),
        }
    }

    fn partition_columns(&self) -> impl Iterator<Item = &Column> {
        self.manifest.schema.partition_by.iter()
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        self.manifest.files.iter().map(|file| file.path.as_str())
    }
}

fn absolute(path: &Path) -> Result<String, ViewError> {
    let not_text = || ViewError::NotText { path: path.display().to_string() };
    let absolute = std::path::absolute(path).map_err(|_| not_text())?;
    let text = absolute.to_str().ok_or_else(not_text)?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// Bytes as they stand in a path of a URL, by RFC 3986.
#[must_use]
pub fn percent_encoded(path: &[u8]) -> String {
    let mut encoded = String::with_capacity(path.len());
    for &byte in path {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' | b'=' => encoded.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// A text in SQL.
fn sql_text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text in Python.
fn python_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Names of types, in the order of [`ColumnType`].
fn named(data_type: ColumnType, names: [&'static str; 6]) -> &'static str {
    let [string, int32, int64, float64, date, timestamp] = names;
    match data_type {
        ColumnType::String => string,
        ColumnType::Int32 => int32,
        ColumnType::Int64 => int64,
        ColumnType::Float64 => float64,
        ColumnType::Date => date,
        ColumnType::TimestampMillis => timestamp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_their_languages_want() {
        assert_eq!(sql_text("/it's/\\x"), "'/it''s/\\x'");
        assert_eq!(percent_encoded("/a b/month=1/é%~".as_bytes()), "/a%20b/month=1/%C3%A9%25~");
        assert_eq!(python_text("/a\"b\\c\u{7}é"), "\"/a\\\"b\\\\c\\u0007é\"");
    }
}
