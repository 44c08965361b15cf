//! What is said of a file that is answered for, as the kernel lays it out.

use std::io;
use std::mem::offset_of;

use nix::libc;
use rustix::fs::{FileType, Stat, fstat};
use rustix::process::{getegid, geteuid};

use crate::linux::tree::{Found, Node};

/// What `fstat` says of the file, and of what is no file what a tmpfs would.
pub(super) fn of(found: &Found) -> io::Result<Stat> {
    match &found.node {
        Node::File(memory) => {
            let mut stat = fstat(memory)?;
            stat.st_nlink = 1; // memory has no name, and the file has one
            Ok(stat)
        }
        Node::Directory | Node::Link(_) | Node::Door => {
            // Of the running system, so that device and times are real ones. It is root's where this process may not be looked into.
            let mut stat = rustix::fs::stat("/proc/self")?;
            (stat.st_uid, stat.st_gid) = (geteuid().as_raw(), getegid().as_raw());
            stat.st_ino = found.number();
            stat.st_nlink = if let Node::Link(_) = found.node { 1 } else { 2 };
            (stat.st_mode, stat.st_size) = match &found.node {
                Node::Link(target) => (
                    FileType::Symlink.as_raw_mode() | 0o777,
                    i64::try_from(target.as_os_str().len()).unwrap_or(0),
                ),
                _ => (FileType::Directory.as_raw_mode() | 0o755, 0),
            };
            Ok(stat)
        }
    }
}

macro_rules! put {
    ($bytes:ident, $structure:ty, $($field:ident).+ , $value:expr) => {{
        let value = $value.to_ne_bytes();
        let at = offset_of!($structure, $($field).+);
        $bytes[at..at + value.len()].copy_from_slice(&value);
    }};
}

/// The `struct stat` of this architecture.
pub(super) fn encode(stat: &Stat) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<libc::stat>()];
    put!(bytes, libc::stat, st_dev, stat.st_dev);
    put!(bytes, libc::stat, st_ino, stat.st_ino);
    put!(bytes, libc::stat, st_nlink, stat.st_nlink);
    put!(bytes, libc::stat, st_mode, stat.st_mode);
    put!(bytes, libc::stat, st_uid, stat.st_uid);
    put!(bytes, libc::stat, st_gid, stat.st_gid);
    put!(bytes, libc::stat, st_rdev, stat.st_rdev);
    put!(bytes, libc::stat, st_size, stat.st_size);
    put!(bytes, libc::stat, st_blksize, stat.st_blksize);
    put!(bytes, libc::stat, st_blocks, stat.st_blocks);
    put!(bytes, libc::stat, st_atime, stat.st_atime);
    put!(bytes, libc::stat, st_mtime, stat.st_mtime);
    put!(bytes, libc::stat, st_ctime, stat.st_ctime);
    bytes
}

/// The `struct statx`, which is the same everywhere.
pub(super) fn encode_statx(stat: &Stat) -> Vec<u8> {
    type Statx = libc::statx;
    let (major, minor) = (
        rustix::fs::major(stat.st_dev),
        rustix::fs::minor(stat.st_dev),
    );
    let mut bytes = vec![0; size_of::<Statx>()];
    put!(bytes, Statx, stx_mask, libc::STATX_BASIC_STATS);
    put!(bytes, Statx, stx_blksize, narrow::<u32>(stat.st_blksize));
    put!(bytes, Statx, stx_nlink, narrow::<u32>(stat.st_nlink));
    put!(bytes, Statx, stx_uid, stat.st_uid);
    put!(bytes, Statx, stx_gid, stat.st_gid);
    put!(bytes, Statx, stx_mode, narrow::<u16>(stat.st_mode));
    put!(bytes, Statx, stx_ino, stat.st_ino);
    put!(bytes, Statx, stx_size, narrow::<u64>(stat.st_size));
    put!(bytes, Statx, stx_blocks, narrow::<u64>(stat.st_blocks));
    put!(bytes, Statx, stx_atime.tv_sec, stat.st_atime);
    put!(bytes, Statx, stx_mtime.tv_sec, stat.st_mtime);
    put!(bytes, Statx, stx_ctime.tv_sec, stat.st_ctime);
    put!(bytes, Statx, stx_dev_major, major);
    put!(bytes, Statx, stx_dev_minor, minor);
    bytes
}

/// Numbers that are never as big as their type.
fn narrow<T: Default>(number: impl TryInto<T>) -> T {
    number.try_into().unwrap_or_default()
}
