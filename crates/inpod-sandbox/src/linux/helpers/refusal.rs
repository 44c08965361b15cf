//! Why a machine refuses namespaces, and what to change on it.

use std::fs;

use nix::libc;

use crate::{Attempt, Way};

/// What is known to make a kernel refuse.
#[derive(Debug, Default)]
pub(in crate::linux) struct Machine {
    /// `user.max_user_namespaces`
    max_user_namespaces: Option<u64>,
    /// Ubuntu's `kernel.apparmor_restrict_unprivileged_userns`
    apparmor_restricts: Option<u64>,
    /// Debian's older `kernel.unprivileged_userns_clone`
    unprivileged_clone: Option<u64>,
    /// Whether a seccomp filter, such as a container's profile, is on this process.
    filtered: bool,
}

impl Machine {
    pub(in crate::linux) fn look() -> Self {
        let sysctl = |name: &str| {
            fs::read_to_string(format!("/proc/sys/{name}"))
                .ok()?
                .trim()
                .parse()
                .ok()
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            max_user_namespaces: sysctl("user/max_user_namespaces"),
            apparmor_restricts: sysctl("kernel/apparmor_restrict_unprivileged_userns"),
            unprivileged_clone: sysctl("kernel/unprivileged_userns_clone"),
            filtered: status.lines().any(|line| {
                line.strip_prefix("Seccomp:")
                    .is_some_and(|mode| mode.trim() == "2")
            }),
        }
    }
}

/// Sentences that name every cause that is there.
pub(in crate::linux) fn remedy(machine: &Machine, attempts: &[Attempt]) -> String {
    let mut causes = Vec::new();
    let busy = |way| {
        let mut attempts = attempts.iter().filter(|attempt| attempt.way == way);
        attempts.any(|attempt| attempt.source.raw_os_error() == Some(libc::EBUSY))
    };
    if busy(Way::RealFiles) {
        causes.push("another `inpod run` has its files where this one's would be: it works when that has ended");
    }
    if busy(Way::Listener) {
        causes.push(
            "calls of this process are answered by another program already (an `inpod run` around this one, or a container runtime's \
             own listener), and Linux allows one: run it outside of that",
        );
    }
    if machine.max_user_namespaces == Some(0) {
        causes.push("user.max_user_namespaces is 0: `sudo sysctl user.max_user_namespaces=10000` allows them");
    }
    if machine.apparmor_restricts == Some(1) {
        causes.push(
            "AppArmor restricts unprivileged user namespaces: `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, \
             or an AppArmor profile for this program with `userns,`, allows them",
        );
    }
    if machine.unprivileged_clone == Some(0) {
        causes.push("kernel.unprivileged_userns_clone is 0: `sudo sysctl kernel.unprivileged_userns_clone=1` allows them");
    }
    if machine.filtered {
        causes.push(
            "a seccomp filter is on this process, in a container most likely its profile, in a systemd unit its SystemCallFilter=; start \
             the container with `--cap-add SYS_ADMIN --cap-add SYS_PTRACE --security-opt apparmor=unconfined`, or with a profile that \
             allows unshare, mount, seccomp and pidfd_getfd, as the unit's filter should",
        );
    }
    if causes.is_empty() {
        return "it needs a user, a mount and a PID namespace, or root with CAP_SYS_ADMIN, or a seccomp listener and pidfd_getfd, \
                and Linux 5.9 or later"
            .into();
    }
    causes.join("; also, ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_named_and_no_other() {
        let machine = Machine {
            max_user_namespaces: Some(0),
            filtered: true,
            apparmor_restricts: Some(0),
            unprivileged_clone: None,
        };
        let remedy = remedy(&machine, &[]);
        assert!(
            remedy.contains("user.max_user_namespaces=10000")
                && remedy.contains("--cap-add SYS_ADMIN")
        );
        assert!(!remedy.contains("AppArmor restricts") && !remedy.contains("userns_clone"));
    }

    #[test]
    fn without_a_known_cause_the_needs_are_named() {
        assert!(remedy(&Machine::default(), &[]).contains("CAP_SYS_ADMIN"));
    }

    #[test]
    fn what_is_taken_is_named_by_who_has_it() {
        let taken = |way| Attempt {
            way,
            what: String::new(),
            source: std::io::Error::from_raw_os_error(libc::EBUSY),
        };
        let [listener, files] =
            [Way::Listener, Way::RealFiles].map(|way| remedy(&Machine::default(), &[taken(way)]));
        assert!(listener.contains("around this one") && !listener.contains("has its files"));
        assert!(files.contains("has its files") && !files.contains("around this one"));
    }
}
