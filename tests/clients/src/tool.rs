//! Commands that end with this process, whatever ends it.

use std::ffi::OsStr;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;

/// A command that gets `signal` once this process is gone. Whoever starts it must wait for it in the same thread.
pub(crate) fn mortal(signal: &str, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
}

/// A build tool, found on PATH.
pub(crate) fn tool(program: &'static str, packages: &'static str) -> Result<Command, Error> {
    Ok(mortal("TERM", on_path(program, packages)?))
}

/// Where `program` is on PATH; `packages` are to be installed where it is not.
pub(crate) fn on_path(program: &'static str, packages: &'static str) -> Result<PathBuf, Error> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .ok_or(Error::NotInstalled { program, packages })
}

/// Runs a build to its end. All that it prints goes to standard error.
pub(crate) fn build(command: &mut Command) -> Result<(), Error> {
    let stderr = std::io::stderr().as_fd().try_clone_to_owned();
    command.stdout(stderr.map_or_else(|_| Stdio::null(), Stdio::from));
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| started(command, error))?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Build {
            command: shown(command),
            status,
        })
    }
}

/// As [`build`], for what it prints on standard output.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, Error> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| started(command, error))?;
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(Error::Build {
            command: shown(command),
            status: output.status,
        })
    }
}

/// Copies a folder of files and folders.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(to).map_err(Error::file(to))?;
    for entry in std::fs::read_dir(from).map_err(Error::file(from))? {
        let from = entry.map_err(Error::file(from))?.path();
        let to = to.join(from.file_name().unwrap_or_default());
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            std::fs::copy(&from, &to).map_err(Error::file(&from))?;
        }
    }
    Ok(())
}

pub(crate) fn started(command: &Command, error: std::io::Error) -> Error {
    Error::Start {
        program: shown(command),
        error,
    }
}

/// The command line without what makes it mortal.
fn shown(command: &Command) -> String {
    let words: Vec<_> = command
        .get_args()
        .skip(3)
        .map(|word| word.to_string_lossy())
        .collect();
    words.join(" ")
}
