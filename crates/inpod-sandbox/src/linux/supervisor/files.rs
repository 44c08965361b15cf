//! Files without mounts: what the process asks of paths, answered from a [`Tree`].
//!
//! Like a connect, a call that is not ours is continued, and the kernel reads its path again.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Mutex;

use nix::libc;
use rustix::io::Errno;

use super::abi::{self, PathCallKind as Kind};
use super::{Supervisor, memory, stat};
use crate::linux::locked;
use crate::linux::sys::{self, Answer, Notification};
use crate::linux::tree::{Found, Node, Tree};

/// The size of a `struct open_how`: flags, mode, and how the path is resolved.
const OPEN_HOW: usize = 24;

/// A call on a path. Pointers are into the process's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PathCall {
    place: Place,
    what: What,
}

/// A path, and what it begins in if it is relative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    directory: i32,
    path: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Open {
        flags: u64,
    },
    /// Flags by a pointer to a `struct open_how`.
    Open2 {
        how: u64,
    },
    Stat {
        buffer: u64,
        follow: bool,
    },
    Statx {
        buffer: u64,
        follow: bool,
    },
    ReadLink {
        buffer: u64,
        size: u64,
    },
    Access {
        mode: u64,
        follow: bool,
    },
    ChDir,
    Rename {
        to: Place,
    },
    Link {
        to: Place,
    },
    Remove,
    Make,
    Change {
        follow: bool,
    },
}

/// The call that a notification is, if it is on a path.
pub(super) fn call(notification: &Notification) -> Option<PathCall> {
    let args = notification.args;
    let kind = abi::path_call(notification.arch, notification.number)?;
    // Without a directory of its own a call means the working directory.
    let at = kind.takes_directory();
    let argument = |n: usize| args[usize::from(at) + n];
    let place = |n: usize| Place {
        directory: if at { low(args[n]) } else { libc::AT_FDCWD },
        path: argument(n),
    };
    let follows = |flags: u64| flags & flag(libc::AT_SYMLINK_NOFOLLOW) == 0;
    let what = match kind {
        Kind::Open | Kind::OpenAt => What::Open { flags: argument(1) },
        Kind::OpenAt2 => What::Open2 { how: argument(1) },
        Kind::Stat | Kind::LStat => What::Stat {
            buffer: argument(1),
            follow: kind == Kind::Stat,
        },
        Kind::NewFStatAt => What::Stat {
            buffer: argument(1),
            follow: follows(argument(2)),
        },
        Kind::Statx => What::Statx {
            buffer: argument(3),
            follow: follows(argument(1)),
        },
        Kind::ReadLink | Kind::ReadLinkAt => What::ReadLink {
            buffer: argument(1),
            size: argument(2),
        },
        Kind::ChDir => What::ChDir,
        Kind::Access | Kind::FAccessAt => What::Access {
            mode: argument(1),
            follow: true,
        },
        Kind::FAccessAt2 => What::Access {
            mode: argument(1),
            follow: follows(argument(2)),
        },
        Kind::Creat => What::Open {
            flags: flag(libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC),
        },
        Kind::Rename => What::Rename { to: place(1) },
        Kind::RenameAt => What::Rename { to: place(2) },
        Kind::Link => What::Link { to: place(1) },
        Kind::LinkAt => What::Link { to: place(2) },
        Kind::Make | Kind::MakeAt | Kind::SymLink | Kind::SymLinkAt => What::Make,
        Kind::Unlink | Kind::UnlinkAt => What::Remove,
        Kind::Change | Kind::LChange | Kind::ChangeAt => What::Change {
            follow: kind != Kind::LChange,
        },
        Kind::ChangeAtFlags => What::Change {
            follow: follows(argument(2)),
        },
        Kind::FChOwnAt => What::Change {
            follow: follows(argument(3)),
        },
    };
    let place = match kind {
        Kind::SymLink => place(1),
        // The first argument is what the link says.
        Kind::SymLinkAt => Place {
            directory: low(args[1]),
            path: args[2],
        },
        _ => place(0),
    };
    Some(PathCall { place, what })
}

impl Supervisor {
    pub(super) fn path_call(
        &self,
        tree: &Mutex<Tree>,
        notification: &Notification,
        call: &PathCall,
    ) {
        // What cannot be read (a program that may not be traced) is left to the kernel, and the machine's own files.
        let answer = match self.answer_to(tree, notification, call) {
            Ok(Some(answer)) => answer,
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "cannot answer for a path");
                Answer::Continue
            }
        };
        self.answer(notification.id, answer);
    }

    /// `None` once it is answered.
    fn answer_to(
        &self,
        tree: &Mutex<Tree>,
        notification: &Notification,
        call: &PathCall,
    ) -> io::Result<Option<Answer>> {
        let thread = notification.thread;
        let what = match call.what {
            What::Open2 { how } => {
                let how = memory::read(thread, how, OPEN_HOW)?;
                let (flags, rest) = how.split_at_checked(size_of::<u64>()).unwrap_or_default();
                // A path that is to be resolved in another way means another file.
                let resolve = rest.get(size_of::<u64>()..);
                if resolve.is_none_or(|resolve| number(resolve) != 0) {
                    return Ok(Some(Answer::Continue));
                }
                What::Open {
                    flags: number(flags),
                }
            }
            what => what,
        };
        for place in std::iter::once(call.place).chain(what.other_place()) {
            let Some(path) = absolute(tree, thread, place)? else {
                continue;
            };
            let found = locked(tree).find(&path, what.follows());
            let found = match found {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                // Nothing can be made where nothing is to be seen.
                Err(_) if what == What::Make => return Ok(Some(fail(Errno::ACCESS))),
                Err(error) => return Ok(Some(fail(error))),
            };
            if !sys::is_waiting(self.listener.as_fd(), notification.id) {
                return Err(Errno::SRCH.into());
            }
            // The path is ours: what goes wrong from here on must not show what the machine has there.
            let answer = self.answer_of(&found, notification, what);
            return Ok(answer.unwrap_or_else(|error| {
                let errno = error.raw_os_error();
                Some(Answer::Fail(errno.unwrap_or(Errno::IO.raw_os_error())))
            }));
        }
        Ok(Some(Answer::Continue))
    }

    /// `None` once it is answered.
    fn answer_of(
        &self,
        found: &Found,
        notification: &Notification,
        what: What,
    ) -> io::Result<Option<Answer>> {
        let (node, thread) = (&found.node, notification.thread);
        match what {
            What::Open { flags } => self.open(notification, node, flags),
            What::Open2 { .. } => Ok(Some(Answer::Continue)), // became an `Open`
            What::Stat { buffer, .. } => {
                memory::write(thread, buffer, &stat::encode(&stat::of(found)?))?;
                Ok(Some(Answer::Return(0)))
            }
            What::Statx { buffer, .. } => {
                memory::write(thread, buffer, &stat::encode_statx(&stat::of(found)?))?;
                Ok(Some(Answer::Return(0)))
            }
            What::ReadLink { buffer, size } => {
                let Node::Link(target) = node else {
                    return Ok(Some(fail(Errno::INVAL)));
                };
                let target = target.as_os_str().as_bytes();
                let length = target.len().min(usize::try_from(size).unwrap_or(0));
                memory::write(thread, buffer, &target[..length])?;
                Ok(Some(Answer::Return(i64::try_from(length).unwrap_or(0))))
            }
            What::Access { mode, .. } => Ok(Some(access(node, mode))),
            // There is none to be in, and what the machine has there is not to be seen.
            What::ChDir => Ok(Some(fail(match node {
                Node::File(_) => Errno::NOTDIR,
                _ => Errno::NOENT,
            }))),
            // As of what is mounted; and the machine's own file under it stays what it was.
            What::Rename { .. } | What::Remove => Ok(Some(fail(Errno::BUSY))),
            What::Change { .. } => Ok(Some(fail(Errno::ROFS))),
            What::Link { .. } => Ok(Some(fail(Errno::XDEV))),
            What::Make => Ok(Some(fail(Errno::EXIST))),
        }
    }

    fn open(
        &self,
        notification: &Notification,
        node: &Node,
        flags: u64,
    ) -> io::Result<Option<Answer>> {
        let has = |wanted: i32| flags & flag(wanted) == flag(wanted);
        let error = match node {
            _ if has(libc::O_CREAT | libc::O_EXCL) => Errno::EXIST,
            Node::Link(_) => Errno::LOOP, // only with O_NOFOLLOW
            // There is no descriptor for a directory that no file system has.
            Node::Directory => Errno::OPNOTSUPP,
            Node::Door => {
                let process = notification.thread.unsigned_abs();
                let channel = self.lent.lend(process)?;
                self.give(notification.id, channel.as_fd(), true)?;
                return Ok(None);
            }
            Node::File(_) if has(libc::O_DIRECTORY) => Errno::NOTDIR,
            Node::File(_)
                if flags & flag(libc::O_ACCMODE) != flag(libc::O_RDONLY) && !has(libc::O_PATH) =>
            {
                Errno::ROFS
            }
            Node::File(memory) => {
                let file = reopen(memory)?;
                self.give(notification.id, file.as_fd(), has(libc::O_CLOEXEC))?;
                return Ok(None);
            }
        };
        Ok(Some(fail(error)))
    }

    fn give(&self, id: u64, descriptor: BorrowedFd<'_>, close_on_exec: bool) -> io::Result<()> {
        sys::answer_with_descriptor(self.listener.as_fd(), id, descriptor, close_on_exec)
    }
}

impl What {
    fn follows(self) -> bool {
        match self {
            Self::Open { flags } => {
                let exclusive = flag(libc::O_CREAT | libc::O_EXCL);
                flags & flag(libc::O_NOFOLLOW) == 0 && flags & exclusive != exclusive
            }
            Self::Stat { follow, .. }
            | Self::Statx { follow, .. }
            | Self::Access { follow, .. }
            | Self::Change { follow } => follow,
            Self::ChDir => true,
            Self::Open2 { .. }
            | Self::ReadLink { .. }
            | Self::Rename { .. }
            | Self::Link { .. }
            | Self::Remove
            | Self::Make => false,
        }
    }

    fn other_place(self) -> Option<Place> {
        match self {
            Self::Rename { to } | Self::Link { to } => Some(to),
            _ => None,
        }
    }
}

/// Where a path leads, unless it is for the kernel alone.
fn absolute(tree: &Mutex<Tree>, thread: i32, place: Place) -> io::Result<Option<PathBuf>> {
    let Some(path) = memory::read_path(thread, place.path)? else {
        return Ok(None);
    };
    if path.is_absolute() {
        return Ok(Some(path));
    }
    // Nothing of the process is looked at while the tree is locked: it could make that take long.
    let ours = locked(tree).may_have(&path);
    Ok(if ours {
        Some(directory(thread, place.directory)?.join(path))
    } else {
        None
    })
}

/// What relative paths of a call begin in.
fn directory(thread: i32, descriptor: i32) -> io::Result<PathBuf> {
    std::fs::read_link(if descriptor == libc::AT_FDCWD {
        format!("/proc/{thread}/cwd")
    } else {
        format!("/proc/{thread}/fd/{descriptor}")
    })
}

/// A description of its own, with an offset of its own.
fn reopen(memory: &OwnedFd) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", memory.as_raw_fd()))
}

fn access(node: &Node, mode: u64) -> Answer {
    let has = |wanted: i32| mode & flag(wanted) != 0;
    if has(libc::W_OK) {
        return fail(Errno::ROFS);
    }
    match node {
        Node::File(_) if has(libc::X_OK) => fail(Errno::ACCESS),
        _ => Answer::Return(0),
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

fn fail(error: Errno) -> Answer {
    Answer::Fail(error.raw_os_error())
}

fn flag(flag: i32) -> u64 {
    u64::from(flag.cast_unsigned())
}

/// An `int` argument: the upper half of the register means nothing.
fn low(argument: u64) -> i32 {
    let low = u32::try_from(argument & u64::from(u32::MAX)).unwrap_or_default();
    low.cast_signed()
}
