use std::path::PathBuf;
use std::process::ExitStatus;

/// Why there is no control plane.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be used.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program could not be started.
    #[error("cannot start {program}: {source}{hint}")]
    Start {
        /// Which.
        program: String,
        /// What the system said.
        source: std::io::Error,
        /// What mends it, where that is known.
        hint: &'static str,
    },
    /// The Go modules could not be built.
    #[error(
        "cannot build the real control plane (go build: {0}); it needs Go and its module proxy"
    )]
    Build(ExitStatus),
    /// A certificate could not be made.
    #[error("cannot make the control plane's certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// It did not become ready, or did not stay.
    #[error("{0}")]
    Plane(String),
    /// There is none to answer for.
    #[error("no control plane is up in this checkout; `cargo xtask real up` starts one")]
    NotUp,
}

impl Error {
    /// For `map_err` of what is done with a file.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    /// For `map_err` of the start of a program.
    pub(crate) fn start(
        program: impl Into<String>,
        hint: &'static str,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let program = program.into();
        move |source| Self::Start {
            program,
            source,
            hint,
        }
    }
}
