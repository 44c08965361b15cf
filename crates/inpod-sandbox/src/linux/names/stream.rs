//! DNS messages over TCP (RFC 1035 §4.2.2, RFC 7766), on sockets whose every wait ends when the forwarder does.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};

/// What all threads of a forwarder watch. Once rung it stays so.
#[derive(Debug)]
pub(super) struct Stop(OwnedFd);

impl Stop {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC)?))
    }

    pub(super) fn ring(&self) -> io::Result<()> {
        rustix::io::write(&self.0, &1u64.to_ne_bytes())?;
        Ok(())
    }

    /// Waits for any of these until then, or as long as it takes. `false` when it is time to stop.
    pub(super) fn wait<'a>(
        &'a self,
        mut fds: Vec<PollFd<'a>>,
        until: Option<Instant>,
    ) -> io::Result<bool> {
        let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = timeout.and_then(|left| Timespec::try_from(left).ok());
        fds.insert(0, PollFd::new(&self.0, PollFlags::IN));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => Ok(fds[0].revents().is_empty()),
            Err(Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn wait_for(&self, fd: &impl AsFd, flags: PollFlags, until: Instant) -> io::Result<()> {
        if Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.wait(vec![PollFd::new(fd, flags)], Some(until))? {
            Ok(())
        } else {
            Err(io::Error::other("the forwarder ends"))
        }
    }
}

/// A connection that carries messages.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    tcp: TcpStream,
    stop: &'a Stop,
}

impl<'a> Stream<'a> {
    pub(super) fn accepted(tcp: TcpStream, stop: &'a Stop) -> io::Result<Self> {
        tcp.set_nonblocking(true)?;
        tcp.set_nodelay(true)?;
        Ok(Self { tcp, stop })
    }

    pub(super) fn connect(to: SocketAddr, stop: &'a Stop, until: Instant) -> io::Result<Self> {
        let family = match to {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        match rustix::net::connect(&socket, &to) {
            Err(Errno::INPROGRESS) => {
                stop.wait_for(&socket, PollFlags::OUT, until)?;
                sockopt::socket_error(&socket)??;
            }
            other => other?,
        }
        let tcp = TcpStream::from(socket);
        tcp.set_nodelay(true)?;
        Ok(Self { tcp, stop })
    }

    /// `None` when the other side has closed the connection between two messages.
    pub(super) fn receive(&mut self, until: Instant) -> io::Result<Option<Vec<u8>>> {
        let mut length = [0; 2];
        if self.fill(&mut length, until)? == 0 {
            return Ok(None);
        }
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        match self.fill(&mut message, until)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(Some(message)),
        }
    }

    /// In one piece: some clients read the length and the message as one (RFC 7766 §8).
    pub(super) fn send(&mut self, message: &[u8], until: Instant) -> io::Result<()> {
        let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let bytes = [&length.to_be_bytes(), message].concat();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match self.tcp.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) => self.wait_or(error, PollFlags::OUT, until)?,
            }
        }
        Ok(())
    }

    /// All or nothing: 0 at the end of the stream.
    fn fill(&mut self, bytes: &mut [u8], until: Instant) -> io::Result<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.tcp.read(&mut bytes[filled..]) {
                Ok(0) if filled == 0 => return Ok(0),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(error) => self.wait_or(error, PollFlags::IN, until)?,
            }
        }
        Ok(filled)
    }

    fn wait_or(&self, error: io::Error, flags: PollFlags, until: Instant) -> io::Result<()> {
        match error.kind() {
            io::ErrorKind::WouldBlock => self.stop.wait_for(&self.tcp, flags, until),
            io::ErrorKind::Interrupted => Ok(()),
            _ => Err(error),
        }
    }
}
