//! The socket between the program that runs a sandbox and the sandbox's helpers.
//!
//! Its end is a message too: whoever sees it knows that the other side is dead, however it died.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Descriptors in one message; the kernel's own limit (`SCM_MAX_FD`).
const MAX_DESCRIPTORS: usize = 253;
/// Bytes in one message.
const MAX_LENGTH: usize = 4096;

/// One message, kept whole by the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// The sandbox's init lives; its pidfd is attached.
    Init,
    /// Everything is in place. Attached: a writable directory for each volume, in order, then the listener or the channel that was asked for.
    Ready {
        /// Whether the machine's `/proc` could not be replaced.
        covered_proc: bool,
        /// Whether nothing keeps the process from looking into others of its user.
        looks_around: bool,
    },
    /// Have what is in the attached memory answered for.
    Show,
    /// It is.
    Shown,
    /// Find out whether the process could be started, and answer as if it were.
    Prove,
    /// Start the process.
    Go,
    /// The process runs.
    Started,
    /// It does not, and will not.
    Failed(Failure),
    /// The process stopped.
    Stopped,
    /// The process ended with this wait status.
    Exited(i32),
    /// Send the process this signal.
    Signal(i32),
    /// This signal was sent to the program that runs the sandbox: send it to the process, unless it has it as one of the group.
    HandOn(i32),
}

/// What a helper could not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) stage: Stage,
    pub(super) errno: i32,
    /// Completes "could not …".
    pub(super) what: String,
}

/// Where a helper failed, which tells whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Leave to have namespaces or to mount in them.
    Permission,
    /// The listener for connections.
    Listener,
    /// Everything else before the process.
    Setup,
    /// The process itself.
    Execute,
}

impl Failure {
    /// For `map_err`.
    pub(super) fn at<E: Into<io::Error>>(
        stage: Stage,
        what: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        move |error| {
            let error = error.into();
            let what = what.into();
            // A number is all that travels; what std or we have to say goes with the text.
            Self {
                stage,
                errno: errno_of(&error),
                what: if error.raw_os_error().is_none() {
                    format!("{what} ({error})")
                } else {
                    what
                },
            }
        }
    }
}

/// The nearest number for errors that std made up.
fn errno_of(error: &io::Error) -> i32 {
    let nearest = match error.kind() {
        io::ErrorKind::InvalidInput => nix::libc::EINVAL,
        io::ErrorKind::Unsupported => nix::libc::EOPNOTSUPP,
        io::ErrorKind::ResourceBusy => nix::libc::EBUSY,
        io::ErrorKind::AlreadyExists => nix::libc::EEXIST,
        _ => nix::libc::EIO,
    };
    error.raw_os_error().unwrap_or(nearest)
}

/// One end of the socket.
#[derive(Debug)]
pub(super) struct Channel(OwnedFd);

impl Channel {
    pub(super) fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(a), Self(b)))
    }

    pub(super) fn from_descriptor(fd: OwnedFd) -> Self {
        Self(fd)
    }

    pub(super) fn send(&self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = message.encode();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors))
        {
            return Err(io::Error::from(Errno::TOOBIG));
        }
        rustix::io::retry_on_intr(|| {
            sendmsg(
                &self.0,
                &[IoSlice::new(&bytes)],
                &mut ancillary,
                SendFlags::NOSIGNAL,
            )
        })?;
        Ok(())
    }

    /// The next message; `None` when the other side is gone.
    pub(super) fn receive(&self) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
        self.receive_with(RecvFlags::empty())
    }

    /// The next message, if one lies there.
    pub(super) fn try_receive(&self) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
        match self.receive_with(RecvFlags::DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            other => other,
        }
    }

    fn receive_with(&self, flags: RecvFlags) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
        let mut bytes = [0; MAX_LENGTH];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let length = loop {
            let received = recvmsg(
                &self.0,
                &mut [IoSliceMut::new(&mut bytes)],
                &mut ancillary,
                flags | RecvFlags::CMSG_CLOEXEC,
            );
            match received {
                Ok(received) => break received.bytes,
                // The other side ended without reading all of ours. That is told once and first; what it sent lies behind.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                Err(error) => return Err(error.into()),
            }
        };
        let descriptors = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
                _ => None,
            })
            .flatten()
            .collect();
        match bytes.get(..length) {
            Some(bytes) if length > 0 => Ok(Some((Message::decode(bytes)?, descriptors))),
            _ => Ok(None),
        }
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Message {
    /// A tag, a number, and for a failure its text.
    fn encode(&self) -> Vec<u8> {
        let (tag, number, text) = match self {
            Self::Init => (b'I', 0, ""),
            Self::Ready {
                covered_proc,
                looks_around,
            } => {
                let flags = i32::from(*covered_proc) | i32::from(*looks_around) << 1;
                (b'R', flags, "")
            }
            Self::Show => (b'F', 0, ""),
            Self::Shown => (b'A', 0, ""),
            Self::Prove => (b'P', 0, ""),
            Self::Go => (b'G', 0, ""),
            Self::Started => (b'S', 0, ""),
            Self::Stopped => (b'T', 0, ""),
            Self::Exited(status) => (b'E', *status, ""),
            Self::Signal(signal) => (b'K', *signal, ""),
            Self::HandOn(signal) => (b'H', *signal, ""),
            Self::Failed(Failure { stage, errno, what }) => {
                let tag = match stage {
                    Stage::Permission => b'p',
                    Stage::Listener => b'l',
                    Stage::Setup => b's',
                    Stage::Execute => b'x',
                };
                (tag, *errno, what.as_str())
            }
        };
        let mut bytes = vec![tag];
        bytes.extend(number.to_ne_bytes());
        bytes.extend(text.bytes());
        bytes.truncate(MAX_LENGTH);
        bytes
    }

    fn decode(bytes: &[u8]) -> io::Result<Self> {
        let malformed = || io::Error::from(io::ErrorKind::InvalidData);
        let (tag, rest) = bytes.split_first().ok_or_else(malformed)?;
        let (number, text) = rest.split_first_chunk().ok_or_else(malformed)?;
        let number = i32::from_ne_bytes(*number);
        let failed = |stage| {
            Self::Failed(Failure {
                stage,
                errno: number,
                what: String::from_utf8_lossy(text).into_owned(),
            })
        };
        Ok(match tag {
            b'I' => Self::Init,
            b'R' => Self::Ready {
                covered_proc: number & 1 != 0,
                looks_around: number & 2 != 0,
            },
            b'F' => Self::Show,
            b'A' => Self::Shown,
            b'P' => Self::Prove,
            b'G' => Self::Go,
            b'S' => Self::Started,
            b'T' => Self::Stopped,
            b'E' => Self::Exited(number),
            b'K' => Self::Signal(number),
            b'H' => Self::HandOn(number),
            b'p' => failed(Stage::Permission),
            b'l' => failed(Stage::Listener),
            b's' => failed(Stage::Setup),
            b'x' => failed(Stage::Execute),
            _ => return Err(malformed()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_whole_and_the_end_is_seen() {
        let (here, there) = Channel::pair().unwrap();
        let failure = Failure {
            stage: Stage::Listener,
            errno: 16,
            what: "watch connections".into(),
        };
        here.send(&Message::Failed(failure.clone()), &[]).unwrap();
        here.send(&Message::Exited(256), &[]).unwrap();
        drop(here);
        assert_eq!(
            there.receive().unwrap().unwrap().0,
            Message::Failed(failure)
        );
        assert_eq!(there.receive().unwrap().unwrap().0, Message::Exited(256));
        assert!(there.receive().unwrap().is_none());
    }

    #[test]
    fn what_was_sent_last_arrives_whatever_the_sender_left_unread() {
        let (here, there) = Channel::pair().unwrap();
        there.send(&Message::Signal(18), &[]).unwrap();
        here.send(&Message::Exited(256), &[]).unwrap();
        drop(here);
        assert_eq!(
            there.try_receive().unwrap().unwrap().0,
            Message::Exited(256)
        );
        assert!(there.try_receive().unwrap().is_none());
    }

    #[test]
    fn descriptors_travel_with_a_message() {
        let (here, there) = Channel::pair().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        here.send(&Message::Go, &[writer.as_fd()]).unwrap();
        drop(writer);
        let (_, descriptors) = there.receive().unwrap().unwrap();
        rustix::io::write(&descriptors[0], b"x").unwrap();
        drop(descriptors);
        assert_eq!(io::read_to_string(reader).unwrap(), "x");
    }
}
