use std::io;
use std::path::PathBuf;

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

    /// The kernel, or a policy of this machine, does not let an unprivileged process have what the sandbox is made of.
    #[error("this machine refuses to {what}: {source}. {remedy}")]
    Refused {
        /// What was tried.
        what: String,
        /// What the kernel said.
        source: io::Error,
        /// What to change on this machine.
        remedy: String,
    },

    /// The calling process runs under a supervisor of connections already, and the kernel allows one.
    #[error(
        "connections of this process are led by another supervisor already (a sandbox inside a sandbox, or a container runtime's own), \
         and Linux allows one; run it outside of that"
    )]
    Nested,

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
