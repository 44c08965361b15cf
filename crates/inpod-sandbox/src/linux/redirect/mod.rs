//! Connections that lead elsewhere: a seccomp filter hands each `connect` of the process and its descendants to a supervisor, which
//! connects the very socket to the other address and answers with what became of it.
//!
//! The kernel reads an address again when a call is continued, so a process that rewrites it meanwhile gets past the supervisor. This
//! shows a process a Pod's network; it does not lock it in.

mod address;
mod filter;

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::AddressFamily;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::sys::{self, Answer, Notification};
use crate::Redirect;

/// Puts the filter on this thread and all it starts from now on.
pub(super) fn listen() -> io::Result<OwnedFd> {
    let program = filter::program().ok_or(io::ErrorKind::Unsupported)?;
    sys::install_filter(&program)
}

/// Answers for the listener on a thread of its own, until no process is left under the filter.
pub(super) fn supervise(listener: OwnedFd, redirects: Vec<Redirect>) -> io::Result<()> {
    let supervisor = Arc::new(Supervisor {
        listener,
        redirects,
    });
    std::thread::Builder::new()
        .name("inpod-connect".into())
        .spawn(move || supervisor.run())?;
    Ok(())
}

struct Supervisor {
    listener: OwnedFd,
    redirects: Vec<Redirect>,
}

/// A `connect` that waits, its descriptor and the address it is to go to.
struct Connect {
    id: u64,
    socket: OwnedFd,
    to: SocketAddr,
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
                Err(error) => tracing::debug!(%error, "no connect to answer"),
            }
        }
    }

    fn handle(self: &Arc<Self>, notification: Notification) {
        match self.inspect(notification) {
            Ok(None) => self.answer(notification.id, Answer::Continue),
            Ok(Some(connect)) => self.lead(connect),
            Err(error) => {
                tracing::warn!(%error, "refused a connect that could not be led to its address");
                self.answer(
                    notification.id,
                    Answer::Fail(Errno::CONNREFUSED.raw_os_error()),
                );
            }
        }
    }

    /// `None` for an address that is not ours. An error must not let the call go on: it would reach the real network.
    fn inspect(&self, notification: Notification) -> io::Result<Option<Connect>> {
        let [descriptor, pointer, length] = arguments(notification)?;
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(address::MAX_LENGTH);
        let bytes = match read_memory(notification.thread, pointer, length) {
            // The kernel says so itself.
            Err(error) if error.raw_os_error() == Some(nix::libc::EFAULT) => return Ok(None),
            other => other?,
        };
        let Some(to) = address::parse(&bytes).and_then(|from| self.target(from)) else {
            return Ok(None);
        };
        let descriptor =
            i32::try_from(descriptor & u64::from(u32::MAX)).map_err(|_| Errno::BADF)?;
        let process = open_process(notification.thread)?;
        let socket = match pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty()) {
            Err(Errno::BADF) => return Ok(None), // again the kernel's to say
            other => other?,
        };
        if !sys::is_waiting(self.listener.as_fd(), notification.id) {
            return Err(Errno::SRCH.into()); // another process may have its number by now
        }
        let to = match rustix::net::sockopt::socket_domain(&socket) {
            Ok(AddressFamily::INET) if to.is_ipv4() => to,
            Ok(AddressFamily::INET6) => address::for_ipv6(to),
            Ok(AddressFamily::INET) => return Err(Errno::AFNOSUPPORT.into()),
            _ => return Ok(None), // no internet socket: the kernel refuses the address
        };
        let id = notification.id;
        Ok(Some(Connect { id, socket, to }))
    }

    fn target(&self, from: SocketAddr) -> Option<SocketAddr> {
        let redirect = self.redirects.iter().find(|redirect| {
            redirect.from.ip().to_canonical() == from.ip() && redirect.from.port() == from.port()
        })?;
        Some(redirect.to)
    }

    /// Connects, on a thread of its own where that may take its time: nobody else's connect waits for it.
    fn lead(self: &Arc<Self>, connect: Connect) {
        let blocking = rustix::fs::fcntl_getfl(&connect.socket)
            .is_ok_and(|flags| !flags.contains(OFlags::NONBLOCK));
        if !blocking {
            return self.connect(&connect);
        }
        let id = connect.id;
        let supervisor = Arc::clone(self);
        let thread = std::thread::Builder::new().name("inpod-connect".into());
        if let Err(error) = thread.spawn(move || supervisor.connect(&connect)) {
            tracing::warn!(%error, "refused a connect");
            self.answer(id, Answer::Fail(Errno::CONNREFUSED.raw_os_error()));
        }
    }

    fn connect(&self, connect: &Connect) {
        let answer = match rustix::net::connect(&connect.socket, &connect.to) {
            Ok(()) => Answer::Done,
            Err(error) => Answer::Fail(error.raw_os_error()),
        };
        self.answer(connect.id, answer);
    }

    fn answer(&self, id: u64, answer: Answer) {
        if let Err(error) = sys::answer(self.listener.as_fd(), id, answer) {
            tracing::debug!(%error, "nobody waits for the answer to a connect");
        }
    }
}

/// `connect`'s three arguments, which 32-bit x86 may pass in memory.
fn arguments(notification: Notification) -> io::Result<[u64; 3]> {
    let [first, second, third, ..] = notification.args;
    if (notification.arch, notification.number)
        != (filter::AUDIT_ARCH_I386, filter::I386_SOCKETCALL)
    {
        return Ok([first, second, third & u64::from(u32::MAX)]);
    }
    let bytes = read_memory(notification.thread, second, 12)?;
    let mut words = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| u64::from(u32::from_ne_bytes(*word)));
    let mut word = || words.next().ok_or(io::ErrorKind::UnexpectedEof);
    Ok([word()?, word()?, word()?])
}

fn read_memory(thread: i32, pointer: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let remote = RemoteIoVec {
        base: usize::try_from(pointer).map_err(|_| io::ErrorKind::InvalidInput)?,
        len: length,
    };
    let thread = nix::unistd::Pid::from_raw(thread);
    let read = process_vm_readv(thread, &mut [IoSliceMut::new(&mut bytes)], &[remote])?;
    bytes.truncate(read);
    Ok(bytes)
}

/// The process of a thread. Most connects come from the thread that the process began with, which bears its number.
fn open_process(thread: i32) -> io::Result<OwnedFd> {
    let open = |pid| {
        let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
        pidfd_open(pid, PidfdFlags::empty())
    };
    if let Ok(process) = open(thread) {
        return Ok(process);
    }
    let status = std::fs::read_to_string(format!("/proc/{thread}/status"))?;
    let process = status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok());
    Ok(open(process.unwrap_or_default())?)
}
