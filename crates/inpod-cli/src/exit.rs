//! Ending as a command ended.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use crate::failure::Failure;

/// Ends this process the way `status` says the command ended: by the same signal, else with the same code.
pub(crate) fn like(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal() {
        return of_signal(signal);
    }
    ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    )
}

/// Dies of a signal. Where this process is one that signals do not end, the exit code says it as a shell does.
pub(crate) fn of_signal(signal: i32) -> ExitCode {
    inpod_sandbox::die_of(signal);
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}

/// The failure of a command that could not be started, with the exit code a shell gives: 127 where it is not there, else 126.
pub(crate) fn not_started(program: &OsStr, error: &io::Error) -> Failure {
    let shown = program.display();
    if error.kind() == io::ErrorKind::NotFound {
        Failure::new(format!("{shown}: command not found")).with_code(127)
    } else {
        Failure::new(format!("{shown}: cannot be run: {error}")).with_code(126)
    }
}
