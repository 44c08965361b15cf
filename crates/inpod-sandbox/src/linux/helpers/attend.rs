//! What the helpers next to the process do for it: start it, hand on signals, reap, and report.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Pid, WaitOptions, set_dumpable_behavior, wait};

use super::plan::Plan;
use super::start;
use crate::linux::channel::{Channel, Failure, Message, Stage};
use crate::linux::signals::ToGroup;
use crate::linux::supervisor::{self, Wanted};
use crate::linux::tree::PROBE;

/// What the process will see.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Writable, in the order of the plan's.
    pub(super) volumes: Vec<OwnedFd>,
    /// Whether the machine's `/proc` could not be replaced.
    pub(super) covered_proc: bool,
    /// Whether nothing keeps it from looking into other processes of its user.
    pub(super) looks_around: bool,
}

/// The listener for what is wanted of one, on this process and all it starts from now on.
pub(super) fn listen(wanted: Wanted) -> Result<Option<OwnedFd>, Failure> {
    if wanted == Wanted::default() {
        return Ok(None);
    }
    supervisor::rehearse(wanted);
    let listener = supervisor::listen(wanted);
    let what = "answer for a process by a seccomp listener";
    listener
        .map(Some)
        .map_err(Failure::at(Stage::Listener, what))
}

/// Reports that everything is in place, starts the process when told to, and stays until it has ended or the other side has.
pub(super) fn process(
    channel: &Channel,
    plan: &Plan,
    shown: Shown,
    listener: Option<OwnedFd>,
) -> Result<(), Failure> {
    let children = SignalFd::with_flags(
        &SigSet::from(Signal::SIGCHLD),
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )
    .map_err(Failure::at(Stage::Setup, "watch for children"))?;

    let mut to_group =
        ToGroup::watch().map_err(Failure::at(Stage::Setup, "watch for signals to the group"))?;

    let Shown {
        volumes,
        covered_proc,
        looks_around,
    } = shown;
    let ready = Message::Ready {
        covered_proc,
        looks_around,
    };
    let descriptors: Vec<BorrowedFd<'_>> =
        volumes.iter().chain(&listener).map(AsFd::as_fd).collect();
    let lost = || Failure::at(Stage::Setup, "report to the program that runs the sandbox");
    channel.send(&ready, &descriptors).map_err(lost())?;
    drop((volumes, listener));
    let message = channel.receive().map_err(lost())?;
    if !matches!(message, Some((Message::Go | Message::Prove, _))) {
        return Ok(());
    }
    if plan.wanted.paths {
        std::fs::metadata(PROBE).map_err(Failure::at(
            Stage::Listener,
            "read and write the memory of another process",
        ))?;
    }
    if plan.wanted.connects {
        supervisor::probe().map_err(Failure::at(
            Stage::Listener,
            "take the sockets of another process",
        ))?;
    }
    if matches!(message, Some((Message::Prove, _))) {
        return channel.send(&Message::Started, &[]).map_err(lost());
    }
    // The process is of the same user, and may not take this one over. Not before: the listener's answers need a look into it.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(Failure::at(Stage::Setup, "keep the process from a helper"))?;
    let process = start::process(plan).map_err(Failure::at(Stage::Execute, "start the program"))?;
    to_group.forget();
    channel.send(&Message::Started, &[]).map_err(lost())?;
    attend(channel, &children, to_group, process);
    Ok(())
}

/// Until the process ends or the other side of the channel does.
fn attend(channel: &Channel, children: &SignalFd, mut to_group: ToGroup, process: Pid) {
    let number = nix::unistd::Pid::from_raw(process.as_raw_nonzero().get());
    loop {
        let mut ready = [
            PollFd::new(channel, PollFlags::IN),
            PollFd::new(children, PollFlags::IN),
            PollFd::new(&to_group, PollFlags::IN),
        ];
        if poll(&mut ready, None).is_err() {
            continue; // EINTR
        }
        let (told, reap) = (
            !ready[0].revents().is_empty(),
            !ready[1].revents().is_empty(),
        );
        to_group.look();
        if reap {
            while let Ok(Some(_)) = children.read_signal() {}
            if reap_all(channel, process) {
                return;
            }
        }
        if told {
            match channel.receive() {
                Ok(Some((Message::HandOn(signal), _))) if to_group.has(signal, number) => {}
                Ok(Some((Message::Signal(signal) | Message::HandOn(signal), _))) => {
                    if let Ok(signal) = Signal::try_from(signal) {
                        let _ = nix::sys::signal::kill(number, signal);
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }
}

/// Whether the process is among those that ended.
fn reap_all(channel: &Channel, process: Pid) -> bool {
    loop {
        let (pid, status) = match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            Ok(Some(child)) => child,
            Err(Errno::INTR) => continue,
            Ok(None) | Err(_) => return false,
        };
        if pid != process {
            continue;
        }
        if status.stopped() {
            let _ = channel.send(&Message::Stopped, &[]);
        } else {
            let _ = channel.send(&Message::Exited(status.as_raw()), &[]);
            return true;
        }
    }
}
