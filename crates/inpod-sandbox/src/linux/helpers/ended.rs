//! How a helper ended.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{WaitId, WaitIdOptions, WaitIdStatus, waitid};

use crate::linux::channel::Channel;
use crate::{Error, Way};

/// What setup exits with when a policy killed init, as a shell would.
pub(super) const KILLED_BY_POLICY: i32 = 128 + nix::libc::SIGSYS;

/// A helper's pidfd, waited for when dropped.
#[derive(Debug)]
pub(super) struct Ended {
    pidfd: OwnedFd,
    /// The kernel tells it once. `None` if somebody else was told.
    status: OnceLock<Option<WaitIdStatus>>,
}

impl Ended {
    pub(super) fn new(pidfd: OwnedFd) -> Self {
        Self {
            pidfd,
            status: OnceLock::new(),
        }
    }

    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Waits for something on the channel, or for the helper's end, and tells whether it has ended.
    pub(super) fn or_message(&self, channel: &Channel) -> io::Result<bool> {
        let mut ready = [
            PollFd::new(&self.pidfd, PollFlags::IN),
            PollFd::new(channel, PollFlags::IN),
        ];
        retry_on_intr(|| poll(&mut ready, None))?;
        Ok(!ready[0].revents().is_empty())
    }

    /// Waits for its end, and tells whether it came to that by itself.
    pub(super) fn came_to_its_end(&self) -> bool {
        self.status().is_some_and(WaitIdStatus::exited)
    }

    /// Waits for its end, and tells why it has ended before anything was started.
    pub(super) fn early(&self, way: Way) -> Error {
        let by_policy = self.status().is_some_and(|status| {
            status.terminating_signal() == Some(nix::libc::SIGSYS)
                || status.exit_status() == Some(KILLED_BY_POLICY)
        });
        if !by_policy {
            return Error::Killed;
        }
        let source = io::Error::other("a seccomp policy killed the helper that tried (SIGSYS)");
        Error::refused(way, "have what it needs", source)
    }

    fn status(&self) -> Option<&WaitIdStatus> {
        let waited = || waitid(WaitId::PidFd(self.pidfd()), WaitIdOptions::EXITED);
        let status = self
            .status
            .get_or_init(|| retry_on_intr(waited).ok().flatten());
        status.as_ref()
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        self.status();
    }
}
