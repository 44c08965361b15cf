//! The terminal's foreground process group.

use std::os::fd::OwnedFd;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Pid, getpgrp, test_kill_process_group};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// A terminal whose foreground group was ours.
#[derive(Debug)]
pub(super) struct Terminal {
    tty: OwnedFd,
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
            Ok(group) => {
                group != self.group
                    && test_kill_process_group(group) == Err(rustix::io::Errno::SRCH)
            }
            Err(_) => false,
        };
        if !taken {
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
