use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::guard::ARGUMENT;
use crate::{Binaries, Error};

/// A control plane that is there as long as this value, and at most as long as this process.
#[derive(Debug)]
pub struct Instance {
    guard: Child,
    folder: PathBuf,
}

impl Instance {
    /// Starts one; builds it first where that was never done.
    ///
    /// # Errors
    /// Where it cannot be built or started; its logs are kept then, and the message says where.
    pub fn start() -> Result<Self, Error> {
        // Here, where its progress is seen.
        Binaries::build()?;
        let mut guard = guard()?;
        let folder = first_line(&mut guard)?;
        Ok(Self { guard, folder })
    }

    /// The administrator's kubeconfig; it names the certificates beside it.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// The directory with the certificates and logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Starts this program as a guard, out of reach of the terminal's signals, which are the runner's.
pub(crate) fn guard() -> Result<Child, Error> {
    Command::new("/proc/self/exe")
        .arg(ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Whoever waits for the end of our output is not to wait for the guard.
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(Error::start("/proc/self/exe", ""))
}

/// What a guard says once it is ready: its directory.
pub(crate) fn first_line(guard: &mut Child) -> Result<PathBuf, Error> {
    let mut line = String::new();
    if let Some(stdout) = guard.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut line)
            .map_err(Error::file("the guard's answer"))?;
    }
    match line.trim_end().split_once(' ') {
        Some(("ready", folder)) => Ok(folder.into()),
        Some(("failed", reason)) => Err(Error::Plane(reason.to_owned())),
        _ => Err(Error::Plane("the guard said nothing".to_owned())),
    }
}
