//! The first helper: makes the namespaces, starts init in them and waits for it.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getegid, geteuid, pidfd_open, pidfd_send_signal, waitpid,
};
use rustix::thread::{
    CapabilitySet, UnshareFlags, capabilities, configure_capability_in_ambient_set,
    set_capabilities,
};

use super::ended::KILLED_BY_POLICY;
use super::plan::Plan;
use super::start::{self, Role};
use crate::linux::channel::{Channel, Failure, Message, Stage};

pub(super) fn main(channel: &Channel, mut plan: Plan) -> ! {
    let code = match unshare(&mut plan).and_then(|()| start_init(channel, &plan)) {
        Ok(init) => match wait(channel, init) {
            Some(nix::libc::SIGSYS) => KILLED_BY_POLICY,
            _ => 0,
        },
        Err(failure) => {
            let _ = channel.send(&Message::Failed(failure), &[]);
            1
        }
    };
    std::process::exit(code)
}

/// With the right to mount, a mount namespace is enough; everybody else gets that right in a user namespace, in which they stay who
/// they are.
fn unshare(plan: &mut Plan) -> Result<(), Failure> {
    let inside = UnshareFlags::NEWNS | UnshareFlags::NEWPID;
    let privileged =
        capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
    if privileged {
        return rustix_unshare(inside).map_err(Failure::at(
            Stage::Permission,
            "make a mount and a PID namespace",
        ));
    }
    plan.drop_capabilities = true;
    let (user, group) = (geteuid(), getegid());
    rustix_unshare(inside | UnshareFlags::NEWUSER).map_err(Failure::at(
        Stage::Permission,
        "make a user, a mount and a PID namespace",
    ))?;
    // Supplementary groups stay, as nobody's: without privilege they can be neither mapped nor, after this, dropped.
    std::fs::write("/proc/self/setgroups", "deny")
        .and_then(|()| std::fs::write("/proc/self/uid_map", format!("{user} {user} 1")))
        .and_then(|()| std::fs::write("/proc/self/gid_map", format!("{group} {group} 1")))
        .and_then(|()| keep_over_exec(CapabilitySet::SYS_ADMIN))
        .map_err(Failure::at(
            Stage::Permission,
            "map this user into a user namespace",
        ))
}

#[expect(
    deprecated,
    reason = "the safe one; without CLONE_FILES, which it would be unsafe for, there is nothing to it"
)]
fn rustix_unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    rustix::thread::unshare(flags)
}

/// Without this a program started by anybody but root begins without capabilities.
fn keep_over_exec(capability: CapabilitySet) -> io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.inheritable |= capability;
    set_capabilities(None, sets)?;
    Ok(configure_capability_in_ambient_set(capability, true)?)
}

fn start_init(channel: &Channel, plan: &Plan) -> Result<Pid, Failure> {
    let environment = start::environment(std::env::vars_os());
    environment
        .and_then(|environment| start::helper(Role::Init, channel.as_fd(), plan, &environment))
        .map_err(Failure::at(
            Stage::Permission,
            "start a process in a PID namespace",
        ))
}

/// Waits until init, and with it everything in its PID namespace, is gone. Kills it when the program that runs the sandbox is, in case
/// init cannot see that itself because somebody stopped it. Answers with the signal that init died of.
fn wait(channel: &Channel, init: Pid) -> Option<i32> {
    if let Ok(pidfd) = pidfd_open(init, PidfdFlags::empty()) {
        let told = channel.send(&Message::Init, &[pidfd.as_fd()]);
        // No events asked for: the other side's end is always told.
        let mut ready = [
            PollFd::new(&pidfd, PollFlags::IN),
            PollFd::new(channel, PollFlags::empty()),
        ];
        while told.is_ok() && poll(&mut ready, None) == Err(rustix::io::Errno::INTR) {}
        if ready[0].revents().is_empty() {
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        }
    }
    let ended = rustix::io::retry_on_intr(|| waitpid(Some(init), WaitOptions::empty()));
    ended.ok().flatten()?.1.terminating_signal()
}
