//! A run within a run whose files are shown by a listener. Linux allows a process one listener, so the supervisor of the outer run
//! answers for the inner one's files too: whoever opens the [`DOOR`] gets a channel, says there what it and its descendants are to
//! see, and has it answered for as long as somebody holds the channel.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;

use super::channel::{Channel, Failure, Message, Stage};
use super::locked;
use super::process;
use super::shown::Shown;
use super::tree::{DOOR, Tree};
use crate::Files;

/// What an inner run is shown: more than its volumes may have (a Secret has 1 MiB), and little enough to be kept for many.
const LARGEST: u64 = 8 << 20;
/// Inner runs of one outer run.
const MOST: usize = 64;

/// Opens the door: from then on this process, with all that it starts, is the one to be answered for.
pub(super) fn borrow() -> io::Result<OwnedFd> {
    File::open(DOOR).map(OwnedFd::from)
}

/// The inner run's side.
#[derive(Debug)]
pub(super) struct Borrowed {
    channel: Channel,
    shown: Mutex<Shown>,
}

impl Borrowed {
    /// Has this answered from now on.
    pub(super) fn new(channel: OwnedFd, shown: Shown) -> io::Result<Self> {
        let channel = Channel::from_descriptor(channel);
        send(&channel, &shown)?;
        Ok(Self {
            channel,
            shown: Mutex::new(shown),
        })
    }

    /// Gives a volume these files and no others.
    pub(super) fn volume(&self, path: &Path, files: &Files) -> io::Result<()> {
        let mut shown = locked(&self.shown);
        let mut new = shown.clone();
        new.volumes.insert(path.to_owned(), files.clone());
        if new != *shown {
            send(&self.channel, &new)?;
            *shown = new;
        }
        Ok(())
    }
}

/// Through memory, because a message is short; and heard when it is answered for.
fn send(channel: &Channel, shown: &Shown) -> io::Result<()> {
    let mut memory = File::from(memfd_create("inpod", MemfdFlags::CLOEXEC)?);
    memory.write_all(&shown.encode())?;
    channel.send(&Message::Show, &[memory.as_fd()])?;
    match channel.receive()? {
        Some((Message::Shown, _)) => Ok(()),
        Some((Message::Failed(failure), _)) => Err(io::Error::from_raw_os_error(failure.errno)),
        _ => Err(io::ErrorKind::ConnectionReset.into()),
    }
}

/// The outer run's side: what inner runs are shown, by the process that opened the door; `None` until it has asked for something.
#[derive(Debug, Default)]
pub(super) struct Lent(Arc<Mutex<Trees>>);

type Trees = BTreeMap<u32, Option<Arc<Mutex<Tree>>>>;

impl Lent {
    /// A channel for a process, which has no other.
    pub(super) fn lend(&self, process: u32) -> io::Result<OwnedFd> {
        let (ours, theirs) = Channel::pair()?;
        let mut trees = locked(&self.0);
        if trees.contains_key(&process) || trees.len() >= MOST {
            return Err(Errno::BUSY.into());
        }
        trees.insert(process, None);
        let lent = Arc::clone(&self.0);
        std::thread::Builder::new()
            .name("inpod-lent".into())
            .spawn(move || {
                serve(&ours, process, &lent);
                locked(&lent).remove(&process);
            })?;
        Ok(theirs.into())
    }

    /// What is answered to a thread, where it is an inner run's: the innermost that it descends from.
    pub(super) fn tree_of(&self, thread: u32) -> Option<Arc<Mutex<Tree>>> {
        let lent = locked(&self.0);
        if lent.is_empty() {
            return None;
        }
        std::iter::successors(Some(thread), |number| process::parent(*number))
            .take_while(|number| *number != std::process::id())
            .find_map(|number| lent.get(&number)?.clone())
    }
}

/// Until the other side is gone, or says what cannot be understood: it may be any program.
fn serve(channel: &Channel, process: u32, lent: &Mutex<Trees>) {
    while let Ok(Some((Message::Show, descriptors))) = channel.receive() {
        let shown = descriptors.into_iter().next().and_then(read);
        let done = shown
            .ok_or(io::ErrorKind::InvalidInput.into())
            .and_then(|shown| show(&shown, process, lent));
        let answer = match done {
            Ok(()) => Message::Shown,
            Err(error) => Message::Failed(Failure::at(Stage::Setup, "answer for a path")(error)),
        };
        if channel.send(&answer, &[]).is_err() {
            return;
        }
    }
}

/// By the descriptor as it was opened: what its sender could not read is not read for it.
fn read(memory: OwnedFd) -> Option<Shown> {
    let memory = File::from(memory);
    let length = memory.metadata().ok()?.len();
    let mut bytes = vec![0; usize::try_from(length.min(LARGEST)).ok()?];
    memory.read_exact_at(&mut bytes, 0).ok()?;
    Shown::decode(&bytes)
}

fn show(shown: &Shown, process: u32, lent: &Mutex<Trees>) -> io::Result<()> {
    let known = locked(lent).get(&process).cloned();
    if let Some(Some(tree)) = known {
        return locked(&tree).volumes(shown);
    }
    let begins: PathBuf = std::fs::read_link(format!("/proc/{process}/cwd"))?;
    let tree = Tree::showing(shown, &begins)?;
    locked(lent).insert(process, Some(Arc::new(Mutex::new(tree))));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    fn process() -> Child {
        let mut cat = Command::new("cat");
        cat.stdin(Stdio::piped()).spawn().unwrap()
    }

    fn shown(hosts: &str) -> Shown {
        Shown {
            files: vec![("/etc/hosts".into(), hosts.into())],
            ..Shown::default()
        }
    }

    fn finds(lent: &Lent, process: &Child, path: &str) -> bool {
        let found = |tree: Arc<Mutex<Tree>>| locked(&tree).find(path.as_ref(), true);
        lent.tree_of(process.id())
            .is_some_and(|tree| matches!(found(tree), Ok(Some(_))))
    }

    /// The thread that serves it may be a moment behind.
    fn until_gone(lent: &Lent) {
        while !locked(&lent.0).is_empty() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn who_opened_the_door_sees_its_own_and_nobody_else_does() {
        let (lent, mut inside, mut outside) = (Lent::default(), process(), process());
        let channel = lent.lend(inside.id()).unwrap();
        assert!(!finds(&lent, &inside, "/etc/hosts"));
        let borrowed = Borrowed::new(channel, shown("one")).unwrap();
        assert!(finds(&lent, &inside, "/etc/hosts"));
        assert!(!finds(&lent, &outside, "/etc/hosts"));
        let files = Files::from([("token".to_owned(), b"t".to_vec())]);
        borrowed.volume(Path::new("/run/inpod-x"), &files).unwrap();
        assert!(finds(&lent, &inside, "/run/inpod-x/token"));
        drop(borrowed);
        until_gone(&lent);
        assert!(!finds(&lent, &inside, "/etc/hosts"));
        for child in [&mut inside, &mut outside] {
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_process_has_one_channel_and_a_run_lends_few() {
        let lent = Lent::default();
        let first: Vec<_> = (1..=64)
            .map(|process| lent.lend(process).unwrap())
            .collect();
        assert!(lent.lend(1).is_err() && lent.lend(65).is_err());
        drop(first);
        until_gone(&lent);
        assert!(lent.lend(1).is_ok());
    }

    #[test]
    fn what_cannot_be_understood_is_refused_and_shows_nothing() {
        let lent = Lent::default();
        let channel = Channel::from_descriptor(lent.lend(1).unwrap());
        let null = File::open("/dev/null").unwrap();
        for descriptors in [&[][..], &[null.as_fd()]] {
            channel.send(&Message::Show, descriptors).unwrap();
            let answer = channel.receive().unwrap();
            assert!(
                matches!(answer, Some((Message::Failed(_), _))),
                "{answer:?}"
            );
        }
        channel.send(&Message::Go, &[]).unwrap();
        assert!(channel.receive().unwrap().is_none());
    }
}
