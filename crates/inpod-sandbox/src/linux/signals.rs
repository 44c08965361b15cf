//! Signals: which of those sent to us are handed on to the process.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::{Pid, getpgid, getpgrp};

use super::sys;

/// What a process may send us and the process in the sandbox should get. Not those of job control that stop: they must stop us.
const FORWARDED: [Signal; 9] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGWINCH,
    Signal::SIGCONT,
];

/// The signals that were blocked when the program started; the process in the sandbox starts with these again.
#[derive(Debug, Clone, Copy)]
pub struct SignalMask(pub(super) SigSet);

/// Blocks, in the calling thread and those it will start, the signals that [`Sandbox::wait`](crate::Sandbox::wait) hands on.
///
/// To be called before any thread is started, because the kernel gives a signal to any thread that does not block it. A program
/// that ends up not running a sandbox lives with the signals blocked, or sets the mask back itself.
pub fn block_signals() -> SignalMask {
    // It can only fail for a `how` that does not exist.
    SignalMask(
        forwarded()
            .thread_swap_mask(SigmaskHow::SIG_BLOCK)
            .unwrap_or_else(|_| SigSet::empty()),
    )
}

/// Ends this process by a signal, without a core dump, whatever it did with that signal: as a process in the sandbox ended.
///
/// Returns where the signal ends nobody, or not this process: the first one of a PID namespace.
pub fn die_of(signal: i32) {
    // The process has left its core dump, if any; ours would say nothing.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = sys::signal_set([signal]).thread_unblock();
    sys::raise_by_default(signal);
}

pub(super) fn forwarded() -> SigSet {
    FORWARDED.into_iter().collect()
}

impl SignalMask {
    pub(super) fn of_this_thread() -> Self {
        Self(SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty()))
    }

    /// As text for a helper's argument: signal numbers, those of real-time signals too.
    pub(super) fn encode(self) -> String {
        let numbers: Vec<_> = sys::signal_numbers(&self.0)
            .iter()
            .map(i32::to_string)
            .collect();
        numbers.join(",")
    }

    pub(super) fn decode(text: &str) -> Self {
        let numbers = text.split(',').filter_map(|number| number.parse().ok());
        Self(sys::signal_set(numbers))
    }
}

/// Whether a process sent a signal. What the terminal sends reaches the whole process group, the process in the sandbox included, by
/// itself.
pub(super) fn is_sent(info: &siginfo) -> bool {
    // SI_USER, SI_QUEUE, SI_TKILL and their like are not positive; SI_KERNEL is.
    if info.ssi_code <= 0 {
        return true;
    }
    // A terminal that goes away tells the leader of its session alone.
    info.ssi_signo.cast_signed() == Signal::SIGHUP as i32 && leads_its_session()
}

fn leads_its_session() -> bool {
    nix::unistd::getsid(None).is_ok_and(|session| session == nix::unistd::getpid())
}

/// For how long a signal that a helper got may be the one that the program that runs the sandbox gets too. What comes later is handed
/// on: a signal that comes twice is better than one that is lost.
const SAME: Duration = Duration::from_secs(1);

/// What the whole process group is sent, which a helper gets too: whoever is of the group has it by itself.
///
/// The kernel goes from the youngest of a group to the oldest, so a helper has it when the program that runs the sandbox gets it. A
/// helper cannot tell it from what it is sent alone; nobody has a reason to send it anything.
#[derive(Debug)]
pub(super) struct ToGroup {
    signals: SignalFd,
    /// The last of each, and when it was seen.
    seen: BTreeMap<i32, Instant>,
}

impl ToGroup {
    /// Of a process that blocks every signal.
    pub(super) fn watch() -> nix::Result<Self> {
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self {
            signals: SignalFd::with_flags(&forwarded(), flags)?,
            seen: BTreeMap::new(),
        })
    }

    /// Takes note of what has come.
    pub(super) fn look(&mut self) {
        while let Ok(Some(info)) = self.signals.read_signal() {
            if info.ssi_code <= 0 {
                self.seen
                    .insert(info.ssi_signo.cast_signed(), Instant::now());
            }
        }
    }

    /// Forgets what came before the process was there to get it.
    pub(super) fn forget(&mut self) {
        self.look();
        self.seen.clear();
    }

    /// Whether a signal that the program that runs the sandbox was sent is one that the group was sent, as a process of the group.
    pub(super) fn has(&mut self, signal: i32, process: Pid) -> bool {
        self.look();
        let seen = self.seen.remove(&signal);
        seen.is_some_and(|seen| seen.elapsed() < SAME) && getpgid(Some(process)) == Ok(getpgrp())
    }
}

impl AsFd for ToGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_survives_the_way_through_an_argument() {
        for signals in [
            vec![],
            vec![Signal::SIGTERM],
            vec![Signal::SIGHUP, Signal::SIGUSR2],
        ] {
            let mask = SignalMask(signals.into_iter().collect());
            assert_eq!(SignalMask::decode(&mask.encode()).0, mask.0);
        }
        assert_eq!(SignalMask::decode("10,40").encode(), "10,40");
        assert_eq!(SignalMask::decode("0,x,4000,-1").encode(), "");
    }
}
