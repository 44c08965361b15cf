use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Why a client could not be built or run at all, or the report not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A toolchain is missing.
    #[error(
        "{program} is not installed, and is needed to build or run this client; Debian has it in: {packages}"
    )]
    NotInstalled {
        /// The program that is not on PATH.
        program: &'static str,
        /// What to install.
        packages: &'static str,
    },
    /// A build went wrong; what it said is on standard error.
    #[error("{command} failed: {status}")]
    Build {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A build did not make what it should have.
    #[error("{0}")]
    Built(String),
    /// kubectl could not be built.
    #[error(transparent)]
    Kubectl(#[from] inpod_real::Error),
    /// A program could not be started.
    #[error("{program} cannot be run: {error}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        error: io::Error,
    },
    /// A file or folder.
    #[error("{}: {error}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The report is not as this program writes it.
    #[error(
        "REPORT.md, line {line}: not a row of the table; write it anew with `cargo xtask clients --record`"
    )]
    Report {
        /// Counted from 1.
        line: usize,
    },
}

impl Error {
    /// For `map_err`: an error of this file or folder.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }
}
