//! PID 1 inside: mounts what the process is to see, starts it, reaps what is left to it, and ends with it. The kernel then kills
//! whatever else lives in the namespace.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, set_parent_process_death_signal, wait};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities,
};

use super::mounts::Mounts;
use super::plan::Plan;
use super::{helper, mounts};
use crate::linux::channel::{Channel, Failure, Message, Stage};
use crate::linux::{hosts, redirect};

pub(super) fn main(channel: &Channel, plan: &Plan) -> ! {
    // Behind the channel's end, which is seen only when awake. Init is alone: its parent has one thread, which ends with it.
    let _ = set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let code = match run(channel, plan) {
        Ok(()) => 0,
        Err(failure) => {
            let _ = channel.send(&Message::Failed(failure), &[]);
            1
        }
    };
    std::process::exit(code)
}

fn run(channel: &Channel, plan: &Plan) -> Result<(), Failure> {
    let volumes = mount(plan)?;
    let listener = if plan.listen {
        let listener = redirect::listen().map_err(Failure::at(
            Stage::Listener,
            "lead connections by a seccomp listener",
        ))?;
        Some(listener)
    } else {
        None
    };
    if plan.drop_capabilities {
        drop_capabilities().map_err(Failure::at(Stage::Setup, "drop capabilities"))?;
    }
    let children = SignalFd::with_flags(
        &SigSet::from(Signal::SIGCHLD),
        SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
    )
    .map_err(Failure::at(Stage::Setup, "watch for children"))?;

    let descriptors: Vec<BorrowedFd<'_>> =
        volumes.iter().chain(&listener).map(AsFd::as_fd).collect();
    let lost = || Failure::at(Stage::Setup, "report to the program that runs the sandbox");
    channel
        .send(&Message::Ready, &descriptors)
        .map_err(lost())?;
    drop((volumes, listener));
    match channel.receive().map_err(lost())? {
        Some((Message::Go, _)) => {}
        _ => return Ok(()),
    }
    let process =
        helper::start_process(plan).map_err(Failure::at(Stage::Execute, "start the program"))?;
    channel.send(&Message::Started, &[]).map_err(lost())?;
    attend(channel, &children, process);
    Ok(())
}

fn mount(plan: &Plan) -> Result<Vec<OwnedFd>, Failure> {
    let directory = std::env::current_dir();
    mounts::detach().map_err(Failure::at(
        Stage::Permission,
        "keep mounts apart from the machine's",
    ))?;
    mounts::mount_proc();
    for path in &plan.hidden {
        let what = || format!("hide {}", path.display());
        mounts::hide(path).map_err(|error| Failure::at(Stage::Permission, what())(error))?;
    }
    let mut mounts = Mounts::default();
    if !plan.hosts.is_empty() {
        let path = Path::new("/etc/hosts");
        let machine = std::fs::read(path).unwrap_or_default();
        let contents = hosts::contents(&plan.hosts, &machine);
        mounts
            .file(path, &contents)
            .map_err(Failure::at(Stage::Permission, "mount /etc/hosts"))?;
    }
    let mut volumes = Vec::new();
    for path in &plan.volumes {
        let what = || format!("mount {}", path.display());
        volumes.push(
            mounts
                .volume(path)
                .map_err(|error| Failure::at(Stage::Permission, what())(error))?,
        );
    }
    mounts.seal().map_err(Failure::at(
        Stage::Setup,
        "make a rebuilt directory read-only",
    ))?;
    // By its path again, so that what lies around it is what was mounted. Where it cannot be reached so, it stays as it was.
    let _ = directory.and_then(std::env::set_current_dir);
    Ok(volumes)
}

fn drop_capabilities() -> rustix::io::Result<()> {
    let none = CapabilitySet::empty();
    clear_ambient_capability_set()?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )
}

/// Until the process ends or the other side of the channel does.
fn attend(channel: &Channel, children: &SignalFd, process: Pid) {
    loop {
        let mut ready = [
            PollFd::new(channel, PollFlags::IN),
            PollFd::new(children, PollFlags::IN),
        ];
        if poll(&mut ready, None).is_err() {
            continue; // EINTR
        }
        let (told, reap) = (
            !ready[0].revents().is_empty(),
            !ready[1].revents().is_empty(),
        );
        if reap {
            while let Ok(Some(_)) = children.read_signal() {}
            if reap_all(channel, process) {
                return;
            }
        }
        if told {
            match channel.receive() {
                Ok(Some((Message::Signal(signal), _))) => {
                    let process = nix::unistd::Pid::from_raw(process.as_raw_nonzero().get());
                    if let Ok(signal) = Signal::try_from(signal) {
                        let _ = nix::sys::signal::kill(process, signal);
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
