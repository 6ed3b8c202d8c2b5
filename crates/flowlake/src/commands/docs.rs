//! `flowlake completions` and `flowlake man`: documentation made from the command line itself.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit::{Exit, Failure};

pub(crate) fn completions(shell: Shell) -> Result<Exit, Failure> {
    // The generator panics when it cannot write: let it write to memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "flowlake", &mut script);
    io::Write::write_all(&mut io::stdout().lock(), &script)?;
    Ok(Exit::Success)
}

pub(crate) fn man(output: &Path) -> Result<Exit, Failure> {
    let failed = |error| Failure::new(Exit::Output, error);
    fs_err::create_dir_all(output).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), output).map_err(failed)?;
    Ok(Exit::Success)
}
