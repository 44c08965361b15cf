//! The helpers: this very program, started again under another name.
//!
//! Starting anew instead of forking keeps every helper single-threaded, with nothing of its parent's memory or locks.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use nix::spawn::{
    PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn, posix_spawnp,
};
use nix::sys::signal::{SigSet, Signal};
use rustix::process::Pid;

use super::plan::Plan;
use super::{guardian, init, setup};
use crate::linux::channel::Channel;
use crate::linux::{SignalMask, sys};

/// A helper, by the name it is started under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Makes the namespaces and waits for what is in them.
    Setup,
    /// The first process inside.
    Init,
    /// Without namespaces: starts the process, and clears up after it and after the program that runs the sandbox.
    Guardian,
}

impl Role {
    /// Not one with the program's own in it: `pkill inpod` is for the program, and a helper that gets the signal too takes it for one to the
    /// group.
    const fn name(self) -> &'static str {
        match self {
            Self::Setup => "pod-setup",
            Self::Init => "pod-init",
            Self::Guardian => "pod-guardian",
        }
    }
}

/// Never returns when this process was started as a helper.
pub(crate) fn enter_if_asked() {
    let mut args = std::env::args_os();
    let name = args.next();
    let Some(role) = [Role::Setup, Role::Init, Role::Guardian]
        .into_iter()
        .find(|role| name.as_deref() == Some(role.name().as_ref()))
    else {
        return;
    };
    let Some((channel, plan)) = arguments(args) else {
        std::process::exit(2); // somebody's idea of a joke: there is nobody to report to
    };
    if let Ok(name) = CString::new(role.name()) {
        let _ = rustix::thread::set_name(&name); // for `ps`
    }
    match role {
        Role::Setup => setup::main(&channel, plan),
        Role::Init => init::main(&channel, &plan),
        Role::Guardian => guardian::main(&channel, &plan),
    }
}

fn arguments(mut args: impl Iterator<Item = OsString>) -> Option<(Channel, Plan)> {
    let descriptor = args.next()?.to_str()?.parse().ok()?;
    let plan = Plan::from_args(args)?;
    Some((Channel::from_descriptor(sys::adopt(descriptor).ok()?), plan))
}

/// Starts a helper, with every signal blocked from its first instruction: what the terminal sends to the process group is not for it.
pub(super) fn helper(
    role: Role,
    channel: BorrowedFd<'_>,
    plan: &Plan,
    environment: &[CString],
) -> io::Result<Pid> {
    let mut args = vec![
        OsString::from(role.name()),
        channel.as_raw_fd().to_string().into(),
    ];
    args.extend(plan.to_args());
    let args = c_strings(args)?;
    let mut actions = PosixSpawnFileActions::init()?;
    // Onto itself: it stays open in the child alone, never in another that starts meanwhile.
    actions.add_dup2(channel.as_raw_fd(), channel.as_raw_fd())?;
    let defaults: SigSet = [Signal::SIGCHLD].into_iter().collect();
    let attributes = attributes(&SigSet::all(), &defaults)?;
    let pid = posix_spawn("/proc/self/exe", &actions, &attributes, &args, environment)?;
    to_rustix(pid)
}

/// Starts the process itself, found in the PATH of this one's environment, which is its own.
pub(super) fn process(plan: &Plan) -> io::Result<Pid> {
    let program = c_string(&plan.program)?;
    let mut args = vec![program.clone()];
    args.extend(c_strings(plan.args.clone())?);
    // Rust programs ignore SIGPIPE; what the helpers needed by default (SIGCHLD) every process needs.
    let defaults: SigSet = [Signal::SIGPIPE].into_iter().collect();
    let attributes = attributes(&SignalMask::decode(&plan.signal_mask).0, &defaults)?;
    let environment = environment(std::env::vars_os())?;
    let actions = PosixSpawnFileActions::init()?;
    match posix_spawnp(&program, &actions, &attributes, &args, &environment) {
        // Said too when a directory of PATH cannot be searched; a shell then says that there is no such command.
        Err(Errno::EACCES) if !is_visible(&plan.program) => Err(Errno::ENOENT.into()),
        other => to_rustix(other?),
    }
}

/// Whether there is such a file, in PATH for a mere name.
fn is_visible(program: &OsStr) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    program.as_bytes().contains(&b'/')
        || std::env::split_paths(&path).any(|directory| directory.join(program).exists())
}

fn attributes(mask: &SigSet, defaults: &SigSet) -> io::Result<PosixSpawnAttr> {
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF,
    )?;
    attributes.set_sigmask(mask)?;
    attributes.set_sigdefault(defaults)?;
    Ok(attributes)
}

/// `NAME=VALUE`, as a program is started with.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> io::Result<Vec<CString>> {
    c_strings(variables.into_iter().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        name
    }))
}

fn c_strings(strings: impl IntoIterator<Item = OsString>) -> io::Result<Vec<CString>> {
    let strings = strings
        .into_iter()
        .map(|string| CString::new(string.into_vec()));
    Ok(strings.collect::<Result<_, _>>()?)
}

fn c_string(string: &OsStr) -> io::Result<CString> {
    Ok(CString::new(string.as_bytes())?)
}

fn to_rustix(pid: nix::unistd::Pid) -> io::Result<Pid> {
    Pid::from_raw(pid.as_raw()).ok_or_else(|| io::ErrorKind::Other.into())
}
