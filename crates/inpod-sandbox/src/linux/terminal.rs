//! The terminal's foreground process group.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};
use rustix::fs::{CWD, Mode, OFlags, openat};

/// A terminal whose foreground group was ours.
#[derive(Debug)]
pub(super) struct Terminal {
    tty: OwnedFd,
    /// 0 where its leader is outside our PID namespace, as in a run in a run.
    group: Pid,
}

impl Terminal {
    /// The controlling terminal, if we are in its foreground.
    pub(super) fn foreground() -> Option<Self> {
        let tty = openat(
            CWD,
            "/dev/tty",
            OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOCTTY,
            Mode::empty(),
        )
        .ok()?;
        let group = getpgrp();
        (tcgetpgrp(&tty).ok()? == group).then_some(Self { tty, group })
    }

    /// Takes the foreground back from a group that is dead: a shell inside has one of its own and cannot name ours.
    pub(super) fn take_back(&self) {
        let taken = match tcgetpgrp(&self.tty) {
            Ok(group) => group != self.group && killpg(group, None) == Err(Errno::ESRCH),
            Err(_) => false,
        };
        // A group that has no number here cannot be named; its leader takes the foreground back itself.
        if !taken || self.group.as_raw() == 0 {
            return;
        }
        // Who is not in the foreground is stopped for this, unless it blocks the signal.
        let stop: SigSet = [Signal::SIGTTOU].into_iter().collect();
        if let Ok(mask) = stop.thread_swap_mask(SigmaskHow::SIG_BLOCK) {
            let _ = tcsetpgrp(&self.tty, self.group);
            let _ = mask.thread_set_mask();
        }
    }
}
