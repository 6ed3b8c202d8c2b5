//! The command line: names and meanings here are a public contract.

mod reading;

use std::ffi::OsStr;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use flowlake_store::Location;
use semver::Version;

pub(crate) use self::reading::{
    AnswerFormat, FilesArgs, HeadArgs, QueryArgs, SelectionArgs, SqlArgs, SqlEngine, with_sql_told_apart,
};
use crate::instant::Instant;

/// Turns raw IPFIX flow dumps into a Parquet lake partitioned by month and device class, with a manifest that accounts for
/// every row.
#[derive(Debug, Parser)]
#[command(
    name = "flowlake",
    version,
    after_help = "\
Exit codes:
  0    success; a reader that stops listening (broken pipe) is success too
  1    verify or diff found differences, or a dump has more rejected lines than allowed
  2    wrong usage or configuration
  3    the input cannot be read
  4    the output cannot be written
  5    another build was faster: commit conflict; or a release is there already
  101  a defect of flowlake itself
  130  interrupted

Start with `flowlake demo`."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Build a lake from dumps
    Build(BuildArgs),
    /// Plan a build whose tasks run on many machines
    Plan(PlanArgs),
    /// Run one task of a plan
    Task(TaskArgs),
    /// Make what the tasks of a plan made a lake
    Commit(CommitArgs),
    /// Write synthetic dumps in the real format
    Sample(SampleArgs),
    /// Sample dumps, build, verify, ask a first query: needs no input
    Demo(DemoArgs),
    /// Show what a lake holds and how it was made
    Inspect(InspectArgs),
    /// Check every file of a lake against its manifest
    Verify(VerifyArgs),
    /// Freeze a lake under a version: documents, digests, never overwritten
    Release(ReleaseArgs),
    /// Tell what changed between two lakes
    Diff(DiffArgs),
    /// Write rows as CSV, NDJSON or Arrow, one file a device and month
    Export(ExportArgs),
    /// Ask a lake something in SQL
    Query(QueryArgs),
    /// Show the first rows of a lake
    Head(HeadArgs),
    /// List the data files of a lake, for other engines
    Files(FilesArgs),
    /// Print code that makes a view of a lake in another engine
    Sql(SqlArgs),
    /// List, print and explain recipes
    #[command(subcommand)]
    Recipe(RecipeCommand),
    /// Print a shell completion script
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write man pages
    Man {
        /// Directory to write them to.
        #[arg(long, value_name = "DIR", value_parser = local_path())]
        output: PathBuf,
    },
}

/// What lake to build of what.
#[derive(Debug, Args)]
pub(crate) struct LakeArgs {
    /// Catalogue of devices: a TOML file, or the name of a built-in one (kddi-iot-2019)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: String,

    /// Directory or URL with the dumps
    #[arg(
        long,
        value_name = "DIR|URL",
        value_parser = LocationParser,
        help = "Directory with the dumps: <stem>.tar.gz, split parts <stem>.tar.gz00…, .json, .json.gz, .json.zst; or their \
                prefix in an object store: s3://BUCKET/PREFIX, gs://…, az://…"
    )]
    pub(crate) input: Location,

    /// Directory or URL the lake appears in, all at once
    #[arg(long, value_name = "DIR|URL", value_parser = LocationParser, default_value = "lake")]
    pub(crate) output: Location,

    /// What the lake holds: a TOML file, or the name of a built-in recipe (flows, encoded, full)
    #[arg(long, value_name = "NAME|FILE", default_value = "flows")]
    pub(crate) recipe: String,

    /// Build only this device; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) device: Vec<String>,

    /// Build only devices of this class; may be given several times
    #[arg(long, value_name = "CLASS")]
    pub(crate) class: Vec<String>,

    /// Keep only flows that started at this time or later, UTC: 2019-07, 2019-07-01 or 2019-07-01T12:30:00
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<Instant>,

    /// Keep only flows that started before this time, UTC
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<Instant>,

    /// Replace the lake that is there
    #[arg(long)]
    pub(crate) replace: bool,

    /// Treat warnings about the input as errors: trailers missing or not matching, dumps without a device, devices without
    /// a dump
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flowlake build --config kddi-iot-2019 --input dumps/ --output lake/
  flowlake build --config my.toml --input dumps/ --device kitchenHub --replace
  flowlake build --config my.toml --input dumps/ --recipe encoded --from 2019-07 --to 2019-08
  flowlake build --config my.toml --input s3://bucket/raw --output s3://bucket/lake --dry-run")]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,

    /// Number of threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,

    /// Memory to keep within, as 512MiB or 2GB [default: 48 MiB and 64 MiB a thread]
    ///
    /// 16 MiB a thread more with a recipe that removes duplicates. Bounds the memory of the whole process, on any input. Rows that wait for others of their month and do not fit wait in
    /// temporary files beside the lake; what is built is the same, byte for byte.
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory_limit: Option<ByteSize>,

    /// Only show what would be read and written
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// How to show progress
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto)]
    pub(crate) progress: ProgressMode,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flowlake plan --config my.toml --input s3://bucket/raw --output s3://bucket/lake --output-plan plan.json
  flowlake task --plan plan.json --index 0
  flowlake commit --plan plan.json")]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) lake: LakeArgs,

    /// File to write the plan to: what a task has to know, for any machine that reaches input and output
    #[arg(long, value_name = "FILE", value_parser = local_path())]
    pub(crate) output_plan: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// The plan
    #[arg(long, value_name = "FILE", value_parser = local_path())]
    pub(crate) plan: PathBuf,

    /// Number of the task, from 0
    #[arg(long, value_name = "N", required_unless_present = "missing")]
    pub(crate) index: Option<usize>,

    /// List the numbers of the tasks that are not done, instead of running one
    #[arg(long, conflicts_with = "index")]
    pub(crate) missing: bool,

    /// Number of threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,

    /// Memory to keep within, as 512MiB or 2GB [default: 48 MiB and 64 MiB a thread]
    ///
    /// 16 MiB a thread more with a recipe that removes duplicates. Bounds the memory of the whole process, on any input. Rows that wait for others of their month and do not fit wait in
    /// temporary files beside the lake to be; what is built is the same, byte for byte.
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory_limit: Option<ByteSize>,

    /// How to show progress
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto)]
    pub(crate) progress: ProgressMode,
}

#[derive(Debug, Args)]
pub(crate) struct CommitArgs {
    /// The plan
    #[arg(long, value_name = "FILE", value_parser = local_path())]
    pub(crate) plan: PathBuf,

    /// Publish nothing, and take away what the tasks made
    #[arg(long)]
    pub(crate) abandon: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RecipeCommand {
    /// List the built-in recipes
    List,
    /// Print a recipe as it is: the beginning of one of your own
    Show {
        /// A TOML file, or the name of a built-in recipe
        #[arg(value_name = "NAME|FILE")]
        recipe: String,
    },
    /// Check a recipe and explain it: columns in, columns out, rules
    Check {
        /// A TOML file, or the name of a built-in recipe
        #[arg(value_name = "NAME|FILE")]
        recipe: String,

        /// Print the explanation as JSON
        #[arg(long)]
        json: bool,
    },
}

/// How to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// Bars on a terminal, lines otherwise
    Auto,
    /// A line a dump
    Plain,
    /// Nothing
    None,
}

#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// Directory to write the dumps and their catalogue to; must be empty or not exist
    #[arg(long, value_name = "DIR", value_parser = local_path())]
    pub(crate) output: PathBuf,

    /// Size, as a share of the published record counts
    #[arg(long, value_name = "F", default_value_t = 0.001, value_parser = parse_scale)]
    pub(crate) scale: f64,

    /// Seed: the same seed and scale give the same bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Number of threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Directory for the dumps and the lake; must be empty or not exist
    #[arg(long, value_name = "DIR", value_parser = local_path(), default_value = "flowlake-demo")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The lake: a directory, or a URL such as s3://BUCKET/PREFIX
    #[arg(value_parser = LocationParser)]
    pub(crate) lake: Location,

    /// Print the manifest as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  flowlake verify lake/
  flowlake verify s3://bucket/lake --quick
  flowlake verify releases/1.0.0 --rebuild-from dumps/ --json")]
pub(crate) struct VerifyArgs {
    /// The lake or release: a directory, or a URL such as s3://BUCKET/PREFIX
    #[arg(value_parser = LocationParser)]
    pub(crate) lake: Location,

    /// Only look at names, sizes and digests that a store keeps; read no data
    #[arg(long)]
    pub(crate) quick: bool,

    /// Also build it again from these dumps, as it was built, in TMPDIR, and compare
    #[arg(long, value_name = "DIR|URL", value_parser = LocationParser)]
    pub(crate) rebuild_from: Option<Location>,

    /// Catalogue to rebuild with, for a release that withholds it
    #[arg(long, value_name = "FILE", requires = "rebuild_from")]
    pub(crate) config: Option<String>,

    /// Recipe to rebuild with, for a release that withholds it
    #[arg(long, value_name = "NAME|FILE", requires = "rebuild_from")]
    pub(crate) recipe: Option<String>,

    /// Key to rebuild with, for a release with pseudonyms
    #[arg(long, value_name = "FILE", value_parser = local_path(), requires = "rebuild_from")]
    pub(crate) key_file: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Number of threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A release is a lake: everything that reads a lake reads it. Beside the data it has README.md (a dataset card), LICENSE, \
CITATION.cff, croissant.json, datapackage.json, the configuration, rebuild.md and SHA256SUMS.

Examples:
  flowlake release lake/ --version 1.0.0 --output releases/1.0.0
  flowlake release s3://bucket/lake --version 1.1.0 --date 2026-11-22 --output s3://bucket/releases/1.1.0
  head -c 32 /dev/urandom > key
  flowlake release lake/ --version 1.0.0-public --mac hmac --ip ipcrypt-pfx --key-file key --output public/")]
pub(crate) struct ReleaseArgs {
    /// The lake: a directory, or a URL such as s3://BUCKET/PREFIX
    #[arg(value_parser = LocationParser)]
    pub(crate) lake: Location,

    /// Version of the release, by the rules of semver.org
    #[arg(long, value_name = "X.Y.Z")]
    pub(crate) version: Version,

    /// Directory or URL the release appears in, all at once; must be empty or not exist
    #[arg(long, value_name = "DIR|URL", value_parser = LocationParser)]
    pub(crate) output: Location,

    /// Day of the release, for citations; the clock is not asked, so that the same release has the same bytes
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = parse_date)]
    pub(crate) date: Option<String>,

    /// Make a release of data whose licence forbids handing it on
    #[arg(long)]
    pub(crate) acknowledge_licence: bool,

    /// What becomes of MAC addresses
    #[arg(long, value_enum, default_value_t = MacOption::Keep)]
    pub(crate) mac: MacOption,

    /// What becomes of IP addresses
    #[arg(long, value_enum, default_value_t = IpOption::Keep)]
    pub(crate) ip: IpOption,

    /// Leave this column out; may be given several times
    #[arg(long, value_name = "COLUMN")]
    pub(crate) drop: Vec<String>,

    /// File with the key of pseudonyms, at least 16 bytes
    #[arg(long, value_name = "FILE", value_parser = local_path())]
    pub(crate) key_file: Option<PathBuf>,

    /// Number of threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Reads both manifests, and no data. The exit code is 0 when there is no difference and 1 when there is any: the same rows in \
another encoding, by a recipe in other words or in a release are a difference too, and are said to be that.

Examples:
  flowlake diff lake/ lake-of-the-new-recipe/
  flowlake diff lake/ s3://bucket/lake --json")]
pub(crate) struct DiffArgs {
    /// A lake or a release: a directory, or a URL such as s3://BUCKET/PREFIX
    #[arg(value_name = "A", value_parser = LocationParser)]
    pub(crate) a: Location,

    /// The lake or release to compare it with: what only this one has was added
    #[arg(value_name = "B", value_parser = LocationParser)]
    pub(crate) b: Location,

    /// Print the whole comparison as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Files are named <device>_<month>.csv and the like. Without --class, --month and --device all rows are written.

Examples:
  flowlake export lake --format csv --output flows/
  flowlake export lake --format ndjson --compression gzip --month 2019-07 --output flows/
  flowlake export lake --format arrow --compression zstd --class smartSpeaker --output speakers/")]
pub(crate) struct ExportArgs {
    /// The lake: a directory, or a URL such as s3://BUCKET/PREFIX
    #[arg(value_parser = LocationParser)]
    pub(crate) lake: Location,

    /// Form of the files
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,

    /// Directory the files appear in, all at once; must be empty or not exist
    #[arg(long, value_name = "DIR", value_parser = local_path())]
    pub(crate) output: PathBuf,

    /// How to compress the files
    #[arg(long, value_enum, default_value_t = ExportCompression::None)]
    pub(crate) compression: ExportCompression,

    #[command(flatten)]
    pub(crate) selection: SelectionArgs,

    /// Number of threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
}

/// Forms of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Comma-separated text with a header line
    Csv,
    /// A JSON object a line
    Ndjson,
    /// Arrow IPC files (Feather version 2)
    Arrow,
}

/// How an export is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportCompression {
    /// Not at all
    None,
    /// .gz; not for Arrow
    Gzip,
    /// .zst; inside the file for Arrow
    Zstd,
}

fn parse_scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if scale > 0.0 && scale <= 1000.0 => Ok(scale),
        _ => Err("expected a number above 0 and up to 1000".to_owned()),
    }
}

/// What a release does to MAC addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MacOption {
    /// They stay as they are
    Keep,
    /// Their columns are left out
    Drop,
    /// Keyed digests (HMAC-SHA-256) take their place
    Hmac,
}

/// What a release does to IP addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum IpOption {
    /// They stay as they are
    Keep,
    /// Their columns are left out
    Drop,
    /// Keyed digests (HMAC-SHA-256) take their place
    Hmac,
    /// Other addresses take their place; prefixes that were common stay common
    IpcryptPfx,
}

fn parse_date(text: &str) -> Result<String, String> {
    match text.parse::<Instant>() {
        // Readers of documents know no year 0.
        Ok(_) if text.len() == "2026-11-22".len() && !text.starts_with("0000") => Ok(text.to_owned()),
        _ => Err("expected a day such as 2026-11-22".to_owned()),
    }
}

/// A path on this machine. A URL would be taken for a directory of that name.
fn local_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.to_str() {
        Some(text) if text.contains("://") => Err("this has to be a directory of this machine, not a URL"),
        _ => Ok(path),
    })
}

/// A path on this machine, or the URL of a place in an object store.
#[derive(Debug, Clone)]
struct LocationParser;

impl TypedValueParser for LocationParser {
    type Value = Location;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Location, clap::Error> {
        Location::parse(value).map_err(|error| {
            // Clap would repeat the URL, and there may be a password in it.
            let argument = argument.map(|argument| format!("{argument}: ")).unwrap_or_default();
            let message = format!("{argument}{error}\n");
            clap::Error::raw(clap::error::ErrorKind::InvalidValue, message).with_cmd(command)
        })
    }
}

/// The number of threads to use.
pub(crate) fn threads(jobs: Option<u16>) -> usize {
    jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}
