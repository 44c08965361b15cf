//! Machines that refuse what sandboxes are made of, set up for one process and what it starts.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::str::FromStr;

use nix::libc;
use rustix::process::{getegid, geteuid};
use rustix::thread::{
    CapabilitySet, UnshareFlags, capabilities, remove_capability_from_bounding_set,
    set_capabilities,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

/// What a machine refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// `unshare` and `clone` of user namespaces, as a kernel or a container's profile may.
    UserNamespaces,
    /// Every mount: after an `unshare` that succeeded, `AppArmor` of Ubuntu refuses those.
    Mounts,
    /// `pidfd_getfd`, as Docker's default profile does.
    Sockets,
    /// A seccomp filter with a listener.
    Listeners,
    /// To root, `CAP_SYS_ADMIN`, as a container has it by default.
    Administration,
    /// User namespaces, by `user.max_user_namespaces=0`: set in a user namespace of its own, so that nobody else sees it.
    NamespacesLeft,
    /// Landlock's domains, as a kernel without them.
    Domains,
    /// Nothing by itself: calls that a filter would refuse kill instead, as in a systemd unit with `SystemCallFilter=`.
    ByKilling,
}

impl FromStr for Refusal {
    type Err = io::Error;

    fn from_str(name: &str) -> io::Result<Self> {
        Ok(match name {
            "user-namespaces" => Self::UserNamespaces,
            "mounts" => Self::Mounts,
            "sockets" => Self::Sockets,
            "listeners" => Self::Listeners,
            "administration" => Self::Administration,
            "namespaces-left" => Self::NamespacesLeft,
            "domains" => Self::Domains,
            "by-killing" => Self::ByKilling,
            _ => return Err(io::Error::other(format!("unknown: {name}"))),
        })
    }
}

/// Refuses these to the calling thread and what it starts from now on.
///
/// # Errors
/// Where this machine does not let it.
pub fn refuse(refusals: &[Refusal]) -> io::Result<()> {
    // Filters last: they refuse what the others need.
    for refusal in refusals {
        match refusal {
            Refusal::NamespacesLeft => no_namespaces_left()?,
            Refusal::Administration => no_administration()?,
            _ => {}
        }
    }
    let refused = if refusals.contains(&Refusal::ByKilling) {
        SeccompAction::KillProcess
    } else {
        SeccompAction::Errno(libc::EPERM.cast_unsigned())
    };
    for refusal in refusals {
        match refusal {
            Refusal::UserNamespaces => {
                let user = flagged(0, libc::CLONE_NEWUSER)?;
                filter(
                    refused.clone(),
                    [
                        (libc::SYS_unshare, vec![user.clone()]),
                        (libc::SYS_clone, vec![user]),
                    ],
                )?;
                // Its flags are out of a filter's sight; C libraries fall back to `clone`.
                let enosys = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
                filter(enosys, [(libc::SYS_clone3, vec![])])?;
            }
            Refusal::Mounts => filter(
                refused.clone(),
                [
                    libc::SYS_mount,
                    libc::SYS_fsopen,
                    libc::SYS_fsmount,
                    libc::SYS_open_tree,
                    libc::SYS_move_mount,
                    libc::SYS_mount_setattr,
                ]
                .map(|call| (call, vec![])),
            )?,
            Refusal::Sockets => filter(refused.clone(), [(libc::SYS_pidfd_getfd, vec![])])?,
            Refusal::Domains => filter(
                refused.clone(),
                [(libc::SYS_landlock_create_ruleset, vec![])],
            )?,
            Refusal::Listeners => {
                let listener = i32::try_from(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
                let listener = flagged(1, listener.map_err(io::Error::other)?)?;
                filter(refused.clone(), [(libc::SYS_seccomp, vec![listener])])?;
            }
            Refusal::Administration | Refusal::NamespacesLeft | Refusal::ByKilling => {}
        }
    }
    Ok(())
}

fn flagged(argument: u8, flag: i32) -> io::Result<SeccompRule> {
    let flag = u64::from(flag.cast_unsigned());
    let condition = SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::MaskedEq(flag),
        flag,
    );
    SeccompRule::new(vec![condition.map_err(io::Error::other)?]).map_err(io::Error::other)
}

fn filter(
    action: SeccompAction,
    calls: impl IntoIterator<Item = (libc::c_long, Vec<SeccompRule>)>,
) -> io::Result<()> {
    let rules: BTreeMap<i64, Vec<SeccompRule>> = calls.into_iter().collect();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        action,
        std::env::consts::ARCH
            .try_into()
            .map_err(io::Error::other)?,
    );
    let program: BpfProgram = filter
        .and_then(BpfProgram::try_from)
        .map_err(io::Error::other)?;
    apply_filter(&program).map_err(io::Error::other)
}

/// Not even by executing something, which root's programs would get it back by.
fn no_administration() -> io::Result<()> {
    for capability in [CapabilitySet::SYS_ADMIN, CapabilitySet::SYS_PTRACE] {
        remove_capability_from_bounding_set(capability)?;
        let mut sets = capabilities(None)?;
        sets.effective -= capability;
        sets.permitted -= capability;
        sets.inheritable -= capability;
        set_capabilities(None, sets)?;
    }
    Ok(())
}

fn no_namespaces_left() -> io::Result<()> {
    let (user, group) = (geteuid(), getegid());
    let script =
        "read -r _; for map in uid_map gid_map; do echo 0 0 4294967295 > /proc/$PPID/$map; done";
    let mut outside = Command::new("sh")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .spawn()?;
    #[expect(
        deprecated,
        reason = "the safe one; without CLONE_FILES, which it would be unsafe for, there is nothing to it"
    )]
    rustix::thread::unshare(UnshareFlags::NEWUSER)?;
    // Root maps everybody, so that the command can become an ordinary user. Only a process outside may do that.
    if user.is_root() {
        drop(outside.stdin.take());
        outside.wait()?;
    } else {
        outside.kill()?;
        outside.wait()?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
        fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    }
    fs::write("/proc/sys/user/max_user_namespaces", "0")
}
