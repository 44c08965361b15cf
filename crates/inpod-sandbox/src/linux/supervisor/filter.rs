//! The seccomp filter: `connect`, and calls on paths where files are shown so, go to the supervisor; sending without connecting
//! first (TCP Fast Open) is refused so that clients fall back to `connect`; everything else passes.
//!
//! Not seen: connects made by `io_uring`, and Fast Open through the 32-bit x86 `socketcall`.

use nix::libc::{
    self, BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W,
    SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_USER_NOTIF, sock_filter,
};

use super::abi::{ABIS, Abi, IGNORED};

/// The `socketcall` for `connect`.
const SYS_CONNECT: u32 = 3;

/// What the supervisor is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::linux) struct Wanted {
    pub(in crate::linux) connects: bool,
    pub(in crate::linux) paths: bool,
}

// Offsets in the kernel's `struct seccomp_data`; the low half of an argument comes first on the little-endian machines above.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const fn argument(n: u32) -> u32 {
    16 + 8 * n
}

const REFUSE: u32 = SECCOMP_RET_ERRNO | libc::EOPNOTSUPP.cast_unsigned();

/// The filter's program; `None` on an architecture whose calls are not known.
pub(super) fn program(wanted: Wanted) -> Option<Vec<sock_filter>> {
    if ABIS.is_empty() {
        return None;
    }
    let mut program = vec![load(ARCH)];
    for abi in ABIS {
        let block = block(abi, wanted);
        program.push(jump(BPF_JEQ, abi.arch, 0, u8::try_from(block.len()).ok()?));
        program.extend(block);
    }
    program.push(ret(SECCOMP_RET_ALLOW));
    Some(program)
}

fn block(abi: &Abi, wanted: Wanted) -> Vec<sock_filter> {
    let mut block = vec![
        load(NUMBER),
        instruction(BPF_ALU | BPF_AND | BPF_K, 0, 0, !IGNORED),
    ];
    if wanted.connects {
        block.extend(connects(abi));
    }
    if wanted.paths {
        block.extend(paths(abi));
    }
    block.push(ret(SECCOMP_RET_ALLOW));
    block
}

fn connects(abi: &Abi) -> Vec<sock_filter> {
    let mut block = Vec::new();
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
        block.extend(unless_flagged(
            send,
            flags,
            libc::MSG_FASTOPEN,
            [REFUSE, SECCOMP_RET_ALLOW],
        ));
    }
    block
}

fn paths(abi: &Abi) -> Vec<sock_filter> {
    let mut block = Vec::new();
    for &(number, kind) in abi.paths.iter().copied().flatten() {
        match kind.descriptor_flags() {
            Some(flags) => block.extend(unless_flagged(
                number,
                flags,
                libc::AT_EMPTY_PATH,
                [SECCOMP_RET_ALLOW, SECCOMP_RET_USER_NOTIF],
            )),
            None => block.extend([jump(BPF_JEQ, number, 0, 1), ret(SECCOMP_RET_USER_NOTIF)]),
        }
    }
    block
}

/// What becomes of one call, by whether a flag is set.
fn unless_flagged(number: u32, flags: u32, flag: i32, [set, unset]: [u32; 2]) -> [sock_filter; 5] {
    [
        jump(BPF_JEQ, number, 0, 4),
        load(argument(flags)),
        jump(BPF_JSET, flag.cast_unsigned(), 0, 1),
        ret(set),
        ret(unset),
    ]
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
    use crate::linux::supervisor::abi::AUDIT_ARCH_I386;

    const X32: u32 = 0x4000_0000;

    /// What the kernel would do with a call: just enough of BPF for the program above.
    fn run(arch: u32, number: u32, args: [u32; 6]) -> u32 {
        run_with(CONNECTS, arch, number, args)
    }

    const CONNECTS: Wanted = Wanted {
        connects: true,
        paths: false,
    };
    const PATHS: Wanted = Wanted {
        connects: false,
        paths: true,
    };

    fn run_with(wanted: Wanted, arch: u32, number: u32, args: [u32; 6]) -> u32 {
        let program = program(wanted).unwrap();
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
                code if code == BPF_ALU | BPF_AND | BPF_K => accumulator &= i.k,
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

    #[test]
    fn calls_on_paths_are_notified_where_they_are_wanted() {
        for (arch, number) in [
            (X86_64, 2),
            (X86_64, 257),
            (X86_64, 332),
            (X86_64, 82),
            (X86_64, X32 + 82),
            (AUDIT_ARCH_I386, 5),
            (AUDIT_ARCH_I386, 295),
        ] {
            assert_eq!(
                run_with(PATHS, arch, number, [0; 6]),
                SECCOMP_RET_USER_NOTIF
            );
            assert_eq!(run(arch, number, [0; 6]), SECCOMP_RET_ALLOW);
        }
        assert_eq!(run_with(PATHS, X86_64, 42, [0; 6]), SECCOMP_RET_ALLOW);
    }

    #[test]
    fn what_is_asked_of_a_descriptor_passes() {
        for (number, flags) in [(262, 3), (332, 2)] {
            let mut args = [0; 6];
            assert_eq!(
                run_with(PATHS, X86_64, number, args),
                SECCOMP_RET_USER_NOTIF
            );
            args[flags] = 0x1000;
            assert_eq!(run_with(PATHS, X86_64, number, args), SECCOMP_RET_ALLOW);
        }
    }
}
