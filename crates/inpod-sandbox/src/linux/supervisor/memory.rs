//! The memory of a process whose call waits.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use rustix::io::Errno;

/// A page is as small as this everywhere: memory may end at a multiple of it.
const PAGE: usize = 4096;
/// What the kernel takes of a path, with its NUL.
const PATH_MAX: usize = 4096;
/// As much as most paths have.
const SHORT: usize = 256;

/// So many bytes, or fewer where memory ends.
pub(super) fn read(thread: i32, pointer: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let base = address(pointer)?;
    // A part that lies in one page is read whole or not at all.
    let first = length.min(PAGE - base % PAGE);
    let parts = [
        RemoteIoVec { base, len: first },
        RemoteIoVec {
            base: base.wrapping_add(first),
            len: length - first,
        },
    ];
    let read = process_vm_readv(
        Pid::from_raw(thread),
        &mut [IoSliceMut::new(&mut bytes)],
        &parts,
    )?;
    bytes.truncate(read);
    Ok(bytes)
}

/// A path. `None` for what the kernel will refuse: no path ends there.
pub(super) fn read_path(thread: i32, pointer: u64) -> io::Result<Option<PathBuf>> {
    for length in [SHORT, PATH_MAX] {
        let mut bytes = read(thread, pointer, length)?;
        if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
            bytes.truncate(end);
            return Ok(Some(OsString::from_vec(bytes).into()));
        }
    }
    Ok(None)
}

/// Writes all of it.
pub(super) fn write(thread: i32, pointer: u64, bytes: &[u8]) -> io::Result<()> {
    let remote = RemoteIoVec {
        base: address(pointer)?,
        len: bytes.len(),
    };
    let written = process_vm_writev(Pid::from_raw(thread), &[IoSlice::new(bytes)], &[remote])?;
    if written < bytes.len() {
        return Err(Errno::FAULT.into());
    }
    Ok(())
}

/// Makes the calls of this module on the caller's own memory.
pub(super) fn rehearse(here: rustix::process::Pid, writing: bool) -> io::Result<()> {
    let mut byte = [0];
    let (here, pointer) = (here.as_raw_nonzero().get(), byte.as_mut_ptr().addr() as u64);
    let read = read(here, pointer, byte.len())?;
    if writing {
        write(here, pointer, &read)?;
    }
    Ok(())
}

fn address(pointer: u64) -> io::Result<usize> {
    Ok(usize::try_from(pointer).map_err(|_| Errno::FAULT)?)
}
