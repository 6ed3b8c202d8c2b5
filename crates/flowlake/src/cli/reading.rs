//! The commands that ask a lake something.

use std::ffi::OsString;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use flowlake_export::Selection;
use flowlake_store::Location;

use super::LocationParser;

#[derive(Debug, Args)]
#[command(after_help = "\
The table is `flows`, with the columns that `flowlake head` shows, `month` and `deviceClass` among them. The SQL is that of \
DataFusion; names are as they are written, with their capital letters. Only the files, row groups and columns that a query needs are read: filter on month and deviceClass where you can. \
On a terminal the answer is a table, elsewhere CSV.

Examples:
  flowlake query lake \"SELECT deviceClass, COUNT(*) AS flows FROM flows GROUP BY deviceClass ORDER BY flows DESC\"
  flowlake query lake \"SELECT * FROM flows WHERE month = '2019-07' AND deviceClass = 'tv'\" --output tv.parquet
  flowlake query s3://bucket/lake - --format ndjson < question.sql")]
pub(crate) struct QueryArgs {
    /// The lake: a directory, or a URL such as s3://BUCKET/PREFIX
    #[arg(value_parser = LocationParser)]
    pub(crate) lake: Location,

    /// The query; `-` reads it from standard input
    #[arg(value_name = "SQL")]
    pub(crate) sql: String,

    /// Form of the answer [default: table on a terminal, else csv; by the name of --output]
    #[arg(long, value_enum)]
    pub(crate) format: Option<AnswerFormat>,

    /// File to write the answer to, all at once, instead of standard output
    #[arg(long, value_name = "FILE", value_parser = local_file())]
    pub(crate) output: Option<PathBuf>,

    /// Memory for rows that have to be kept, as 512MiB or 4GB [default: 1GiB]
    ///
    /// An order, a grouping or a join that needs more waits in temporary files in TMPDIR.
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory_limit: Option<ByteSize>,

    /// Number of threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
As a table, columns go down and rows across; in the other forms a row is a row.

Examples:
  flowlake head lake
  flowlake head lake --class smartSpeaker --month 2019-07 --columns serviceType,octetTotalCount --rows 10
  flowlake head s3://bucket/lake --format csv")]
pub(crate) struct HeadArgs {
    /// The lake: a directory, or a URL such as s3://BUCKET/PREFIX
    #[arg(value_parser = LocationParser)]
    pub(crate) lake: Location,

    /// How many rows
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rows: u32,

    /// Only these columns
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,

    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    /// Form of the answer
    #[arg(long, value_enum, default_value_t = AnswerFormat::Table)]
    pub(crate) format: AnswerFormat,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exactly the data files that the manifest lists, in its order: what an engine should read while the lake may be replaced, or \
where strays lie about. Nothing is listed or opened but the manifest.

Examples:
  flowlake files lake --month 2019-07 --class tv
  flowlake files s3://bucket/lake --url
  flowlake files lake --null | xargs -0 sha256sum")]
pub(crate) struct FilesArgs {
    /// The lake: a directory, or a URL such as s3://BUCKET/PREFIX
    #[arg(value_parser = LocationParser)]
    pub(crate) lake: Location,

    /// Print URLs: file:///… or s3://…
    #[arg(long)]
    pub(crate) url: bool,

    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    /// End names with a zero byte instead of a line end
    #[arg(long, short = '0')]
    pub(crate) null: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flowlake sql lake --engine duckdb > lake.sql && duckdb -init lake.sql
  flowlake sql s3://bucket/lake --engine spark")]
pub(crate) struct SqlArgs {
    /// The lake: a directory, or a URL such as s3://BUCKET/PREFIX
    #[arg(value_parser = LocationParser)]
    pub(crate) lake: Location,

    /// The engine that the code is for
    #[arg(long, value_enum)]
    pub(crate) engine: SqlEngine,
}

/// Which part of a lake.
#[derive(Debug, Args)]
pub(crate) struct SelectionArgs {
    /// Only devices of this class; may be given several times
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Vec<String>,

    /// Only this month of flow starts in UTC; may be given several times
    #[arg(long, value_name = "YYYY-MM")]
    pub(crate) month: Vec<String>,

    /// Only this device; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) device: Vec<String>,
}

impl SelectionArgs {
    pub(crate) fn selection(&self) -> Selection {
        Selection { classes: self.class.clone(), months: self.month.clone(), devices: self.device.clone() }
    }
}

/// Forms of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AnswerFormat {
    /// For people; at most 1,000 rows
    Table,
    /// Comma-separated text with a header line
    Csv,
    /// A list of JSON objects
    Json,
    /// A JSON object a line
    Ndjson,
    /// A Parquet file
    Parquet,
}

/// Engines that code can be printed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SqlEngine {
    /// SQL
    Duckdb,
    /// Python (PySpark)
    Spark,
    /// SQL
    Clickhouse,
    /// Python
    Polars,
}

/// A file of this machine. A URL would be taken for a file of that name.
fn local_file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.to_str() {
        Some(text) if text.contains("://") => Err("this has to be a file of this machine, not a URL"),
        _ => Ok(path),
    })
}

/// Arguments of the program. SQL that begins with a comment begins as an option does: a space before it tells the two apart.
///
/// It has a line behind the comment, and a space before any `=`, unlike `--output=FILE`. If the SQL could be anything that
/// begins with a hyphen, a misspelt option would be taken for it, and nobody would be told which one was meant.
pub(crate) fn with_sql_told_apart(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    if arguments.get(1).is_some_and(|command| command == "query") {
        for argument in arguments.iter_mut().skip(2) {
            if argument.to_str().is_some_and(begins_with_comment) {
                let mut sql = OsString::from(" ");
                sql.push(&*argument);
                *argument = sql;
            }
        }
    }
    arguments
}

fn begins_with_comment(argument: &str) -> bool {
    let name = argument.split('=').next().unwrap_or_default();
    argument.starts_with("--") && argument.contains('\n') && name.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_is_told_apart_from_options() {
        let given = |command: &str, argument: &str| {
            let given = ["flowlake", command, "lake", argument].map(OsString::from);
            let told = with_sql_told_apart(given.into_iter());
            told.last().cloned().unwrap_or_default().into_string().expect("UTF-8")
        };
        for sql in ["-- how many\nSELECT 1", "--\nSELECT 1", "--x\nSELECT 1 = 1", "--a b=c\nSELECT 1"] {
            assert_eq!(given("query", sql), format!(" {sql}"));
            assert_eq!(given("export", sql), sql);
        }
        for other in
            ["-", "--format", "--fromat=csv", "--output=a b.csv", "--output=a\nb.csv", "-- x", "SELECT 1"]
        {
            assert_eq!(given("query", other), other);
        }
    }
}
