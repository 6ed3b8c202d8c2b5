//! Exit codes, and how an error becomes one.

use std::io;
use std::process::ExitCode;

use flowlake_export::{ExportError, SelectionError, UnsupportedCompression};
use flowlake_ingest::{ConfigError, IngestError};
use flowlake_partition::publish::PublishError;
use flowlake_partition::read::ReadError;
use flowlake_partition::rejected::RejectedError;
use flowlake_partition::verify::VerifyError;
use flowlake_partition::writer::WriteError;
use flowlake_query::QueryError;
use flowlake_query::view::ViewError;
use flowlake_release::copy::CopyError;
use flowlake_release::privacy::{PlanError, PrivacyError};
use flowlake_sample::SampleError;
use flowlake_store::{ErrorKind, StoreError};

/// How a run ends. The numbers are a public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Success = 0,
    Differences = 1,
    Usage = 2,
    Input = 3,
    Output = 4,
    Conflict = 5,
    /// As when a Rust program panics.
    Defect = 101,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that knows its exit code and perhaps what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), hint: None }
    }

    pub(crate) fn message(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, error: anyhow::Error::msg(message.into()), hint: None }
    }

    pub(crate) fn store(exit: Exit, error: StoreError) -> Self {
        if error.kind == ErrorKind::Interrupted {
            return Self::interrupted();
        }
        let hint = error.hint();
        Self { exit, error: error.into(), hint }
    }

    pub(crate) fn interrupted() -> Self {
        Self::message(Exit::Interrupted, "interrupted; nothing was published")
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        let hint = error.hint();
        let exit = match &error {
            IngestError::TooManyRejected { .. } => Exit::Differences,
            IngestError::Interrupted => return Self::interrupted(),
            IngestError::Store(StoreError { kind: ErrorKind::Interrupted, .. }) => {
                return Self::interrupted();
            }
            _ => Exit::Input,
        };
        Self { exit, error: error.into(), hint }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::new(Exit::Output, error)
    }
}

impl From<RejectedError> for Failure {
    fn from(error: RejectedError) -> Self {
        Self::new(Exit::Output, error)
    }
}

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        let exit = if error.is_conflict() { Exit::Conflict } else { Exit::Output };
        if let PublishError::Store(error) = error {
            return Self::store(exit, error);
        }
        let hint = match &error {
            PublishError::TargetHoldsLake { .. } => Some("give --replace to replace it, or another --output"),
            PublishError::TargetNotEmpty { .. } => Some("give an --output that is empty or does not exist"),
            PublishError::CommitConflict { .. } => Some("look at what is there; --replace builds over it"),
            PublishError::Busy { .. } => Some("wait until it has ended, or give another --output"),
            PublishError::InsideLake { .. } => Some("give an --output outside of it"),
            PublishError::TargetIsMountPoint { .. } => Some("give a directory below it as --output"),
            PublishError::Vanished { .. } => Some("run again when no other build uses this --output"),
            PublishError::Unclear { .. } => Some("look with `flowlake inspect`; to run again give --replace"),
            _ => None,
        };
        Self { exit, error: error.into(), hint: hint.map(str::to_owned) }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let hint = if let ReadError::Store(error) = &error { error.hint() } else { None };
        Self { exit: Exit::Input, error: error.into(), hint }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        let hint = match &error {
            VerifyError::Manifest { source: ReadError::Store(error), .. } | VerifyError::Store(error) => {
                error.hint()
            }
            _ => None,
        };
        Self { exit: Exit::Input, error: error.into(), hint }
    }
}

impl From<UnsupportedCompression> for Failure {
    fn from(error: UnsupportedCompression) -> Self {
        Self::new(Exit::Usage, error)
            .hint("--compression zstd is part of the format, and its readers know it")
    }
}

impl From<SelectionError> for Failure {
    fn from(error: SelectionError) -> Self {
        let (exit, hint) = match &error {
            SelectionError::Unknown { kind, known, .. } if !known.is_empty() => {
                let plural = if *kind == "class" { "classes" } else { &format!("{kind}s") };
                (Exit::Usage, Some(format!("{plural} are: {}", known.join(", "))))
            }
            SelectionError::Unknown { .. } => (Exit::Usage, Some("the lake has no rows at all".to_owned())),
            SelectionError::Nothing { months, .. } if !months.is_empty() => {
                (Exit::Usage, Some(format!("there are such rows in these months: {}", months.join(", "))))
            }
            SelectionError::Nothing { .. } => {
                (Exit::Usage, Some("no device asked for is of a class asked for".to_owned()))
            }
            _ => (Exit::Input, None),
        };
        Self { exit, error: error.into(), hint }
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Interrupted => Self::message(Exit::Interrupted, "interrupted; nothing was exported"),
            ExportError::Write { .. } => Self::new(Exit::Output, error),
            _ => Self::new(Exit::Input, error)
                .hint("`flowlake verify` tells what else differs from the manifest"),
        }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let hint = error.hint();
        let exit = match error {
            QueryError::Interrupted => return Self::message(Exit::Interrupted, "interrupted"),
            QueryError::Store(error) => return Self::store(Exit::Input, error),
            QueryError::Write(error) if error.kind() != io::ErrorKind::InvalidData => {
                return error.into();
            }
            QueryError::Entry(_)
            | QueryError::Missing { .. }
            | QueryError::Bytes { .. }
            | QueryError::Memory
            | QueryError::Run(_) => Exit::Input,
            QueryError::Temporary { .. } => Exit::Output,
            _ => Exit::Usage,
        };
        Self { exit, error: error.into(), hint }
    }
}

impl From<ViewError> for Failure {
    fn from(error: ViewError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<CopyError> for Failure {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Interrupted => Self::interrupted(),
            CopyError::Publish(error) => error.into(),
            CopyError::Store(error) => Self::store(Exit::Input, error),
            CopyError::Write { .. } => Self::new(Exit::Output, error),
            _ => Self::new(Exit::Input, error)
                .hint("`flowlake verify` tells what else differs from the manifest"),
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let hint = match &error {
            PlanError::NoSuchColumn { .. } => Some("`flowlake inspect` lists the columns of the lake"),
            PlanError::NothingToTreat { .. } => Some("leave out --mac, --ip or a --drop"),
            PlanError::DigestOfNumbers { .. } => Some("give --ip ipcrypt-pfx, or --ip drop"),
            PlanError::Derived { .. } | PlanError::AmbiguousFill { .. } => {
                Some("--drop COLUMN leaves it out")
            }
            PlanError::NoKey => Some("give --key-file FILE; `head -c 32 /dev/urandom` makes a key"),
            PlanError::KeyNotUsed => {
                Some("leave out --key-file, or give --mac hmac, --ip hmac or --ip ipcrypt-pfx")
            }
            _ => None,
        };
        Self { exit: Exit::Usage, error: error.into(), hint: hint.map(str::to_owned) }
    }
}

impl From<PrivacyError> for Failure {
    fn from(error: PrivacyError) -> Self {
        match error {
            PrivacyError::Interrupted => Self::interrupted(),
            PrivacyError::Publish(error) => error.into(),
            PrivacyError::Write(_) => Self::new(Exit::Output, error),
            PrivacyError::Rows { .. } => Self::new(Exit::Defect, error),
            _ => Self::new(Exit::Input, error)
                .hint("`flowlake verify` tells what else differs from the manifest"),
        }
    }
}

impl From<SampleError> for Failure {
    fn from(error: SampleError) -> Self {
        let exit = match &error {
            SampleError::Profiles { .. }
            | SampleError::UnknownClass { .. }
            | SampleError::Device { .. }
            | SampleError::Scale { .. } => Exit::Usage,
            _ => Exit::Output,
        };
        Self::new(exit, error)
    }
}

/// For what is written to standard output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // Whoever reads us has had enough: `flowlake inspect lake | head` is no failure.
        let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Success } else { Exit::Output };
        Self::new(exit, anyhow::Error::new(error).context("cannot write to standard output"))
    }
}
