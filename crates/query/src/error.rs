//! Why a question has no answer.

use std::io;
use std::path::PathBuf;

use datafusion::error::DataFusionError;
use flowlake_partition::scan::ScanError;
use flowlake_store::StoreError;

use crate::excerpt::Excerpt;

/// Why a question has no answer. Errors of SQL quote it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Not SQL.
    #[error("the SQL cannot be understood: {message}{}", quoted(excerpt.as_ref()))]
    Syntax {
        /// What was expected, what was found.
        message: String,
        /// Where.
        excerpt: Option<Excerpt>,
    },
    /// SQL that asks nothing, such as one that would change a table.
    #[error("this is no question but `{statement}`: a lake is only read")]
    NotAQuestion {
        /// The statement's first words.
        statement: String,
    },
    /// None, or several.
    #[error("one statement can be answered at a time; there are {count}")]
    Statements {
        /// How many there are.
        count: usize,
    },
    /// No such column.
    #[error("there is no column `{name}`{}", quoted(excerpt.as_ref()))]
    NoSuchColumn {
        /// As it stands in the SQL.
        name: String,
        /// A column with a name that is nearly the same.
        meant: Option<String>,
        /// Whether it stands in double quotes, as names do.
        in_quotes: bool,
        /// Where.
        excerpt: Option<Excerpt>,
    },
    /// No such table.
    #[error("there is no table `{name}`{}", quoted(excerpt.as_ref()))]
    NoSuchTable {
        /// As it stands in the SQL.
        name: String,
        /// Where.
        excerpt: Option<Excerpt>,
    },
    /// SQL that means nothing here: a function that is not there, text where a number is wanted.
    #[error("the SQL cannot be carried out: {message}{}", quoted(excerpt.as_ref()))]
    Meaning {
        /// Why.
        message: String,
        /// The query, if it is short.
        excerpt: Option<Excerpt>,
    },
    /// SQL that is left out, because its answer would be wrong or that of something else.
    #[error("the SQL cannot be carried out: {what}{}", quoted(excerpt.as_ref()))]
    NotAnswered {
        /// What is left out.
        what: &'static str,
        /// What to write instead.
        instead: &'static str,
        /// Where.
        excerpt: Option<Excerpt>,
    },
    /// The manifest lists what cannot be a data file.
    #[error("the manifest is damaged")]
    Entry(#[from] ScanError),
    /// A data file is not there.
    #[error("{name} is not there, but the manifest lists it")]
    Missing {
        /// Path or URL.
        name: String,
    },
    /// A data file has another size.
    #[error("{name} has {found} bytes, but the manifest says {expected}")]
    Bytes {
        /// Path or URL.
        name: String,
        /// What its entry says.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// The place cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The query began and did not end.
    #[error("the query failed while it ran")]
    Run(#[source] DataFusionError),
    /// The rows that have to be kept take more memory than they may, and cannot wait on disk.
    #[error("the query needs more memory than it may take")]
    Memory,
    /// Rows that do not fit into memory cannot wait.
    #[error("rows that do not fit into memory cannot wait in {}", directory.display())]
    Temporary {
        /// `TMPDIR`.
        directory: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The program was asked to end.
    #[error("interrupted")]
    Interrupted,
    /// A type that this form has no way to write.
    #[error("column `{column}` is of type {data_type}, which cannot be written")]
    Type {
        /// Its name.
        column: String,
        /// Its type.
        data_type: String,
    },
    /// Two columns of one name in a form that tells values by it.
    #[error("two columns of the answer are called `{column}`")]
    Repeated {
        /// Their name.
        column: String,
    },
    /// The answer cannot be written.
    #[error("the answer cannot be written")]
    Write(#[from] io::Error),
}

impl QueryError {
    /// What to do about it, if that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAQuestion { .. } => "begin with SELECT, WITH, EXPLAIN or DESCRIBE".to_owned(),
            Self::NotAnswered { instead, .. } => (*instead).to_owned(),
            Self::NoSuchColumn { meant: Some(meant), .. } => format!("did you mean {meant}?"),
            Self::NoSuchColumn { name, in_quotes: true, .. } => {
                format!("text goes in single quotes: '{name}'")
            }
            Self::NoSuchColumn { .. } => "`flowlake head LAKE` lists the columns".to_owned(),
            Self::Memory => "give a larger --memory-limit, or ask for less at a time".to_owned(),
            Self::Temporary { .. } => {
                "set TMPDIR to a directory with more room, or give a larger --memory-limit".to_owned()
            }
            Self::NoSuchTable { .. } => format!("the table is `{}`", crate::TABLE),
            Self::Missing { .. } | Self::Bytes { .. } | Self::Run(_) => {
                "`flowlake verify` tells whether the lake is damaged".to_owned()
            }
            Self::Type { column, data_type } if data_type.starts_with("Duration") => {
                format!("EXTRACT(EPOCH FROM {column}) is its seconds, CAST({column} AS VARCHAR) a text")
            }
            Self::Type { column, .. } => format!("CAST({column} AS VARCHAR) makes text of it"),
            Self::Repeated { .. } => "AS gives one of them another name".to_owned(),
            Self::Store(error) => return error.hint(),
            _ => return None,
        })
    }
}

fn quoted(excerpt: Option<&Excerpt>) -> String {
    excerpt.map(|excerpt| format!("\n{excerpt}")).unwrap_or_default()
}
