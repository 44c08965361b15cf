//! The processes next to the one in the sandbox, each started from this program.
//!
//! With namespaces they are two: *setup* makes the namespaces and waits for *init*, PID 1 inside, which mounts, starts the process and
//! ends with it. Each ends when one of the others does: init sees the caller's death by the end of their [`Channel`] and setup's by
//! the parent-death signal, setup sees the caller's and init's, and the caller kills init when setup is dead. With init the kernel
//! kills everything in its PID namespace and takes the mounts away.
//!
//! Without, a *guardian* does as much of that as can be done. What it cannot do once it is killed, the caller does.

mod apart;
mod attend;
mod ended;
mod guardian;
mod init;
mod mounts;
mod plan;
mod real;
pub(super) mod refusal;
mod setup;
mod start;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use ended::Ended;
use plan::Plan;
use real::RealFiles;
use start::Role;
pub(super) use start::enter_if_asked;

use super::channel::{Channel, Failure, Message, Stage};
use super::etc::Etc;
use super::orphans::Orphans;
use super::supervisor::Wanted;
use super::sys;
use crate::{Command, Error, View, Way};

/// Helpers that have everything in place, ready to start the program.
#[derive(Debug)]
pub(super) struct Helpers {
    pub(super) channel: Channel,
    /// The pidfd of the one that starts the program: readable once nothing lives inside any more.
    pub(super) inner: OwnedFd,
    /// Writable, in the order of the view's; none where the caller answers for the files.
    pub(super) volumes: Vec<OwnedFd>,
    /// Where the kernel asks what the caller is to answer.
    pub(super) listener: Option<OwnedFd>,
    /// Where the run around this one is told what to answer.
    pub(super) borrowed: Option<OwnedFd>,
    /// What this machine adds to the limits of the way.
    limits: Vec<&'static str>,
    outer: Outer,
}

/// What is to be waited for and cleared up once nothing lives inside.
#[derive(Debug)]
enum Outer {
    /// Setup. It ends when the channel does, so that is to be dropped first.
    Setup(Ended),
    Guardian(Leavings),
}

/// What a guardian leaves when it is killed, cleared up when dropped.
#[derive(Debug)]
struct Leavings {
    guardian: Ended,
    number: Pid,
    /// Children that this process had before.
    spared: Vec<Pid>,
    files: Option<RealFiles>,
    /// Whether the files are known to be made, and this process to have the lock on them.
    owned: bool,
    cleared: AtomicBool,
}

/// Guardians that live, which are not to be taken for what another one left.
static GUARDIANS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn guardians() -> MutexGuard<'static, Vec<Pid>> {
    GUARDIANS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes everything ready for the program, which then waits for [`Helpers::go`].
pub(super) fn make(way: Way, view: &View, etc: Etc, command: &Command) -> Result<Helpers, Error> {
    // Init is ours to reap should setup be killed: a container's first process may never do it.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    sys::keep_ended_children();
    let (channel, theirs) = Channel::pair().map_err(not_started)?;
    let environment = start::environment(environment(view)).map_err(not_started)?;
    let mut plan = Plan::new(way, view, etc, command);
    if way == Way::Namespaces {
        let (_, setup) = start(Role::Setup, &theirs, &plan, &environment)?;
        drop(theirs);
        return Namespaces { channel, setup }.made(&plan, command);
    }
    if plan.real.is_some() {
        plan.missing = RealFiles::missing(view)?;
    }
    let spared = Orphans::new().map_err(not_started)?.children();
    let (number, guardian) = start(Role::Guardian, &theirs, &plan, &environment)?;
    guardians().push(number);
    drop(theirs);
    let leavings = Leavings {
        guardian,
        number,
        spared,
        files: plan.real.map(|_| RealFiles::of(&plan)),
        owned: false,
        cleared: AtomicBool::new(false),
    };
    Guarded { channel, leavings }.made(way, &plan, command)
}

fn start(
    role: Role,
    channel: &Channel,
    plan: &Plan,
    environment: &[std::ffi::CString],
) -> Result<(Pid, Ended), Error> {
    let helper = start::helper(role, channel.as_fd(), plan, environment).map_err(not_started)?;
    let pidfd = pidfd_open(helper, PidfdFlags::empty());
    let pidfd = pidfd.map_err(|error| not_started(io::Error::from(error)))?;
    Ok((helper, Ended::new(pidfd)))
}

/// Setup at work.
struct Namespaces {
    /// Before setup, so that its end goes first, whatever goes wrong.
    channel: Channel,
    setup: Ended,
}

impl Namespaces {
    fn made(self, plan: &Plan, command: &Command) -> Result<Helpers, Error> {
        // Setup introduces init while init is at work, so either may be heard first.
        let (mut init, mut ready) = (None, None);
        let (inner, (limits, mut descriptors)) = loop {
            // Should setup be killed before init asks to die with it, nobody else tells.
            let ended = self.setup.or_message(&self.channel).map_err(not_started)?;
            match self.channel.try_receive().map_err(not_started)? {
                Some((Message::Init, descriptors)) => init = descriptors.into_iter().next(),
                Some((
                    Message::Ready {
                        covered_proc,
                        looks_around,
                    },
                    descriptors,
                )) => {
                    ready = Some((limits(covered_proc, looks_around), descriptors));
                }
                Some((Message::Failed(failure), _)) => {
                    return Err(error(failure, Way::Namespaces, command));
                }
                None if ended => return Err(self.setup.early(Way::Namespaces)),
                _ => {}
            }
            match (init, ready) {
                (Some(init), Some(ready)) => break (init, ready),
                unfinished => (init, ready) = unfinished,
            }
        };
        Ok(Helpers {
            listener: if plan.wanted.connects {
                descriptors.pop()
            } else {
                None
            },
            borrowed: None,
            limits,
            channel: self.channel,
            inner,
            volumes: descriptors,
            outer: Outer::Setup(self.setup),
        })
    }
}

/// A guardian at work.
struct Guarded {
    /// Before the guardian, which ends when it does, whatever goes wrong.
    channel: Channel,
    leavings: Leavings,
}

impl Guarded {
    fn made(mut self, way: Way, plan: &Plan, command: &Command) -> Result<Helpers, Error> {
        let (limits, mut descriptors) = match self.channel.receive().map_err(not_started)? {
            Some((
                Message::Ready {
                    covered_proc,
                    looks_around,
                },
                descriptors,
            )) => (limits(covered_proc, looks_around), descriptors),
            Some((Message::Failed(failure), _)) => return Err(error(failure, way, command)),
            None => return Err(self.leavings.guardian.early(way)),
            Some(_) => return Err(Error::Killed),
        };
        self.leavings.owned = true;
        let mut last = |there: bool| if there { descriptors.pop() } else { None };
        Ok(Helpers {
            listener: last(plan.wanted != Wanted::default()),
            borrowed: last(plan.borrow),
            limits,
            inner: self
                .leavings
                .guardian
                .pidfd()
                .try_clone_to_owned()
                .map_err(not_started)?,
            channel: self.channel,
            volumes: descriptors,
            outer: Outer::Guardian(self.leavings),
        })
    }
}

impl Helpers {
    /// Finds out whether connects can be led, without starting anything.
    pub(super) fn prove(&self, way: Way, command: &Command) -> Result<(), Error> {
        self.ask(&Message::Prove, way, command)
    }

    /// Starts the program.
    pub(super) fn go(&self, way: Way, command: &Command) -> Result<(), Error> {
        self.ask(&Message::Go, way, command)
    }

    fn ask(&self, message: &Message, way: Way, command: &Command) -> Result<(), Error> {
        let failed = |source| Error::Setup {
            what: "start the program".into(),
            source,
        };
        // Where nobody reads it, what was said before is more than that.
        let _ = self.channel.send(message, &[]);
        match self.channel.receive().map_err(failed)? {
            Some((Message::Started, _)) => Ok(()),
            Some((Message::Failed(failure), _)) => Err(error(failure, way, command)),
            None => Err(self.outermost().early(way)),
            Some(_) => Err(Error::Killed),
        }
    }

    /// What is not as in a Pod.
    pub(super) fn limits(&self, way: Way) -> Vec<&'static str> {
        way.limits().iter().chain(&self.limits).copied().collect()
    }

    fn outermost(&self) -> &Ended {
        match &self.outer {
            Outer::Setup(setup) => setup,
            Outer::Guardian(leavings) => &leavings.guardian,
        }
    }

    /// The pidfd of the outermost: it never ends before the inner one, unless by force.
    pub(super) fn outer(&self) -> BorrowedFd<'_> {
        self.outermost().pidfd()
    }

    /// Once the inner one has ended: leaves nothing behind.
    pub(super) fn reap(&self) {
        match &self.outer {
            Outer::Setup(setup) => {
                let _ = setup.came_to_its_end();
                // Ours only when setup was killed.
                let _ = waitid(
                    WaitId::PidFd(self.inner.as_fd()),
                    WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
                );
            }
            Outer::Guardian(leavings) => leavings.clear(),
        }
    }
}

impl Leavings {
    /// Once: later, what looks the same may be another's.
    fn clear(&self) {
        if self.cleared.swap(true, Ordering::Relaxed) {
            return;
        }
        let cleared_up = self.guardian.came_to_its_end();
        guardians().retain(|guardian| *guardian != self.number);
        let spared: Vec<Pid> = self
            .spared
            .iter()
            .copied()
            .chain(guardians().iter().copied())
            .collect();
        if let Ok(mut orphans) = Orphans::new() {
            orphans.kill_all(&spared);
        }
        match &self.files {
            // What is there now may be another run's.
            _ if cleared_up => {}
            Some(files) if self.owned => files.clear(),
            Some(files) => files.clear_orphaned(),
            None => {}
        }
    }
}

impl Drop for Leavings {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What is not as in a Pod on this machine.
fn limits(covered_proc: bool, looks_around: bool) -> Vec<&'static str> {
    let covered = covered_proc.then_some(
        "/proc is the machine's, because parts of it are covered here: the processes around are in sight",
    );
    let around = looks_around.then_some(
        "other programs of this user can be looked into, their memory too: no Landlock domain keeps CMD from it here",
    );
    covered.into_iter().chain(around).collect()
}

/// The helpers' environment, which is the process's.
fn environment(view: &View) -> BTreeMap<OsString, OsString> {
    let mut environment: BTreeMap<_, _> = std::env::vars_os().collect();
    for (name, value) in &view.environment {
        match value {
            Some(value) => environment.insert(name.clone(), value.clone()),
            None => environment.remove(name),
        };
    }
    environment
}

fn not_started(source: io::Error) -> Error {
    Error::Setup {
        what: "start a helper process".into(),
        source,
    }
}

fn error(failure: Failure, way: Way, command: &Command) -> Error {
    let Failure { stage, errno, what } = failure;
    let source = io::Error::from_raw_os_error(errno);
    let program = || command.program.display().to_string();
    match (stage, errno) {
        (Stage::Execute, nix::libc::ENOENT | nix::libc::ENOTDIR) => {
            Error::NotFound { program: program() }
        }
        (Stage::Execute, _) => Error::NotExecutable {
            program: program(),
            source,
        },
        (Stage::Permission | Stage::Listener, _) => Error::refused(way, what, source),
        (Stage::Setup, _) => Error::Setup { what, source },
    }
}
