//! The seccomp filter: `connect` goes to the supervisor, sending without connecting first (TCP Fast Open) is refused so that clients
//! fall back to `connect`, everything else passes.
//!
//! Not seen: connects made by `io_uring`, and Fast Open through the 32-bit x86 `socketcall`.

use nix::libc::{
    self, BPF_ABS, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW,
    SECCOMP_RET_ERRNO, SECCOMP_RET_USER_NOTIF, sock_filter,
};

/// The system calls of one architecture that matter here, by number.
struct Abi {
    /// `AUDIT_ARCH_*`.
    arch: u32,
    connect: &'static [u32],
    /// Calls that take `MSG_FASTOPEN`, with the position of their flags.
    send: &'static [(u32, u32)],
    /// `socketcall`, behind which 32-bit x86 has all of them.
    socketcall: Option<u32>,
}

/// The `socketcall` for `connect`.
const SYS_CONNECT: u32 = 3;
pub(super) const AUDIT_ARCH_I386: u32 = 0x4000_0003;
pub(super) const I386_SOCKETCALL: i32 = 102;

/// The bit of the x32 ABI, which shares x86-64's architecture.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

#[cfg(target_arch = "x86_64")]
const ABIS: &[Abi] = &[
    Abi {
        arch: 0xC000_003E,
        connect: &[42, X32 + 42],
        send: &[
            (44, 3),
            (46, 2),
            (307, 3),
            (X32 + 44, 3),
            (X32 + 518, 2),
            (X32 + 538, 3),
        ],
        socketcall: None,
    },
    Abi {
        arch: AUDIT_ARCH_I386,
        connect: &[362],
        send: &[(369, 3), (370, 2), (345, 3)],
        socketcall: Some(I386_SOCKETCALL.cast_unsigned()),
    },
];

#[cfg(target_arch = "aarch64")]
const ABIS: &[Abi] = &[
    Abi {
        arch: 0xC000_00B7,
        connect: &[203],
        send: &[(206, 3), (211, 2), (269, 3)],
        socketcall: None,
    },
    Abi {
        arch: 0x4000_0028, // 32-bit ARM
        connect: &[283],
        send: &[(290, 3), (296, 2), (374, 3)],
        socketcall: None,
    },
];

/// Elsewhere the numbers are not known here, and there is no sandbox.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ABIS: &[Abi] = &[];

// Offsets in the kernel's `struct seccomp_data`; the low half of an argument comes first on the little-endian machines above.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const fn argument(n: u32) -> u32 {
    16 + 8 * n
}

const REFUSE: u32 = SECCOMP_RET_ERRNO | libc::EOPNOTSUPP.cast_unsigned();

/// The filter's program; `None` on an architecture whose calls are not known.
pub(super) fn program() -> Option<Vec<sock_filter>> {
    if ABIS.is_empty() {
        return None;
    }
    let mut program = vec![load(ARCH)];
    for abi in ABIS {
        let block = block(abi);
        program.push(jump(BPF_JEQ, abi.arch, 0, u8::try_from(block.len()).ok()?));
        program.extend(block);
    }
    program.push(ret(SECCOMP_RET_ALLOW));
    Some(program)
}

fn block(abi: &Abi) -> Vec<sock_filter> {
    let mut block = vec![load(NUMBER)];
    for &connect in abi.connect {
        block.extend([jump(BPF_JEQ, connect, 0, 1), ret(SECCOMP_RET_USER_NOTIF)]);
    }
    if let Some(socketcall) = abi.socketcall {
        block.extend([
            jump(BPF_JEQ, socketcall, 0, 4),
            load(argument(0)),
            jump(BPF_JEQ, SYS_CONNECT, 0, 1),
            ret(SECCOMP_RET_USER_NOTIF),
            ret(SECCOMP_RET_ALLOW),
        ]);
    }
    for &(send, flags) in abi.send {
        block.extend([
            jump(BPF_JEQ, send, 0, 4),
            load(argument(flags)),
            jump(BPF_JSET, libc::MSG_FASTOPEN.cast_unsigned(), 0, 1),
            ret(REFUSE),
            ret(SECCOMP_RET_ALLOW),
        ]);
    }
    block.push(ret(SECCOMP_RET_ALLOW));
    block
}

fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset)
}

fn jump(condition: u32, operand: u32, if_true: u8, if_false: u8) -> sock_filter {
    instruction(BPF_JMP | condition | BPF_K, if_true, if_false, operand)
}

fn ret(action: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, 0, 0, action)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    // All codes are below 256.
    let code = u16::try_from(code).unwrap_or_default();
    sock_filter { code, jt, jf, k }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    /// What the kernel would do with a call: just enough of BPF for the program above.
    fn run(arch: u32, number: u32, args: [u32; 6]) -> u32 {
        let program = program().unwrap();
        let (mut at, mut accumulator) = (0, 0);
        loop {
            let i = program[at];
            at += 1;
            let jump = |taken: bool| usize::from(if taken { i.jt } else { i.jf });
            match u32::from(i.code) {
                code if code == BPF_LD | BPF_W | BPF_ABS => {
                    accumulator = match i.k {
                        NUMBER => number,
                        ARCH => arch,
                        offset => args[(offset as usize - 16) / 8],
                    }
                }
                code if code == BPF_JMP | BPF_JEQ | BPF_K => at += jump(accumulator == i.k),
                code if code == BPF_JMP | BPF_JSET | BPF_K => at += jump(accumulator & i.k != 0),
                _ => return i.k,
            }
        }
    }

    const X86_64: u32 = 0xC000_003E;
    const FASTOPEN: u32 = 0x2000_0000;

    #[test]
    fn connects_of_every_abi_are_notified() {
        for (arch, number, args) in [
            (X86_64, 42, [0; 6]),
            (X86_64, X32 + 42, [0; 6]),
            (AUDIT_ARCH_I386, 362, [0; 6]),
            (AUDIT_ARCH_I386, 102, [SYS_CONNECT, 0, 0, 0, 0, 0]),
        ] {
            assert_eq!(
                run(arch, number, args),
                SECCOMP_RET_USER_NOTIF,
                "{arch:x} {number}"
            );
        }
    }

    #[test]
    fn fast_open_is_refused_and_other_sending_is_not() {
        for (arch, number, flags) in [
            (X86_64, 44, 3),
            (X86_64, 46, 2),
            (X86_64, 307, 3),
            (AUDIT_ARCH_I386, 369, 3),
        ] {
            let mut args = [0x4000; 6]; // MSG_NOSIGNAL
            assert_eq!(run(arch, number, args), SECCOMP_RET_ALLOW);
            args[flags] |= FASTOPEN;
            assert_eq!(run(arch, number, args), REFUSE);
        }
    }

    #[test]
    fn other_calls_pass() {
        for number in (0..600).filter(|number| *number != 42) {
            assert_eq!(run(X86_64, number, [0; 6]), SECCOMP_RET_ALLOW);
        }
        assert_eq!(
            run(AUDIT_ARCH_I386, 102, [1, 0, 0, 0, 0, 0]),
            SECCOMP_RET_ALLOW
        );
        assert_eq!(run(AUDIT_ARCH_I386, 42, [0; 6]), SECCOMP_RET_ALLOW);
    }
}
