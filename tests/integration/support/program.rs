//! The program, run as a user runs it.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_flowlake");

/// A command line to be run.
#[derive(Debug)]
pub(crate) struct Program {
    arguments: Vec<OsString>,
    directory: Option<OsString>,
    /// Replaced by `[dir]` in what is printed.
    redacted: Vec<String>,
}

impl Program {
    pub(crate) fn new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        Self { arguments, directory: None, redacted: Vec::new() }
    }

    /// Appends an argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Appends arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Gives an option another value than the one it has by now.
    pub(crate) fn with(mut self, option: &str, value: &str) -> Self {
        let at = self.arguments.iter().position(|argument| argument == option);
        let at = at.unwrap_or_else(|| panic!("{option} has no value yet"));
        self.arguments[at + 1] = value.into();
        self
    }

    /// Runs it in this directory.
    pub(crate) fn within(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.as_os_str().to_owned());
        self
    }

    /// Writes `[dir]` for this path in what is printed.
    pub(crate) fn redact(mut self, path: &Path) -> Self {
        self.redacted.push(path.to_str().expect("temporary paths are UTF-8").to_owned());
        self
    }

    /// The command, with no terminal and nothing of the caller's environment that changes what is printed.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(BINARY);
        command.args(&self.arguments).stdin(Stdio::null());
        command.env("COLUMNS", "100").env_remove("CLICOLOR_FORCE").env_remove("RUST_BACKTRACE");
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Outcome {
        self.outcome(&self.command().output().expect("the binary runs"))
    }

    /// Starts it, with output to be read later.
    pub(crate) fn start(&self) -> Child {
        self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs")
    }

    /// What became of it.
    pub(crate) fn outcome(&self, output: &Output) -> Outcome {
        let text = |bytes: &[u8]| {
            let mut text = String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
            for path in &self.redacted {
                text = text.replace(path, "[dir]");
            }
            text
        };
        Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// How a run ended.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Absent when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Fails the test unless the exit code is this one.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless standard error holds each of these texts.
    #[track_caller]
    pub(crate) fn expect_says<'a>(self, texts: impl IntoIterator<Item = &'a str>) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "no {text:?} in\n{}", self.stderr);
        }
        self
    }
}

/// The lines below a title, of a report for people: its table.
pub(crate) fn section(text: &str, title: &str) -> String {
    let lines = text.lines().skip_while(|line| *line != title).skip(1).take_while(|line| !line.is_empty());
    // Tables are set in by a space.
    let lines = lines.map(|line| line.strip_prefix(' ').unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Says on standard error that a test was skipped, and why.
pub(crate) fn skipped(why: &str) {
    // Past the test runner, which keeps what a passing test prints with `eprintln!`.
    let _ = writeln!(std::io::stderr(), "\nskipped: {why}");
}

/// Waits until `condition` holds; `false` when the child ended first. Fails the test when nothing happens for minutes.
#[track_caller]
pub(crate) fn wait_for(child: &mut Child, mut condition: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if child.try_wait().expect("it can be waited for").is_some() {
            return false;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "nothing happened for five minutes");
        std::thread::sleep(Duration::from_millis(1));
    }
}
