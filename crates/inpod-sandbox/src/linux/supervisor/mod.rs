//! The calls of a process that do not go to the kernel but wait for an answer of ours: a seccomp filter hands them to the supervisor.

mod abi;
mod address;
mod connect;
mod files;
mod filter;
mod memory;
mod stat;
mod workers;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

pub(super) use connect::{nested_address, probe};
pub(super) use filter::Wanted;

use workers::Workers;

use super::lending::Lent;
use super::sys::{self, Answer, Notification};
use super::tree::Tree;
use crate::Redirect;

/// Puts the filter on this thread and all it starts from now on.
pub(super) fn listen(wanted: Wanted) -> io::Result<OwnedFd> {
    let program = filter::program(wanted).ok_or(io::ErrorKind::Unsupported)?;
    sys::install_filter(&program)
}

/// Looks into this process itself by the calls by which a supervisor looks into others: where a policy kills for one of them, it is to
/// kill a helper and not the program that runs the sandbox. What they come to is found out by the true ones.
pub(super) fn rehearse(wanted: Wanted) {
    let here = rustix::process::getpid();
    let _ = memory::rehearse(here, wanted.paths);
    if wanted.connects {
        let _ = connect::rehearse(here);
    }
}

/// Answers for the listener on a thread of its own, until no process is left under the filter.
pub(super) fn supervise(
    listener: OwnedFd,
    redirects: Vec<Redirect>,
    tree: Option<Arc<Mutex<Tree>>>,
) -> io::Result<()> {
    let supervisor = Arc::new(Supervisor {
        listener,
        redirects,
        tree,
        lent: Lent::default(),
        proven: AtomicBool::new(false),
        workers: Workers::default(),
    });
    sys::wake_together(supervisor.listener.as_fd());
    std::thread::Builder::new()
        .name("inpod-calls".into())
        .spawn(move || supervisor.run())?;
    Ok(())
}

struct Supervisor {
    listener: OwnedFd,
    redirects: Vec<Redirect>,
    /// Where paths are answered too.
    tree: Option<Arc<Mutex<Tree>>>,
    /// Of runs inside this one.
    lent: Lent,
    /// Whether sockets can be taken here.
    proven: AtomicBool,
    workers: Workers,
}

impl Supervisor {
    fn run(self: Arc<Self>) {
        loop {
            let mut ready = [PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut ready, None) {
                Err(Errno::INTR) => continue,
                Ok(_) if ready[0].revents().contains(PollFlags::IN) => {}
                _ => return, // HUP: nobody is left
            }
            match sys::receive(self.listener.as_fd()) {
                Ok(notification) => self.handle(notification),
                // ENOENT: its thread died in the meantime.
                Err(error) => tracing::debug!(%error, "no call to answer"),
            }
        }
    }

    fn handle(self: &Arc<Self>, notification: Notification) {
        match (&self.tree, files::call(&notification)) {
            (Some(tree), Some(call)) => {
                let inner = self.lent.tree_of(notification.thread.unsigned_abs());
                let tree = inner.as_ref().unwrap_or(tree);
                self.path_call(tree, &notification, &call);
            }
            _ => self.connect_waits(notification),
        }
    }

    fn answer(&self, id: u64, answer: Answer) {
        if let Err(error) = sys::answer(self.listener.as_fd(), id, answer) {
            tracing::debug!(%error, "nobody waits for the answer to a call");
        }
    }
}
