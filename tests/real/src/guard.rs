//! The process between a runner and the control plane.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::plane::Plane;
use crate::{Binaries, Error, cache};

/// The only argument of a guard.
pub(crate) const ARGUMENT: &str = "--guard-of-a-real-control-plane";
/// What a runner writes to its guard that is to stay when the runner ends, until SIGTERM.
pub(crate) const STAY: &[u8] = b"stay\n";

/// What the names of the temporary directories begin with.
const PREFIX: &str = "inpod-real-";
/// The file that a living guard holds the lock of.
const LOCK: &str = "lock";

/// Every binary that starts an [`Instance`](crate::Instance) calls this first in `main`: where the process was started to be a
/// guard, it is one, and does not return.
pub fn become_guard_if_asked() {
    if std::env::args().nth(1).as_deref() != Some(ARGUMENT) {
        return;
    }
    let code = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(guard()),
        Err(error) => answer(&Err(Error::Plane(error.to_string()))),
    };
    // What still reads standard input would keep a runtime from ending.
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

/// Tells the runner, in one line on standard output, the directory of a ready control plane or what went wrong; then keeps
/// it until it is to end.
async fn guard() -> ExitCode {
    let (folder, lock) = match claim() {
        Ok(claimed) => claimed,
        Err(error) => return answer(&Err(error)),
    };
    let kept = keep(&folder).await;
    let result = match kept {
        Ok(()) => Ok(()),
        Err(error) => Err(save_logs(&folder, error)),
    };
    let _ = fs::remove_dir_all(&folder);
    drop(lock);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => answer(&Err(error)),
    }
}

async fn keep(folder: &Path) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::file("SIGTERM"))?;
    let end = async {
        tokio::select! {
            () = runner_ends() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(end);

    let binaries = Binaries::build()?;
    let mut plane = tokio::select! {
        plane = Plane::start(folder, &binaries) => plane?,
        () = &mut end => return Ok(()),
    };
    answer(&Ok(folder.to_owned()));
    let result = tokio::select! {
        error = plane.broken() => Err(error),
        () = &mut end => Ok(()),
    };
    plane.stop().await;
    result
}

/// Waits for the other end of standard input to be closed; forever, where the guard was told to stay.
async fn runner_ends() {
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; STAY.len()];
    let mut stay = false;
    while stdin.read(&mut buffer).await.is_ok_and(|length| length > 0) {
        stay = true;
    }
    if stay {
        std::future::pending::<()>().await;
    }
}

/// A new directory, with the lock that tells others that it is in use; and those that dead guards have left are removed.
fn claim() -> Result<(PathBuf, File), Error> {
    let all = std::env::temp_dir();
    sweep(&all);
    let folder = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(&all)
        .map_err(Error::file(&all))?
        .keep();
    let path = folder.join(LOCK);
    let lock = File::create(&path).map_err(Error::file(&path))?;
    lock.lock().map_err(Error::file(&path))?;
    Ok((folder, lock))
}

/// Removes the directories that dead guards have left.
pub(crate) fn sweep(all: &Path) {
    let entries = fs::read_dir(all).into_iter().flatten().flatten();
    for entry in entries {
        let ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        let dead = || File::open(entry.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if ours && dead() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Keeps the logs of a control plane that failed, and says where.
fn save_logs(folder: &Path, error: Error) -> Error {
    let saved = cache().join("real-logs");
    match copy_logs(folder, &saved) {
        Ok(()) => Error::Plane(format!("{error}; its logs are in {}", saved.display())),
        // What went wrong first matters more.
        Err(_) => error,
    }
}

fn copy_logs(folder: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let (Some("log"), Some(name)) =
            (path.extension().and_then(|e| e.to_str()), path.file_name())
        {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}

/// One line for the runner, which may be gone.
fn answer(result: &Result<PathBuf, Error>) -> ExitCode {
    use std::io::Write as _;
    let (line, code) = match result {
        Ok(folder) => (format!("ready {}\n", folder.display()), ExitCode::SUCCESS),
        Err(error) => (format!("failed {error}\n"), ExitCode::FAILURE),
    };
    let mut stdout = std::io::stdout();
    let _ = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush());
    code
}
