//! The sandbox on Linux.
//!
//! [`spawn`] and [`Sandbox`] are what every way of showing a process a view has in common: volumes, the supervisor of connections,
//! signals, the terminal. A way is a module: [`namespaces`].

mod channel;
mod hosts;
mod namespaces;
mod redirect;
mod signals;
mod sys;
mod terminal;
mod volume;

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};

use channel::Message;
use namespaces::Namespaces;
pub use signals::{SignalMask, block_signals};
use terminal::Terminal;
use volume::Volume;

use crate::{Command, Error, Files, View};

/// Turns this process into one of the sandbox's helpers, and then never returns, if it was started as one.
///
/// The sandbox starts the running program again for them, so this belongs first into the `main` of every program that calls
/// [`spawn`].
pub fn enter_if_asked() {
    namespaces::enter_if_asked();
}

/// Starts a process that sees the view.
///
/// It keeps the caller's user, groups, working directory, terminal, process group, signal dispositions and inherited descriptors.
/// The calling program becomes a child subreaper.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::NotExecutable`] for the program, [`Error::Refused`] and [`Error::Nested`] where this machine does not let
/// the sandbox be made, [`Error::Setup`] and [`Error::Volume`] where a part of the view cannot be shown.
pub fn spawn(view: &View, command: &Command) -> Result<Sandbox, Error> {
    let terminal = Terminal::foreground();
    let namespaces = namespaces::make(view, command)?;
    let mut sandbox = Sandbox {
        volumes: BTreeMap::new(),
        terminal,
        outcome: Mutex::new(None),
        namespaces,
    };
    let roots = std::mem::take(&mut sandbox.namespaces.volumes);
    for ((path, files), root) in view.volumes.iter().zip(roots) {
        let mut volume = Volume::new(root);
        volume.write(files).map_err(|source| Error::Volume {
            path: path.clone(),
            source,
        })?;
        sandbox.volumes.insert(path.clone(), Mutex::new(volume));
    }
    if let Some(listener) = sandbox.namespaces.listener.take() {
        redirect::supervise(listener, view.redirects.clone()).map_err(|source| Error::Setup {
            what: "start the supervisor of connections".into(),
            source,
        })?;
    }
    sandbox.namespaces.go(command)?;
    Ok(sandbox)
}

/// How it ended.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Exited(ExitStatus),
    /// Without anybody left to tell.
    Killed,
}

/// A running process and what was made for it. Dropping it ends both.
#[derive(Debug)]
pub struct Sandbox {
    volumes: BTreeMap<PathBuf, Mutex<Volume>>,
    terminal: Option<Terminal>,
    outcome: Mutex<Option<Outcome>>,
    namespaces: Namespaces,
}

impl Sandbox {
    /// Gives a volume new contents, all at once; files that are not named go. The same contents again write nothing.
    ///
    /// # Errors
    /// [`Error::NoSuchVolume`] for a path that the view did not have; [`Error::Volume`] if it cannot be written: the old contents then
    /// stay.
    pub fn update(&self, mount_path: &Path, files: &Files) -> Result<(), Error> {
        let volume = self
            .volumes
            .get(mount_path)
            .ok_or_else(|| Error::NoSuchVolume {
                path: mount_path.to_owned(),
            })?;
        let mut volume = volume.lock().unwrap_or_else(PoisonError::into_inner);
        volume.write(files).map_err(|source| Error::Volume {
            path: mount_path.to_owned(),
            source,
        })
    }

    /// Waits until the process has ended, and everything it started with it.
    ///
    /// Meanwhile hands on to it the signals that other processes send to this one, if
    /// [`block_signals`] was called first. What the terminal sends reaches the process by itself. Blocks the calling thread;
    /// further calls answer the same.
    ///
    /// # Errors
    /// [`Error::Killed`] if the sandbox was ended by force, [`Error::Setup`] if it cannot be waited for.
    pub fn wait(&self) -> Result<ExitStatus, Error> {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = match *outcome {
            Some(outcome) => outcome,
            None => *outcome.insert(self.wait_until_empty().map_err(|source| Error::Setup {
                what: "wait for the process".into(),
                source,
            })?),
        };
        match outcome {
            Outcome::Exited(status) => Ok(status),
            Outcome::Killed => Err(Error::Killed),
        }
    }

    /// Kills the process and everything it started. [`wait`](Self::wait) then answers [`Error::Killed`], unless the process had ended.
    pub fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(
            &self.namespaces.init,
            rustix::process::Signal::KILL,
        );
    }

    fn wait_until_empty(&self) -> std::io::Result<Outcome> {
        let channel = &self.namespaces.channel;
        let signals = SignalFd::with_flags(
            &signals::forwarded(),
            SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
        )?;
        let mut outcome = Outcome::Killed;
        loop {
            let mut ready = [
                PollFd::new(&self.namespaces.init, PollFlags::IN),
                PollFd::new(channel, PollFlags::IN),
                PollFd::new(&signals, PollFlags::IN),
                PollFd::from_borrowed_fd(self.namespaces.setup(), PollFlags::IN),
            ];
            match poll(&mut ready, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let empty = !ready[0].revents().is_empty();
            if !empty && !ready[3].revents().is_empty() {
                self.kill(); // setup never ends before init, unless by force
            }
            // Signals first: after a SIGCONT, that the process had stopped is old news.
            let continued = self.hand_on(&signals);
            let mut stopped = false;
            while let Some((message, _)) = channel.try_receive()? {
                match message {
                    Message::Exited(raw) => outcome = Outcome::Exited(ExitStatus::from_raw(raw)),
                    Message::Stopped => stopped = true,
                    _ => {}
                }
            }
            if empty {
                break;
            }
            if stopped && !continued {
                self.stop_too();
            }
        }
        self.namespaces.reap();
        if let Some(terminal) = &self.terminal {
            terminal.take_back();
        }
        Ok(outcome)
    }

    /// Whether we were continued.
    fn hand_on(&self, signals: &SignalFd) -> bool {
        let mut continued = false;
        while let Ok(Some(info)) = signals.read_signal() {
            let signal = info.ssi_signo.cast_signed();
            continued |= signal == Signal::SIGCONT as i32;
            if signals::is_for_the_process(&info) {
                let _ = self.namespaces.channel.send(&Message::Signal(signal), &[]);
            }
        }
        continued
    }

    /// A process that stops alone (`suspend` in a shell, Ctrl-Z in `less`) leaves us running, and whoever started us waiting. Only at
    /// a terminal: elsewhere nobody would continue us.
    fn stop_too(&self) {
        if self.terminal.is_some() {
            let _ = nix::sys::signal::raise(Signal::SIGTSTP);
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let outcome = self
            .outcome
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if outcome.is_some() {
            return;
        }
        self.kill();
        let mut ready = [PollFd::from_borrowed_fd(
            self.namespaces.init.as_fd(),
            PollFlags::IN,
        )];
        while poll(&mut ready, None) == Err(rustix::io::Errno::INTR) {}
        self.namespaces.reap();
    }
}
