use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::Way;

/// Why a process could not be run, or not be waited for, as if in a Pod.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This system has no sandbox.
    #[error("run needs Linux: no other system can show one process files and addresses of its own")]
    NeedsLinux,

    /// No such program; a shell exits with 127.
    #[error("{program}: command not found")]
    NotFound {
        /// As it was given.
        program: String,
    },

    /// The program is there but cannot be executed; a shell exits with 126.
    #[error("{program}: cannot execute: {source}")]
    NotExecutable {
        /// As it was given.
        program: String,
        /// What the kernel said.
        source: io::Error,
    },

    /// The kernel, or a policy of this machine, lets no way of showing a process the view work.
    #[error(
        "this machine refuses every way of showing a program a Pod:{}\nWhat to change: {remedy}",
        list(attempts)
    )]
    Refused {
        /// Each way that was tried, in order.
        attempts: Vec<Attempt>,
        /// What to change on this machine.
        remedy: String,
    },

    /// A part of the view could not be made.
    #[error("could not {what}: {source}")]
    Setup {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },

    /// [`Sandbox::update`](crate::Sandbox::update) of something that the view did not have.
    #[error("no volume is mounted at {}", path.display())]
    NoSuchVolume {
        /// The mount path asked for.
        path: PathBuf,
    },

    /// A volume's files could not be written.
    #[error("could not write the volume at {}: {source}", path.display())]
    Volume {
        /// Its mount path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },

    /// The sandbox ended without saying how its process did.
    #[error("the sandbox was killed, and the process in it with it")]
    Killed,
}

impl Error {
    /// Of one way; what to change is found out once all were tried.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nothing is tried there")
    )]
    pub(crate) fn refused(way: Way, what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        let (what, source) = (what.into(), source.into());
        Self::Refused {
            attempts: vec![Attempt { way, what, source }],
            remedy: String::new(),
        }
    }
}

/// A way that was tried in vain.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Which.
    pub way: Way,
    /// What could not be done: completes "could not …".
    pub what: String,
    /// What the kernel said.
    pub source: io::Error,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: could not {}: {}", self.way, self.what, self.source)
    }
}

fn list(attempts: &[Attempt]) -> String {
    let lines: Vec<String> = attempts
        .iter()
        .map(|attempt| format!("\n- {attempt}"))
        .collect();
    lines.concat()
}
