//! What neither std, nix nor rustix wraps: seccomp's listener, taking over an inherited descriptor, masks with real-time signals, and
//! signal actions without a handler of ours. The only `unsafe` of the workspace.
#![expect(unsafe_code, reason = "system calls without a safe wrapper")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::libc;
use nix::sys::signal::SigSet;

/// A system call that waits for the supervisor's answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notification {
    pub(super) id: u64,
    /// A thread, not a process. 0 when it is not visible from here.
    pub(super) thread: i32,
    pub(super) number: i32,
    /// `AUDIT_ARCH_*`: whose table `number` belongs to.
    pub(super) arch: u32,
    pub(super) args: [u64; 6],
}

/// The answer to a [`Notification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Let the kernel do the call.
    Continue,
    /// The call returns this.
    Return(i64),
    /// The call fails with this errno.
    Fail(i32),
}

/// Puts a filter on the calling thread and all it starts from now on, and returns the listener of its notifications.
pub(super) fn install_filter(program: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut(),
    };
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // With WAIT_KILLABLE_RECV (Linux 5.19) a signal does not restart a connect that is being made. Older kernels say EINVAL.
    let mut fd = seccomp(
        listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
        &program,
    );
    if fd
        .as_ref()
        .is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL))
    {
        fd = seccomp(listener, &program);
    }
    fd
}

fn seccomp(flags: libc::c_ulong, program: &libc::sock_fprog) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `len` instructions at `filter`, which outlive the call, and writes nothing.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            std::ptr::from_ref(program),
        )
    };
    match RawFd::try_from(fd) {
        // SAFETY: the kernel just made this descriptor for us alone.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The next notification; blocks until there is one.
pub(super) fn receive(listener: BorrowedFd<'_>) -> io::Result<Notification> {
    // SAFETY: the structure is plain integers; the kernel insists on zeroes.
    let mut raw: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the request number carries the structure's size, so the kernel writes no more than that.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV,
            &raw mut raw,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Notification {
        id: raw.id,
        thread: raw.pid.cast_signed(),
        number: raw.data.nr,
        arch: raw.data.arch,
        args: raw.data.args,
    })
}

/// Answers a notification. ENOENT when its thread is gone.
pub(super) fn answer(listener: BorrowedFd<'_>, id: u64, answer: Answer) -> io::Result<()> {
    let (val, error, flags) = match answer {
        Answer::Continue => (0, 0, 1), // SECCOMP_USER_NOTIF_FLAG_CONTINUE
        Answer::Return(value) => (value, 0, 0),
        Answer::Fail(errno) => (0, -errno, 0),
    };
    let mut raw = libc::seccomp_notif_resp {
        id,
        val,
        error,
        flags,
    };
    // SAFETY: the request number carries the structure's size, and the kernel only reads it.
    let result = unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SEND,
            &raw mut raw,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Answers a notification by giving its process a descriptor, which the call returns. ENOENT when its thread is gone.
pub(super) fn answer_with_descriptor(
    listener: BorrowedFd<'_>,
    id: u64,
    descriptor: BorrowedFd<'_>,
    close_on_exec: bool,
) -> io::Result<()> {
    let add = |flags: libc::c_ulong| {
        let raw = libc::seccomp_notif_addfd {
            id,
            flags: u32::try_from(flags).unwrap_or_default(),
            srcfd: descriptor.as_raw_fd().cast_unsigned(),
            newfd: 0,
            newfd_flags: if close_on_exec {
                libc::O_CLOEXEC.cast_unsigned()
            } else {
                0
            },
        };
        // SAFETY: the request number carries the structure's size, and the kernel only reads it.
        let result = unsafe {
            libc::ioctl(
                listener.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_ADDFD,
                &raw const raw,
            )
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(result)
        }
    };
    match add(libc::SECCOMP_ADDFD_FLAG_SEND) {
        // Before Linux 5.14 the descriptor is added and the answer given one after the other.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            let number = add(0)?;
            answer(listener, id, Answer::Return(number.into()))
        }
        other => other.map(drop),
    }
}

/// Whether a notification's thread still waits, so that what was read of its process since is truly of it.
pub(super) fn is_waiting(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads one u64.
    unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
            &raw const id,
        ) == 0
    }
}

/// Takes over a descriptor that this process was started with, and keeps it from its own children.
pub(super) fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD touches nothing but the descriptor's flag, and fails on one that is not open.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and the program that started this one handed it over under this number: nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets the kernel run supervisor and process by turns on one processor, which makes each call cheaper (Linux 6.6). Older ones do
/// without.
pub(super) fn wake_together(listener: BorrowedFd<'_>) {
    const SYNC_WAKE_UP: libc::c_ulong = 1; // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
    // SAFETY: the kernel reads the flags from the argument itself.
    unsafe {
        libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
            SYNC_WAKE_UP,
        );
    }
}

/// Has the kernel keep ended children until they are waited for, whatever this process inherited: where SIGCHLD is ignored, they go
/// by themselves, and their numbers with them.
pub(super) fn keep_ended_children() {
    // SAFETY: all zeroes are the default action without flags.
    let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: with a null pointer it only reads, into a structure of ours.
    unsafe { libc::sigaction(libc::SIGCHLD, std::ptr::null(), &raw mut current) };
    if current.sa_sigaction != libc::SIG_IGN && current.sa_flags & libc::SA_NOCLDWAIT == 0 {
        return;
    }
    if current.sa_sigaction == libc::SIG_IGN {
        current.sa_sigaction = libc::SIG_DFL;
    }
    current.sa_flags &= !libc::SA_NOCLDWAIT;
    // SAFETY: it names no handler that was not there before.
    unsafe { libc::sigaction(libc::SIGCHLD, &raw const current, std::ptr::null_mut()) };
}

/// Sends this thread a signal with its default action, whatever this process did with it.
pub(super) fn raise_by_default(signal: i32) {
    // SAFETY: the default action names no code of ours; both only fail for a number that is no signal's.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
}

/// The signals of a set: nix names the standard ones alone.
pub(super) fn signal_numbers(set: &SigSet) -> Vec<i32> {
    // SAFETY: it only reads the set, and refuses a number that is no signal's.
    let has = |number| unsafe { libc::sigismember(set.as_ref(), number) == 1 };
    (1..=libc::SIGRTMAX())
        .filter(|number| has(*number))
        .collect()
}

/// The set of these signals, without what is no signal's number or is kept by the C library for itself.
pub(super) fn signal_set(numbers: impl IntoIterator<Item = i32>) -> SigSet {
    let mut set = *SigSet::empty().as_ref();
    for number in numbers {
        // SAFETY: the set is an initialised one of ours; a number that it refuses changes nothing.
        unsafe { libc::sigaddset(&raw mut set, number) };
    }
    // SAFETY: it was made by sigemptyset and sigaddset.
    unsafe { SigSet::from_sigset_t_unchecked(set) }
}
