//! Signals: which of those sent to us are handed on to the process.

use std::collections::BTreeMap;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::siginfo;

use super::process::Process;
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

/// Whether a signal came from a process outside the sandbox. What the terminal sends reaches the whole process group, the process
/// in the sandbox included, by itself; so does what a process inside sends to its group.
pub(super) fn is_for_the_process(info: &siginfo) -> bool {
    // SI_USER, SI_QUEUE, SI_TKILL and their like are not positive; SI_KERNEL is.
    if info.ssi_code <= 0 {
        !is_inside(info.ssi_pid)
    } else {
        // A terminal that goes away tells the leader of its session alone.
        info.ssi_signo.cast_signed() == Signal::SIGHUP as i32 && leads_its_session()
    }
}

fn leads_its_session() -> bool {
    nix::unistd::getsid(None).is_ok_and(|session| session == nix::unistd::getpid())
}

/// Whether the sender of a signal is a descendant of this process. It has the number by which it knows itself, which in a PID
/// namespace of its own is another than here. There the first process is ours, and sends none; number 1 is the machine's. Where
/// one outside has the number too, it is taken for the sender: a signal that comes twice is better than one that is lost.
fn is_inside(sender: u32) -> bool {
    let processes: BTreeMap<u32, Process> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse().ok()?;
            Some((pid, Process::of(pid)?))
        })
        .collect();
    let ours = std::process::id();
    let descends = |pid: u32| {
        let parent = |pid: &u32| processes.get(pid).map(|process| process.parent);
        std::iter::successors(parent(&pid), parent).any(|ancestor| ancestor == ours)
    };
    let outside = processes
        .get(&sender)
        .is_some_and(|process| process.is_program && !descends(sender));
    sender > 1
        && !outside
        && processes
            .iter()
            .any(|(pid, process)| process.own == sender && descends(*pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_inside_and_a_parent_is_not() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read -r _"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        assert!(is_inside(child.id()));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!is_inside(std::os::unix::process::parent_id()));
        assert!(!is_inside(std::process::id()));
    }

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
