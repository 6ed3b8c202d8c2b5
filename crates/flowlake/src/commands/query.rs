//! `flowlake query` and `flowlake head`: rows of a lake, asked for in SQL.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytesize::ByteSize;
use flowlake_export::select;
use flowlake_partition::manifest::{DataFile, Manifest};
use flowlake_partition::read::read_manifest;
use flowlake_partition::table::type_name;
use flowlake_query::cells::{Cells, is_number};
use flowlake_query::rows::{self, RowWriter};
use flowlake_query::{Flows, Limits, QueryError, Question};
use flowlake_query::{RecordBatch, SchemaRef};
use flowlake_store::{LakeStore, StoreError};
use fs_err as fs;

use super::build::interruption;
use crate::cli::{AnswerFormat, HeadArgs, QueryArgs, threads};
use crate::exit::{Exit, Failure};
use crate::places::open;
use crate::printable::{ForTerminal, printable};
use crate::table::{aligned_table, count};

/// Rows of an answer that a table shows. All of them have to be known before the first can be printed.
const TABLE_ROWS: usize = 1_000;
/// Links that are followed one after the other. Systems follow no more either.
const MAX_LINKS: usize = 40;
/// Longest text of an SQL query from standard input.
const MAX_SQL_BYTES: u64 = 1 << 20;

pub(crate) fn query(args: &QueryArgs) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let output = args.output.as_deref().map(Output::of).transpose()?.unwrap_or(Output::Standard);
    let format = format(args)?;
    // Before Ctrl-C is listened for: it may never come, and neither may whoever reads a pipe.
    let sql = sql(&args.sql)?;
    let output = output.opened()?;
    let lake = open(&args.lake, Exit::Input)?;
    if let (LakeStore::Directory(lake), Opened::File(output)) = (&lake, &output) {
        super::export::refuse_inside_lake(lake, output)?;
    }
    let manifest = read_manifest(&lake)?;
    let limits = limits(args.memory_limit, threads(args.jobs));
    // What a manifest says of itself has to agree, before it is asked for anything.
    let files = selected(&manifest, &flowlake_export::Selection::default())?;
    Flows::of_files(&lake, &manifest, &files, limits)
        .and_then(|flows| flows.ask(&sql))
        .map_err(Failure::from)
        .and_then(|question| give(question, format, output, begun))
        .map_err(|failure| unless_replaced(failure, &lake, &manifest))?;
    Ok(Exit::Success)
}

/// Answers to where the answer is to go.
fn give(question: Question, format: AnswerFormat, output: Opened, begun: Instant) -> Result<(), Failure> {
    match output {
        Opened::File(path) => {
            eprintln_rows(to_file(question, format, &path)?, begun);
            Ok(())
        }
        Opened::Stream(path, file) => {
            let schema = question.schema().clone();
            let mut writer = writer(format, file, &schema)?;
            eprintln_rows(write(question, writer.as_mut(), |error| cannot_write(&path, error))?, begun);
            Ok(())
        }
        Opened::Standard if format == AnswerFormat::Table => print_table(question, begun),
        Opened::Standard => {
            let schema = question.schema().clone();
            // Not locked: the lock cannot go to where Parquet is compressed.
            let mut writer = writer(format, standard_output(), &schema)?;
            write(question, writer.as_mut(), Failure::from).map(drop)
        }
    }
}

/// What looks like a damaged lake may be another one by now: replacing a lake takes away the files of the old one. One whose
/// manifest is as it was is damaged.
fn unless_replaced(failure: Failure, lake: &LakeStore, manifest: &Manifest) -> Failure {
    let may_be = match failure.error.downcast_ref::<QueryError>() {
        Some(error) => matches!(
            error,
            QueryError::Run(_)
                | QueryError::Missing { .. }
                | QueryError::Bytes { .. }
                | QueryError::Store(_)
                | QueryError::Entry(_)
        ),
        None => failure.error.is::<StoreError>(),
    };
    match may_be.then(|| read_manifest(lake)) {
        Some(Ok(found)) if found != *manifest => {
            Failure::message(Exit::Conflict, format!("{} was replaced while it was read", lake.name("")))
                .hint("ask again")
        }
        _ => failure,
    }
}

pub(crate) fn head(args: &HeadArgs) -> Result<Exit, Failure> {
    if args.format == AnswerFormat::Parquet && io::stdout().is_terminal() {
        return Err(parquet_on_terminal());
    }
    let mut names = BTreeSet::new();
    if let Some(name) = args.columns.iter().find(|name| !names.insert(name.as_str())) {
        let message = format!("column `{name}` is asked for twice");
        return Err(Failure::message(Exit::Usage, message).hint("give each name of --columns once"));
    }
    let lake = open(&args.lake, Exit::Input)?;
    let manifest = read_manifest(&lake)?;
    show_head(args, &lake, &manifest).map_err(|failure| unless_replaced(failure, &lake, &manifest))
}

fn show_head(args: &HeadArgs, lake: &LakeStore, manifest: &Manifest) -> Result<Exit, Failure> {
    let mut files = selected(manifest, &args.selection.selection())?;
    // No more than these have to be there for an answer.
    let mut rows = 0;
    files.retain(|file| {
        let wanted = rows < u64::from(args.rows);
        rows += file.rows;
        wanted
    });
    let names =
        args.columns.iter().map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect::<Vec<_>>();
    let columns = if names.is_empty() { "*".to_owned() } else { names.join(", ") };
    let sql = format!("SELECT {columns} FROM flows LIMIT {}", args.rows);
    let question =
        Flows::of_files(lake, manifest, &files, limits(None, 1))?.ask(&sql).map_err(|error| match error {
            QueryError::NoSuchColumn { name, meant, .. } => {
                QueryError::NoSuchColumn { name, meant, in_quotes: false, excerpt: None }
            }
            other => other,
        })?;
    if args.format == AnswerFormat::Table {
        return print_head(question, manifest);
    }
    let schema = question.schema().clone();
    let mut writer = writer(args.format, standard_output(), &schema)?;
    write(question, writer.as_mut(), Failure::from)?;
    Ok(Exit::Success)
}

/// Rows that have to be kept at a time, of an order or a join, take this much unless told otherwise.
const MEMORY_BYTES: u64 = 1 << 30;

pub(crate) fn limits(memory: Option<ByteSize>, jobs: usize) -> Limits {
    let bytes = memory.map_or(MEMORY_BYTES, |memory| memory.as_u64());
    Limits { jobs, memory_bytes: usize::try_from(bytes).unwrap_or(usize::MAX) }
}

/// The data files of a selection, in the order of the manifest.
pub(crate) fn selected<'a>(
    manifest: &'a Manifest,
    selection: &flowlake_export::Selection,
) -> Result<Vec<&'a DataFile>, Failure> {
    let outputs = select(manifest, selection)?;
    let mut files: Vec<&DataFile> = outputs.iter().flat_map(|output| output.data_files()).copied().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn format(args: &QueryArgs) -> Result<AnswerFormat, Failure> {
    let by_name = |output: &Path| {
        let extension = output.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("csv") => Some(AnswerFormat::Csv),
            Some("json") => Some(AnswerFormat::Json),
            Some("ndjson" | "jsonl") => Some(AnswerFormat::Ndjson),
            Some("parquet") => Some(AnswerFormat::Parquet),
            Some("txt") => Some(AnswerFormat::Table),
            _ => None,
        }
        .ok_or_else(|| {
            let message = format!("the name {} does not tell the form of the answer", output.display());
            Failure::message(Exit::Usage, message).hint("give --format csv, json, ndjson, parquet or table")
        })
    };
    match (args.format, &args.output) {
        (Some(AnswerFormat::Parquet), None) if io::stdout().is_terminal() => Err(parquet_on_terminal()),
        (Some(format), _) => Ok(format),
        (None, Some(output)) => by_name(output),
        (None, None) if io::stdout().is_terminal() => Ok(AnswerFormat::Table),
        (None, None) => Ok(AnswerFormat::Csv),
    }
}

fn parquet_on_terminal() -> Failure {
    Failure::message(Exit::Usage, "Parquet is nothing for a terminal")
        .hint("give --output FILE, or another --format")
}

fn sql(argument: &str) -> Result<String, Failure> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut sql = String::new();
    let read = io::stdin().lock().take(MAX_SQL_BYTES + 1).read_to_string(&mut sql);
    read.map_err(|error| {
        Failure::new(
            Exit::Usage,
            anyhow::Error::new(error).context("cannot read the SQL from standard input"),
        )
    })?;
    if sql.len() as u64 > MAX_SQL_BYTES {
        let message = format!("standard input is no query: it has more than {MAX_SQL_BYTES} bytes");
        return Err(Failure::message(Exit::Usage, message));
    }
    Ok(sql)
}

fn writer<'a>(
    format: AnswerFormat,
    out: impl Write + Send + 'a,
    schema: &SchemaRef,
) -> Result<Box<dyn RowWriter + 'a>, Failure> {
    Ok(match format {
        AnswerFormat::Csv => rows::csv(out, schema),
        AnswerFormat::Json => rows::json(out, schema)?,
        AnswerFormat::Ndjson => rows::ndjson(out, schema)?,
        AnswerFormat::Parquet => rows::parquet(out, schema)?,
        AnswerFormat::Table => Box::new(Table { out, rows: Shown::new(schema), more: false }),
    })
}

/// Cells are other people's text: a program gets them as they are, and a terminal spelled out.
fn standard_output() -> Box<dyn Write + Send> {
    if io::stdout().is_terminal() { Box::new(ForTerminal::new(io::stdout())) } else { Box::new(io::stdout()) }
}

/// Writes an answer; `failed` says where it could not be written.
fn write(
    question: Question,
    writer: &mut dyn RowWriter,
    failed: impl Fn(io::Error) -> Failure,
) -> Result<u64, Failure> {
    let failed = |error| match error {
        QueryError::Write(error) if error.kind() != ErrorKind::InvalidData => failed(error),
        other => Failure::from(other),
    };
    let answer = question.answer(interruption()?, &mut |rows| writer.write(&rows).map(|()| true));
    let rows = answer.map_err(failed)?.rows;
    writer.finish().map_err(failed)?;
    Ok(rows)
}

/// Where an answer goes.
enum Output {
    /// To standard output.
    Standard,
    /// To a file that is there when the answer is whole, in the place of one of that name.
    File(PathBuf),
    /// To a pipe, a device, or a file that somebody has open already: nothing can take its place.
    Stream(PathBuf),
}

/// An [`Output`] that can be written to.
enum Opened {
    Standard,
    File(PathBuf),
    Stream(PathBuf, std::fs::File),
}

impl Output {
    /// What is behind a name. Links stay, and what they lead to is replaced.
    fn of(output: &Path) -> Result<Self, Failure> {
        let kind = match fs::metadata(output) {
            Ok(found) => Some(found.file_type()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
            Err(error) => return Err(cannot_write(output, error)),
        };
        if kind.is_some_and(|kind| kind.is_dir()) {
            let message = format!("{} is a directory", output.display());
            return Err(
                Failure::message(Exit::Usage, message).hint("give a name of a file in it as --output")
            );
        }
        if kind.is_some_and(|kind| kind.is_block_device()) {
            let message = format!("{} is a disk, and not a file on one", output.display());
            return Err(Failure::message(Exit::Usage, message).hint("give a name of a file as --output"));
        }
        let is_special = kind.is_some_and(|kind| !kind.is_file());
        match led_to(output).map_err(|error| cannot_write(output, error))? {
            Some(path) if !is_special => Ok(Self::File(path)),
            _ => Ok(Self::Stream(output.to_owned())),
        }
    }

    /// Waits for whoever reads, if it is a pipe.
    fn opened(self) -> Result<Opened, Failure> {
        Ok(match self {
            Self::Standard => Opened::Standard,
            Self::File(path) => Opened::File(path),
            Self::Stream(path) => {
                // What is open may hold something already, and has no other place to go on at than its end.
                let file = fs::OpenOptions::new().append(true).open(&path);
                let file = file.map_err(|error| cannot_write(&path, error))?;
                Opened::Stream(path, file.into_file())
            }
        })
    }
}

/// Where links lead; `None` when one of them is the name of what somebody has open, as `/dev/stdout` is.
fn led_to(output: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = output.to_owned();
    for _ in 0..MAX_LINKS {
        if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            return Ok(Some(path));
        }
        let directory = directory_of(&path);
        if fs::canonicalize(&directory)?.starts_with("/proc") {
            return Ok(None);
        }
        path = directory.join(fs::read_link(&path)?);
    }
    Err(io::Error::other("it is a link to a link, and so on"))
}

fn directory_of(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

fn cannot_write(output: &Path, error: io::Error) -> Failure {
    let context = format!("cannot write {}", output.display());
    Failure::new(Exit::Output, anyhow::Error::new(error).context(context))
}

/// The file appears when the answer is whole.
fn to_file(question: Question, format: AnswerFormat, output: &Path) -> Result<u64, Failure> {
    let failed = |error: io::Error| cannot_write(output, error);
    let parent = directory_of(output);
    if !parent.is_dir() {
        let message =
            format!("cannot write {}: there is no directory {}", output.display(), parent.display());
        return Err(Failure::message(Exit::Output, message));
    }
    let mut builder = tempfile::Builder::new();
    // As of any other file: temporary ones are for their owner alone, unless told otherwise.
    let builder = builder.prefix(".flowlake-query-").permissions(Permissions::from_mode(0o666));
    let mut file = builder.tempfile_in(parent).map_err(failed)?;
    let schema = question.schema().clone();
    let rows = {
        let mut writer = writer(format, io::BufWriter::new(file.as_file_mut()), &schema)?;
        write(question, writer.as_mut(), failed)?
    };
    file.as_file().sync_all().map_err(failed)?;
    file.persist(output).map_err(|error| failed(error.error))?;
    Ok(rows)
}

fn eprintln_rows(rows: u64, begun: Instant) {
    let unit = if rows == 1 { "row" } else { "rows" };
    // The answer is there, whether anybody hears of it or not.
    let _ = writeln!(io::stderr().lock(), "{} {unit} in {:.2} s", count(rows), begun.elapsed().as_secs_f64());
}

/// Rows as texts, as many as a table shows.
struct Shown {
    names: Vec<String>,
    numbers: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Shown {
    fn new(schema: &SchemaRef) -> Self {
        Self {
            names: schema.fields().iter().map(|field| printable(field.name())).collect(),
            numbers: schema.fields().iter().map(|field| is_number(field.data_type())).collect(),
            rows: Vec::new(),
        }
    }

    /// Takes rows; whether there were more of them than a table shows.
    fn take(&mut self, rows: &RecordBatch) -> Result<bool, QueryError> {
        let columns = rows.columns().iter().zip(&self.names).map(|(column, name)| Cells::new(name, column));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..rows.num_rows() {
            if self.rows.len() == TABLE_ROWS {
                return Ok(true);
            }
            let texts = columns
                .iter()
                .map(|cells| cells.show(row).map_or_else(|| "null".to_owned(), |text| printable(&text)));
            self.rows.push(texts.collect());
        }
        Ok(false)
    }

    fn table(self) -> String {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        aligned_table(&names, &self.numbers, self.rows)
    }
}

/// A table in a file.
struct Table<W> {
    out: W,
    rows: Shown,
    more: bool,
}

impl<W: Write> RowWriter for Table<W> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), QueryError> {
        self.more |= self.rows.take(rows)?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), QueryError> {
        let shown = Shown {
            rows: std::mem::take(&mut self.rows.rows),
            names: self.rows.names.clone(),
            numbers: self.rows.numbers.clone(),
        };
        writeln!(self.out, "{}", shown.table())?;
        if self.more {
            writeln!(self.out, "… and more rows: a table has at most {}", count(TABLE_ROWS as u64))?;
        }
        Ok(self.out.flush()?)
    }
}

/// The answer as a table, for an answer that is known to be short.
pub(crate) fn table_of(question: Question) -> Result<String, Failure> {
    let mut shown = Shown::new(question.schema());
    question.answer(interruption()?, &mut |rows| shown.take(&rows).map(|more| !more))?;
    Ok(shown.table())
}

fn print_table(question: Question, begun: Instant) -> Result<(), Failure> {
    let mut shown = Shown::new(question.schema());
    let mut more = false;
    question.answer(interruption()?, &mut |rows| {
        more = shown.take(&rows)?;
        Ok(!more)
    })?;
    let rows = shown.rows.len() as u64;
    writeln!(io::stdout().lock(), "{}", shown.table())?;
    if more {
        let most = count(TABLE_ROWS as u64);
        writeln!(
            io::stderr().lock(),
            "… and more rows: a table has at most {most}; --format csv writes all"
        )?;
    } else {
        eprintln_rows(rows, begun);
    }
    Ok(())
}

/// Columns go down: there are dozens of them, and a few rows.
fn print_head(question: Question, manifest: &Manifest) -> Result<Exit, Failure> {
    let mut shown = Shown::new(question.schema());
    question.answer(interruption()?, &mut |rows| shown.take(&rows).map(|more| !more))?;
    let schema = manifest.schema.columns.iter().chain(&manifest.schema.partition_by);
    let types: Vec<(&str, &str)> =
        schema.map(|column| (column.name.as_str(), type_name(column.data_type))).collect();
    let numbers: Vec<String> = (1..=shown.rows.len()).map(|row| format!("row {row}")).collect();
    let header: Vec<&str> =
        ["column", "type"].into_iter().chain(numbers.iter().map(String::as_str)).collect();
    let lines = shown.names.iter().enumerate().map(|(position, name)| {
        let data_type =
            types.iter().find(|(column, _)| column == name).map_or("", |(_, data_type)| data_type);
        let values = shown.rows.iter().map(|row| row[position].clone());
        [name.clone(), data_type.to_owned()].into_iter().chain(values).collect::<Vec<String>>()
    });
    writeln!(io::stdout().lock(), "{}", aligned_table(&header, &[], lines))?;
    Ok(Exit::Success)
}
