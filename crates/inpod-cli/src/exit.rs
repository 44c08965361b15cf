//! Ending as a command ended.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitCode, ExitStatus};

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal, raise};

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

/// Dies of a signal. Where this process ignores it (SIGPIPE) or does not know it, the exit code says it as a shell does.
pub(crate) fn of_signal(signal: i32) -> ExitCode {
    die_of(signal);
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

fn die_of(signal: i32) {
    let Ok(signal) = Signal::try_from(signal) else {
        return;
    };
    // The command has left its core dump, if any; ours would say nothing.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let mut set = SigSet::empty();
    set.add(signal);
    let _ = set.thread_unblock();
    let _ = raise(signal);
}
