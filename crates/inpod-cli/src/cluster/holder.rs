//! A process that keeps a kubeconfig in its memory, for every program of the user to read under a name in `/proc`.
//!
//! The cluster's own process is not to be looked into: the keys of its CA are in its memory.

use std::fs::File;
use std::io::{self, PipeWriter, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};

const NAME: &str = "inpod-kubeconfig";

/// The process, as long as this value.
#[derive(Debug)]
pub(super) struct Holder {
    path: PathBuf,
    process: Child,
    /// It ends with this end of the pipe, whatever ends us.
    alive: Option<PipeWriter>,
}

impl Holder {
    pub(super) fn start(text: &str) -> io::Result<Self> {
        let mut memory = File::from(memfd_create(NAME, MemfdFlags::CLOEXEC)?);
        memory.write_all(text.as_bytes())?;
        let (ended, alive) = io::pipe()?;
        let process = Command::new("/proc/self/exe")
            .arg0(NAME)
            // What the terminal sends to our process group is not for it.
            .process_group(0)
            .stdin(ended)
            .stdout(memory)
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self {
            path: format!("/proc/{}/fd/1", process.id()).into(),
            process,
            alive: Some(alive),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.alive.take());
        let _ = self.process.wait();
    }
}

/// Never returns when this process was started to hold a kubeconfig.
pub(crate) fn enter_if_asked() {
    if std::env::args_os().next().as_deref() != Some(NAME.as_ref()) {
        return;
    }
    let _ = rustix::thread::set_name(c"inpod-kubeconfig"); // for `ps`, cut to 15 bytes
    let _ = io::stdin().read(&mut [0]);
    std::process::exit(0)
}
