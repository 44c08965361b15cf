//! The way by namespaces: three processes, each started from this program.
//!
//! - the caller's own, which keeps the volumes' writable side and the supervisor of connections;
//! - *setup*, which makes the namespaces and waits for
//! - *init*, PID 1 inside, which mounts, starts the process and ends with it.
//!
//! Each ends when one of the others does: init sees the caller's death by the end of their [`Channel`] and setup's by the
//! parent-death signal, setup sees the caller's and init's, and the caller kills init when setup is dead. With init the kernel kills everything in its PID namespace and takes the
//! mounts away.

mod helper;
mod init;
mod mounts;
mod plan;
mod refusal;
mod setup;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use helper::Role;
pub(super) use helper::enter_if_asked;
use plan::Plan;

use super::channel::{Channel, Failure, Message, Stage};
use crate::{Command, Error, View};

/// Processes inside, ready to start the program.
#[derive(Debug)]
pub(super) struct Namespaces {
    pub(super) channel: Channel,
    /// Init's pidfd: readable once nothing lives inside any more.
    pub(super) init: OwnedFd,
    /// Writable, in the order of the view's.
    pub(super) volumes: Vec<OwnedFd>,
    /// Where the view has redirects.
    pub(super) listener: Option<OwnedFd>,
    setup: Setup,
}

/// Setup's pidfd. Setup ends when the channel does, so that is to be dropped first.
#[derive(Debug)]
struct Setup(OwnedFd);

impl Setup {
    /// Waits for something on the channel, or for setup's end, and tells whether it has ended.
    fn ended_before(&self, channel: &Channel) -> io::Result<bool> {
        let mut ready = [
            PollFd::new(&self.0, PollFlags::IN),
            PollFd::new(channel, PollFlags::IN),
        ];
        retry_on_intr(|| poll(&mut ready, None))?;
        Ok(!ready[0].revents().is_empty())
    }

    fn wait(&self) {
        // Fails if that was done before.
        let _ = retry_on_intr(|| waitid(WaitId::PidFd(self.0.as_fd()), WaitIdOptions::EXITED));
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        self.wait();
    }
}

/// Makes the namespaces with the view's mounts, and nothing in them yet but init.
pub(super) fn make(view: &View, command: &Command) -> Result<Namespaces, Error> {
    // Init is ours to reap should setup be killed: a container's first process may never do it.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let failed = |source| Error::Setup {
        what: "start a helper process".into(),
        source,
    };
    let (channel, theirs) = Channel::pair().map_err(failed)?;
    let environment = helper::environment(environment(view)).map_err(failed)?;
    let plan = Plan::new(view, command);
    let setup = helper::start(Role::Setup, theirs.as_fd(), &plan, &environment).map_err(failed)?;
    let setup =
        Setup(pidfd_open(setup, PidfdFlags::empty()).map_err(|error| failed(error.into()))?);
    drop(theirs);

    // Whatever goes wrong from here on: the channel's end goes first, then setup is waited for.
    // Setup introduces init while init is at work, so either may be heard first.
    let (mut init, mut ready) = (None, None);
    let answer = loop {
        // Should setup be killed before init asks to die with it, nobody else tells.
        let ended = match setup.ended_before(&channel) {
            Ok(ended) => ended,
            Err(error) => break Err(failed(error)),
        };
        match channel.try_receive() {
            Ok(Some((Message::Init, descriptors))) => init = descriptors.into_iter().next(),
            Ok(Some((Message::Ready, descriptors))) => ready = Some(descriptors),
            Ok(Some((Message::Failed(failure), _))) => break Err(error(failure, command)),
            Ok(None) if ended => break Err(Error::Killed),
            Ok(_) => {}
            Err(error) => break Err(failed(error)),
        }
        match (init, ready) {
            (Some(init), Some(volumes)) => break Ok((init, volumes)),
            unfinished => (init, ready) = unfinished,
        }
    };
    match answer {
        Ok((init, mut volumes)) => {
            let listener = if plan.listen { volumes.pop() } else { None };
            Ok(Namespaces {
                channel,
                init,
                volumes,
                listener,
                setup,
            })
        }
        Err(error) => {
            drop(channel);
            drop(setup);
            Err(error)
        }
    }
}

impl Namespaces {
    /// Starts the program.
    pub(super) fn go(&self, command: &Command) -> Result<(), Error> {
        let failed = |source| Error::Setup {
            what: "start the program".into(),
            source,
        };
        self.channel.send(&Message::Go, &[]).map_err(failed)?;
        match self.channel.receive().map_err(failed)? {
            Some((Message::Started, _)) => Ok(()),
            Some((Message::Failed(failure), _)) => Err(error(failure, command)),
            _ => Err(Error::Killed),
        }
    }

    /// Setup's pidfd.
    pub(super) fn setup(&self) -> BorrowedFd<'_> {
        self.setup.0.as_fd()
    }

    /// Once nothing lives inside: leaves no helper behind.
    pub(super) fn reap(&self) {
        self.setup.wait();
        // Ours only when setup was killed.
        let _ = waitid(
            WaitId::PidFd(self.init.as_fd()),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
    }
}

/// The helpers' environment, which is the process's.
fn environment(view: &View) -> BTreeMap<std::ffi::OsString, std::ffi::OsString> {
    let mut environment: BTreeMap<_, _> = std::env::vars_os().collect();
    for (name, value) in &view.environment {
        match value {
            Some(value) => environment.insert(name.clone(), value.clone()),
            None => environment.remove(name),
        };
    }
    environment
}

fn error(failure: Failure, command: &Command) -> Error {
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
        (Stage::Listener, nix::libc::EBUSY) => Error::Nested,
        (
            Stage::Permission,
            nix::libc::EPERM
            | nix::libc::EACCES
            | nix::libc::ENOSPC
            | nix::libc::ENOSYS
            | nix::libc::EINVAL,
        )
        | (Stage::Listener, _) => Error::Refused {
            remedy: refusal::remedy(&refusal::Machine::look()),
            what,
            source,
        },
        _ => Error::Setup { what, source },
    }
}
