//! What is left to a child subreaper: processes whose parents have ended, however they tried to get away.

use std::io;

use rustix::fs::{CWD, Dir, Mode, OFlags, openat};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// The children of this process, whoever started them.
#[derive(Debug)]
pub(super) struct Orphans(Dir);

impl Orphans {
    /// Everything that needs a path is done here: later, nobody may be left to answer for one.
    pub(super) fn new() -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(Dir::new(openat(CWD, "/proc", flags, Mode::empty())?)?))
    }

    pub(super) fn children(&mut self) -> Vec<Pid> {
        self.0.rewind();
        self.0
            .by_ref()
            .filter_map(|entry| {
                let number = entry.ok()?.file_name().to_str().ok()?.parse().ok()?;
                Pid::from_raw(number)
            })
            .filter(|pid| is_child(*pid))
            .collect()
    }

    /// Kills all children but some, and what those leave to this process, until none is left.
    pub(super) fn kill_all(&mut self, spared: &[Pid]) {
        loop {
            let mut children = self.children();
            children.retain(|child| !spared.contains(child));
            if children.is_empty() {
                return;
            }
            for child in &children {
                let _ = kill_process(*child, Signal::KILL);
            }
            for child in children {
                let _ = retry_on_intr(|| waitid(WaitId::Pid(child), WaitIdOptions::EXITED));
            }
        }
    }
}

/// `/proc/PID/stat` would say it too, to who may open it.
fn is_child(pid: Pid) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(
        retry_on_intr(|| waitid(WaitId::Pid(pid), look)),
        Err(Errno::CHILD)
    )
}
