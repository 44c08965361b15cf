//! The one instance of a checkout, which stays until `down`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::guard::{STAY, sweep};
use crate::instance::{first_line, guard};
use crate::{Binaries, Error};

/// Starts the checkout's instance, or finds it running.
///
/// # Errors
/// Where it cannot be built or started.
pub fn up() -> Result<PathBuf, Error> {
    if let Ok(kubeconfig) = kubeconfig() {
        return Ok(kubeconfig);
    }
    Binaries::build()?;
    let mut guard = guard()?;
    let folder = first_line(&mut guard)?;
    let state = state();
    let text = format!("{}\n{}\n", guard.id(), folder.display());
    fs::create_dir_all(state.parent().unwrap_or(Path::new(".")))
        .and_then(|()| fs::write(&state, text))
        .map_err(Error::file(&state))?;
    if let Some(stdin) = &mut guard.stdin {
        stdin
            .write_all(STAY)
            .map_err(Error::file("the guard's standard input"))?;
    }
    Ok(folder.join("kubeconfig"))
}

/// Ends the checkout's instance; where there is none, nothing is done.
///
/// # Errors
/// Where it does not end.
pub fn down() -> Result<(), Error> {
    let Some((pid, _)) = running() else {
        // A guard that was killed has left its directory.
        sweep(&std::env::temp_dir());
        return Ok(());
    };
    // kill(1), because a signal to a process that is no child of ours is not in the standard library.
    let status = Command::new("kill")
        .arg(&pid)
        .status()
        .map_err(Error::start("kill", ""))?;
    if !status.success() {
        return Err(Error::Plane(format!("kill {pid}: {status}")));
    }
    while running().is_some() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let state = state();
    fs::remove_file(&state).map_err(Error::file(&state))
}

/// The administrator's kubeconfig of the checkout's instance.
///
/// # Errors
/// [`Error::NotUp`] where there is none.
pub fn kubeconfig() -> Result<PathBuf, Error> {
    let (_, folder) = running().ok_or(Error::NotUp)?;
    Ok(folder.join("kubeconfig"))
}

/// The guard's process and directory. A guard that has died leaves a directory that nobody serves; the next one removes it, and so does [`down`].
fn running() -> Option<(String, PathBuf)> {
    let text = fs::read_to_string(state()).ok()?;
    let (pid, folder) = text.trim_end().split_once('\n')?;
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let is_guard = arguments
        .split(|byte| *byte == 0)
        .any(|argument| argument == crate::guard::ARGUMENT.as_bytes());
    is_guard.then(|| (pid.to_owned(), folder.into()))
}

fn state() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
            PathBuf::from,
        )
        .join("real")
        .join("instance")
}
