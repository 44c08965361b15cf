//! The sandbox on Linux.
//!
//! [`spawn`] tries one [`Way`] after the other. [`Sandbox`] is what they have in common: volumes, signals, the terminal. What
//! they differ in is who shows the files: [`helpers`] by mounts or on the machine itself, or the [`supervisor`] from a [`tree`].

mod address;
mod channel;
mod etc;
mod helpers;
mod lending;
mod names;
mod orphans;
mod place;
mod process;
mod shown;
mod signals;
mod supervisor;
mod sys;
mod terminal;
mod tree;
mod volume;

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

pub use address::{is_supervised, nested_address, own_address};
use channel::Message;
use etc::Etc;
use helpers::Helpers;
use lending::Borrowed;
use names::Names;
use shown::Shown;
pub use signals::{SignalMask, block_signals, die_of};
use terminal::Terminal;
use tree::{PROBE, Tree};
use volume::Volume;

use crate::{Attempt, Checked, Command, Error, Files, Service, View, Way};

/// Turns this process into one of the sandbox's helpers, and then never returns, if it was started as one.
///
/// The sandbox starts the running program again for them, so this belongs first into the `main` of every program that calls
/// [`spawn`].
pub fn enter_if_asked() {
    helpers::enter_if_asked();
}

/// Starts a process that sees the view.
///
/// It keeps the caller's user, groups, working directory, terminal, process group, inherited descriptors and signal dispositions, but
/// for SIGCHLD and SIGPIPE, which are the default ones. The calling program becomes a child subreaper, and ignores SIGCHLD no more.
/// Where there are no namespaces ([`Sandbox::way`]), children that it starts after this one and that are no sandboxes are killed
/// when the sandbox ends: they cannot be told from what the process left.
///
/// # Errors
/// [`Error::NotFound`] and [`Error::NotExecutable`] for the program, [`Error::Refused`] where this machine lets no way of showing
/// the view work, [`Error::Setup`] and [`Error::Volume`] where a part of it cannot be shown.
pub fn spawn(view: &View, command: &Command) -> Result<Sandbox, Error> {
    let terminal = Terminal::foreground();
    let mut refused = Vec::new();
    for way in ways() {
        let started = prepare(way, view, command)
            .and_then(|prepared| prepared.helpers.go(way, command).map(|()| prepared));
        match started {
            Ok(prepared) => {
                return Ok(Sandbox {
                    way,
                    volumes: prepared.volumes,
                    terminal,
                    outcome: Mutex::new(None),
                    helpers: prepared.helpers,
                    names: prepared.names,
                });
            }
            Err(Error::Refused { attempts, .. }) => refused.extend(attempts),
            Err(error) => return Err(error),
        }
    }
    Err(refusal(refused))
}

/// How [`spawn`] would show the view, found out by going as far as the program's start.
///
/// # Errors
/// As [`spawn`], but for those of the program.
pub fn check(view: &View) -> Result<Checked, Error> {
    let command = Command::new("");
    let mut refused = Vec::new();
    for way in ways() {
        let checked = prepare(way, view, &command).and_then(|prepared| {
            prepared.helpers.prove(way, &command)?;
            let limits = prepared.helpers.limits(way);
            Ok(Checked { way, limits })
        });
        match checked {
            Ok(checked) => return Ok(checked),
            Err(Error::Refused { attempts, .. }) => refused.extend(attempts),
            Err(error) => return Err(error),
        }
    }
    Err(refusal(refused))
}

/// Not worth a word: the run around this one, where there is none.
fn ways() -> impl Iterator<Item = Way> {
    let around = Path::new(PROBE).symlink_metadata().is_ok();
    Way::ALL
        .into_iter()
        .filter(move |way| around || *way != Way::Around)
}

fn refusal(attempts: Vec<Attempt>) -> Error {
    let remedy = helpers::refusal::remedy(&helpers::refusal::Machine::look(), &attempts);
    Error::Refused { attempts, remedy }
}

/// Everything but the program.
struct Prepared {
    helpers: Helpers,
    volumes: Volumes,
    names: Option<Names>,
}

type Volumes = BTreeMap<PathBuf, Mounted>;

/// Everything but the start of the program.
fn prepare(way: Way, view: &View, command: &Command) -> Result<Prepared, Error> {
    if let Some(what) = beyond(way, view) {
        return Err(Error::refused(way, what, Errno::OPNOTSUPP));
    }
    let names = if way == Way::RealFiles {
        None // it shows no other name server
    } else {
        Names::serve(view)
    };
    let etc = Etc::of(view, names.as_ref().map(Names::resolver));
    let shown = Shown::of(view, &etc);
    let mut helpers = helpers::make(way, view, etc, command)?;
    let answered = match way {
        Way::Listener => Some(Answered::here(&shown)?),
        Way::Around => Some(Answered::around(helpers.borrowed.take(), shown)?),
        Way::Namespaces | Way::RealFiles => None,
    };
    if let Some(listener) = helpers.listener.take() {
        let mut redirects = view.redirects.clone();
        redirects.extend(names.iter().flat_map(Names::redirects));
        let tree = answered.as_ref().and_then(Answered::tree);
        supervisor::supervise(listener, redirects, tree).map_err(|source| Error::Setup {
            what: "start the supervisor of calls".into(),
            source,
        })?;
    }
    let mut volumes = Volumes::new();
    let mut roots = std::mem::take(&mut helpers.volumes).into_iter();
    for (path, files) in &view.volumes {
        let mounted = match (roots.next(), &answered) {
            (Some(root), _) => Mounted::Directory(Mutex::new(Volume::new(root))),
            (None, Some(answered)) => Mounted::Answered(answered.clone()),
            (None, None) => return Err(Error::Killed),
        };
        mounted.write(path, files)?;
        volumes.insert(path.clone(), mounted);
    }
    Ok(Prepared {
        helpers,
        volumes,
        names,
    })
}

/// What the view asks for and the way cannot give.
fn beyond(way: Way, view: &View) -> Option<String> {
    if !matches!(way, Way::Around | Way::RealFiles) {
        return None;
    }
    if !view.redirects.is_empty() {
        return Some("lead connections without a listener".into());
    }
    let mut withheld = view.withheld.iter().filter(|_| way == Way::RealFiles);
    let there = withheld.find(|path| path.symlink_metadata().is_ok())?;
    Some(format!("hide {}", there.display()))
}

/// A volume, by where it is.
#[derive(Debug)]
enum Mounted {
    Directory(Mutex<Volume>),
    Answered(Answered),
}

impl Mounted {
    fn write(&self, path: &Path, files: &Files) -> Result<(), Error> {
        let written = match self {
            Self::Directory(volume) => locked(volume).write(files),
            Self::Answered(Answered::Here(tree)) => locked(tree).volume(path, files),
            Self::Answered(Answered::Around(borrowed)) => borrowed.volume(path, files),
        };
        written.map_err(|source| Error::Volume {
            path: path.to_owned(),
            source,
        })
    }
}

/// Files that are answered for by path, by who answers: the supervisor here, or that of the run around this one.
#[derive(Debug, Clone)]
enum Answered {
    Here(Arc<Mutex<Tree>>),
    Around(Arc<Borrowed>),
}

impl Answered {
    fn here(shown: &Shown) -> Result<Self, Error> {
        let begins = std::env::current_dir().unwrap_or_default();
        let tree = Tree::showing(shown, &begins).map_err(not_shown)?;
        Ok(Self::Here(Arc::new(Mutex::new(tree))))
    }

    fn around(channel: Option<OwnedFd>, shown: Shown) -> Result<Self, Error> {
        let borrowed = Borrowed::new(channel.ok_or(Error::Killed)?, shown).map_err(not_shown)?;
        Ok(Self::Around(Arc::new(borrowed)))
    }

    fn tree(&self) -> Option<Arc<Mutex<Tree>>> {
        match self {
            Self::Here(tree) => Some(Arc::clone(tree)),
            Self::Around(_) => None,
        }
    }
}

fn not_shown(source: std::io::Error) -> Error {
    Error::Setup {
        what: "show files of /etc".into(),
        source,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
    way: Way,
    volumes: Volumes,
    terminal: Option<Terminal>,
    outcome: Mutex<Option<Outcome>>,
    helpers: Helpers,
    /// Answers for as long as this lives.
    names: Option<Names>,
}

impl Sandbox {
    /// How the process is shown its view.
    pub fn way(&self) -> Way {
        self.way
    }

    /// What is not as in a Pod, as sentences; empty where nothing is known.
    pub fn limits(&self) -> Vec<&'static str> {
        self.helpers.limits(self.way)
    }

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
        volume.write(mount_path, files)
    }

    /// Has the names of these Services answered from now on, and of no others. Without effect where the view had none, or this way
    /// cannot answer them.
    pub fn update_services(&self, services: &[Service]) {
        if let Some(names) = &self.names {
            names.update(services);
        }
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
        self.ended(true)
    }

    /// As [`wait`](Self::wait), without handing on signals: there is a main process beside this one that gets them.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_aside(&self) -> Result<ExitStatus, Error> {
        self.ended(false)
    }

    /// Asks the process to end (SIGTERM), and kills it and everything it started where it does not within `grace`.
    pub fn stop(&self, grace: Duration) {
        let terminate = Message::Signal(Signal::SIGTERM as i32);
        let _ = self.helpers.channel.send(&terminate, &[]);
        let timeout = Timespec::try_from(grace).ok();
        let mut ready = [PollFd::new(&self.helpers.inner, PollFlags::IN)];
        if !matches!(poll(&mut ready, timeout.as_ref()), Ok(1..)) {
            self.kill();
        }
        let _ = self.wait_aside();
    }

    /// Kills the process and everything it started. [`wait`](Self::wait) then answers [`Error::Killed`], unless the process had ended.
    pub fn kill(&self) {
        let _ =
            rustix::process::pidfd_send_signal(&self.helpers.inner, rustix::process::Signal::KILL);
    }

    fn ended(&self, hand_on: bool) -> Result<ExitStatus, Error> {
        let mut outcome = locked(&self.outcome);
        let outcome = if let Some(outcome) = *outcome {
            outcome
        } else {
            let ended = self.wait_until_empty(hand_on);
            *outcome.insert(ended.map_err(|source| Error::Setup {
                what: "wait for the process".into(),
                source,
            })?)
        };
        match outcome {
            Outcome::Exited(status) => Ok(status),
            Outcome::Killed => Err(Error::Killed),
        }
    }

    fn wait_for_end(&self) {
        let mut ready = [PollFd::new(&self.helpers.inner, PollFlags::IN)];
        while poll(&mut ready, None) == Err(Errno::INTR) {}
        self.helpers.reap();
    }

    fn wait_until_empty(&self, hand_on: bool) -> std::io::Result<Outcome> {
        let channel = &self.helpers.channel;
        let handed_on = if hand_on {
            signals::forwarded()
        } else {
            SigSet::empty()
        };
        let signals =
            SignalFd::with_flags(&handed_on, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut outcome = Outcome::Killed;
        loop {
            let mut ready = [
                PollFd::new(&self.helpers.inner, PollFlags::IN),
                PollFd::new(channel, PollFlags::IN),
                PollFd::new(&signals, PollFlags::IN),
                PollFd::from_borrowed_fd(self.helpers.outer(), PollFlags::IN),
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
        self.helpers.reap();
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
            if signals::is_sent(&info) {
                let _ = self.helpers.channel.send(&Message::HandOn(signal), &[]);
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
        self.wait_for_end();
    }
}
