//! Connections that lead elsewhere: a seccomp filter hands each `connect` of the process and its descendants to a supervisor, which
//! connects the very socket to the other address and answers with what became of it.
//!
//! The kernel reads an address again when a call is continued, so a process that rewrites it meanwhile gets past the supervisor. This
//! shows a process a Pod's network; it does not lock it in.

use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::{Supervisor, abi, address, memory};
use crate::Gate;
use crate::linux::sys::{self, Answer, Notification};
use crate::linux::tree::Tree;

/// An address that no network has (RFC 1112, section 4), by which a helper finds out whether its connects are led.
const PROBE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(240, 0, 0, 1)), 0);
/// The name of a thread while it does so, by which the supervisor knows it even where it cannot look into it.
const PROBING: &CStr = c"inpod-probing";
/// What the kernel never says of that one.
const PROBED: Errno = Errno::ISCONN;

/// By an address of the same block, a process under this supervisor names a port of the machine's loopback: that is how a sandbox
/// inside a sandbox, where Linux allows no second listener, has a Service address of its own, and a name server. Its last two bytes are the port.
const NESTED: [u8; 2] = [240, 0];
const NESTED_PORTS: [u16; 2] = [443, 53];

/// The address at which whoever is under the supervisor reaches a loopback port.
pub(crate) fn nested_address(port: u16) -> SocketAddr {
    let [first, second] = NESTED;
    let [high, low] = port.to_be_bytes();
    SocketAddr::from(([first, second, high, low], NESTED_PORTS[0]))
}

/// The loopback port that an address names.
fn nested_target(address: SocketAddr) -> Option<SocketAddr> {
    let IpAddr::V4(ip) = address.ip() else {
        return None;
    };
    let ([first, second, high, low], port) = (ip.octets(), address.port());
    ([first, second] == NESTED && NESTED_PORTS.contains(&port))
        .then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, u16::from_be_bytes([high, low]))))
}

/// Whether connects of this process are led by a supervisor.
///
/// # Errors
/// Why not: what the supervisor met, or ENETUNREACH and its like from the kernel.
pub(crate) fn probe() -> Result<(), Errno> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let name = rustix::thread::name();
    let _ = rustix::thread::set_name(PROBING);
    let connected = rustix::net::connect(&socket, &PROBE);
    let _ = name.and_then(|name| rustix::thread::set_name(&name));
    match connected {
        Err(PROBED) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(Errno::NETUNREACH),
    }
}

fn is_probing(thread: i32) -> bool {
    let name = std::fs::read(format!("/proc/{thread}/comm")).unwrap_or_default();
    name.trim_ascii_end() == PROBING.to_bytes()
}

/// Makes the calls by which a supervisor takes a socket, on a descriptor of the caller's own.
pub(super) fn rehearse(here: Pid) -> Result<(), Errno> {
    let process = pidfd_open(here, PidfdFlags::empty())?;
    pidfd_getfd(&process, process.as_raw_fd(), PidfdGetfdFlags::empty()).map(drop)
}

/// What a `connect` is.
enum Asked {
    /// Not our business.
    Elsewhere,
    /// [`probe`], which has come through.
    Probe,
    Lead(Connect),
    /// What is not to be seen.
    Hidden,
}

/// A `connect` that waits, its descriptor and the address it is to go to.
struct Connect {
    id: u64,
    socket: OwnedFd,
    to: SocketAddr,
    gate: Option<Gate>,
}

impl Supervisor {
    pub(super) fn connect_waits(self: &Arc<Self>, notification: Notification) {
        match self.inspect(notification) {
            Ok(Asked::Elsewhere) => self.answer(notification.id, Answer::Continue),
            Ok(Asked::Probe) => {
                self.proven.store(true, Ordering::Relaxed);
                self.answer(notification.id, Answer::Fail(PROBED.raw_os_error()));
            }
            Ok(Asked::Lead(connect)) => self.lead(connect),
            Ok(Asked::Hidden) => {
                self.answer(notification.id, Answer::Fail(Errno::NOENT.raw_os_error()));
            }
            Err(error)
                if self.proven.load(Ordering::Relaxed) && !is_probing(notification.thread) =>
            {
                tracing::warn!(
                    "refused a connect of process {}, because where it goes cannot be seen or led: {error}",
                    notification.thread
                );
                self.refuse(notification.id);
            }
            // Who probes finds out by the error, and tells of it.
            Err(error) => {
                let refused = Errno::CONNREFUSED.raw_os_error();
                let errno = error.raw_os_error().unwrap_or(refused);
                self.answer(notification.id, Answer::Fail(errno));
            }
        }
    }

    /// An error must not let the call go on: it would reach the real network.
    fn inspect(&self, notification: Notification) -> io::Result<Asked> {
        let [descriptor, pointer, length] = arguments(notification)?;
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(address::MAX_LENGTH);
        let bytes = match memory::read(notification.thread, pointer, length) {
            // The kernel says so itself.
            Err(error) if error.raw_os_error() == Some(nix::libc::EFAULT) => {
                return Ok(Asked::Elsewhere);
            }
            other => other?,
        };
        if address::parse_path(&bytes).is_some_and(|path| self.hides(path)) {
            return Ok(Asked::Hidden);
        }
        let asked = address::parse(&bytes);
        let probe = asked == Some(PROBE);
        let (to, gate) = if probe {
            (PROBE, None)
        } else {
            match asked.and_then(|from| self.target(from)) {
                Some(target) => target,
                None => return Ok(Asked::Elsewhere),
            }
        };
        let descriptor =
            i32::try_from(descriptor & u64::from(u32::MAX)).map_err(|_| Errno::BADF)?;
        let process = open_process(notification.thread)?;
        let socket = match pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty()) {
            Err(Errno::BADF) => return Ok(Asked::Elsewhere), // again the kernel's to say
            other => other?,
        };
        if !sys::is_waiting(self.listener.as_fd(), notification.id) {
            return Err(Errno::SRCH.into()); // another process may have its number by now
        }
        if probe {
            return Ok(Asked::Probe);
        }
        let to = match rustix::net::sockopt::socket_domain(&socket) {
            Ok(AddressFamily::INET) if to.is_ipv4() => to,
            Ok(AddressFamily::INET6) => address::for_ipv6(to),
            Ok(AddressFamily::INET) => return Err(Errno::AFNOSUPPORT.into()),
            _ => return Ok(Asked::Elsewhere), // no internet socket: the kernel refuses the address
        };
        let id = notification.id;
        Ok(Asked::Lead(Connect {
            id,
            socket,
            to,
            gate,
        }))
    }

    /// Whether a path is one of those of which nothing is there.
    fn hides(&self, path: &Path) -> bool {
        let hides = |tree: &Mutex<Tree>| {
            let tree = tree.lock().unwrap_or_else(PoisonError::into_inner);
            tree.find(path, true).is_err()
        };
        self.tree.as_deref().is_some_and(hides)
    }

    fn target(&self, from: SocketAddr) -> Option<(SocketAddr, Option<Gate>)> {
        if let Some(port) = nested_target(from) {
            return Some((port, None));
        }
        let redirect = self.redirects.iter().find(|redirect| {
            redirect.from.ip().to_canonical() == from.ip() && redirect.from.port() == from.port()
        })?;
        Some((redirect.to, redirect.gate.clone()))
    }

    /// Connects, on another thread where that may take its time: nobody else's connect waits for it.
    fn lead(self: &Arc<Self>, connect: Connect) {
        let blocking = rustix::fs::fcntl_getfl(&connect.socket)
            .is_ok_and(|flags| !flags.contains(OFlags::NONBLOCK));
        // Of a datagram socket a connect only says the address.
        let datagrams = rustix::net::sockopt::socket_type(&connect.socket) == Ok(SocketType::DGRAM);
        if !blocking || datagrams {
            return self.connect(&connect);
        }
        let id = connect.id;
        let supervisor = Arc::clone(self);
        if let Err(error) = self.workers.run(move || supervisor.connect(&connect)) {
            tracing::warn!("refused a connect, for want of a thread: {error}");
            self.refuse(id);
        }
    }

    fn connect(&self, connect: &Connect) {
        let connected = connect
            .announce()
            .and_then(|()| rustix::net::connect(&connect.socket, &connect.to));
        if let Err(error) = connected {
            connect.withdraw(error);
        }
        let answer = match connected {
            Ok(()) => Answer::Return(0),
            Err(error) => Answer::Fail(error.raw_os_error()),
        };
        self.answer(connect.id, answer);
    }

    fn refuse(&self, id: u64) {
        self.answer(id, Answer::Fail(Errno::CONNREFUSED.raw_os_error()));
    }
}

impl Connect {
    /// Tells a gate who is coming, before that can be.
    fn announce(&self) -> Result<(), Errno> {
        let Some(gate) = &self.gate else {
            return Ok(());
        };
        // No new connection comes of these.
        if rustix::net::sockopt::socket_type(&self.socket)? != SocketType::STREAM
            || rustix::net::getpeername(&self.socket).is_ok()
        {
            return Ok(());
        }
        let any = SocketAddr::new(self.to.ip(), 0);
        match rustix::net::bind(&self.socket, &any) {
            // It has an address of its own already.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
        if let Ok(own) = SocketAddr::try_from(rustix::net::getsockname(&self.socket)?) {
            gate.expect(own);
        }
        Ok(())
    }
}

impl Connect {
    /// Tells a gate that nobody comes.
    fn withdraw(&self, error: Errno) {
        if matches!(error, Errno::INPROGRESS | Errno::ALREADY | Errno::INTR) {
            return;
        }
        if let Some(gate) = &self.gate
            && let Ok(own) = rustix::net::getsockname(&self.socket)
            && let Ok(own) = SocketAddr::try_from(own)
        {
            gate.admits(own);
        }
    }
}

/// `connect`'s three arguments, which 32-bit x86 may pass in memory.
fn arguments(notification: Notification) -> io::Result<[u64; 3]> {
    let [first, second, third, ..] = notification.args;
    if (notification.arch, notification.number) != (abi::AUDIT_ARCH_I386, abi::I386_SOCKETCALL) {
        return Ok([first, second, third & u64::from(u32::MAX)]);
    }
    let bytes = memory::read(notification.thread, second, 12)?;
    let mut words = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| u64::from(u32::from_ne_bytes(*word)));
    let mut word = || words.next().ok_or(io::ErrorKind::UnexpectedEof);
    Ok([word()?, word()?, word()?])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nested_address_names_a_port_and_no_other_address_does() {
        for port in [1, 443, 40_961, u16::MAX] {
            let address = nested_address(port);
            assert_eq!(
                nested_target(address),
                Some(SocketAddr::from(([127, 0, 0, 1], port)))
            );
        }
        for other in [
            "240.1.0.1:443",
            "240.0.0.1:80",
            "10.96.0.1:443",
            "[::1]:443",
        ] {
            assert_eq!(nested_target(other.parse().unwrap()), None, "{other}");
        }
        assert_eq!(nested_target(PROBE), None);
    }
}
