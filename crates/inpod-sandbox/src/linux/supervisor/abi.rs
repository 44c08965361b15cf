//! The numbers that the system calls to be seen have in each architecture's tables.

/// The system calls of one architecture that matter here, by number.
pub(super) struct Abi {
    /// `AUDIT_ARCH_*`.
    pub(super) arch: u32,
    pub(super) connect: &'static [u32],
    /// Calls that take `MSG_FASTOPEN`, with the position of their flags.
    pub(super) send: &'static [(u32, u32)],
    /// `socketcall`, behind which 32-bit x86 has all of them.
    pub(super) socketcall: Option<u32>,
    /// In parts.
    pub(super) paths: &'static [&'static [(u32, PathCallKind)]],
}

/// A call on a path, by its name in the kernel, or by what those have in common that take the same arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathCallKind {
    Open,
    OpenAt,
    OpenAt2,
    Stat,
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "in the table of x86-64 alone")
    )]
    LStat,
    NewFStatAt,
    Statx,
    ReadLink,
    ReadLinkAt,
    Access,
    FAccessAt,
    FAccessAt2,
    ChDir,
    Creat,
    Rename,
    RenameAt,
    Link,
    LinkAt,
    /// Of a file or a directory (`rmdir`).
    Unlink,
    UnlinkAt,
    /// Of a directory or a node.
    Make,
    MakeAt,
    SymLink,
    SymLinkAt,
    /// Of a file's contents, mode, owner, times or extended attributes.
    Change,
    /// Without following a link (`lchown`, `lsetxattr`).
    LChange,
    ChangeAt,
    /// With `AT_*` flags in the fourth argument.
    ChangeAtFlags,
    FChOwnAt,
}

use PathCallKind::{
    Access, ChDir, Change, ChangeAt, ChangeAtFlags, Creat, FAccessAt, FAccessAt2, FChOwnAt,
    LChange, Link, LinkAt, Make, MakeAt, NewFStatAt, Open, OpenAt, OpenAt2, ReadLink, ReadLinkAt,
    Rename, RenameAt, Statx, SymLink, SymLinkAt, Unlink, UnlinkAt,
};
// In the table of x86-64 alone.
#[cfg(target_arch = "x86_64")]
use PathCallKind::{LStat, Stat};

impl PathCallKind {
    /// Whether the first argument is the directory that a path begins in.
    pub(super) fn takes_directory(self) -> bool {
        matches!(
            self,
            OpenAt
                | OpenAt2
                | NewFStatAt
                | Statx
                | ReadLinkAt
                | FAccessAt
                | FAccessAt2
                | RenameAt
                | LinkAt
                | UnlinkAt
                | MakeAt
                | ChangeAt
                | ChangeAtFlags
                | FChOwnAt
        )
    }

    /// The position of the flags by which a call is about the descriptor itself (`AT_EMPTY_PATH`), which is what C libraries make of
    /// `fstat`.
    pub(super) fn descriptor_flags(self) -> Option<u32> {
        match self {
            NewFStatAt => Some(3),
            Statx => Some(2),
            _ => None,
        }
    }
}

pub(super) const AUDIT_ARCH_I386: u32 = 0x4000_0003;
pub(super) const I386_SOCKETCALL: i32 = 102;

/// Numbers that are the same in every table: since Linux 5.1 all get theirs together.
const NEW: &[(u32, PathCallKind)] = &[
    (437, OpenAt2),
    (439, FAccessAt2),
    (452, ChangeAtFlags),
    (463, ChangeAt),
    (466, ChangeAt),
];

/// Numbers that 32-bit x86 and ARM have from when there were few.
const OLD_32: &[(u32, PathCallKind)] = &[
    (5, Open),
    (8, Creat),
    (9, Link),
    (10, Unlink),
    (12, ChDir),
    (14, Make),
    (15, Change),
    (16, LChange),
    (33, Access),
    (38, Rename),
    (39, Make),
    (40, Unlink),
    (83, SymLink),
    (85, ReadLink),
    (92, Change),
    (182, Change),
    (193, Change),
    (198, LChange),
    (212, Change),
    (226, Change),
    (227, LChange),
    (235, Change),
    (236, LChange),
    (412, ChangeAtFlags),
];

/// A bit of numbers that says nothing of the call: that of the x32 ABI, which has x86-64's architecture, its numbers, and some above 511.
pub(super) const IGNORED: u32 = 0x4000_0000;

#[cfg(target_arch = "x86_64")]
pub(super) const ABIS: &[Abi] = &[
    Abi {
        arch: 0xC000_003E,
        connect: &[42],
        send: &[(44, 3), (46, 2), (307, 3), (518, 2), (538, 3)],
        socketcall: None,
        paths: &[
            NEW,
            &[
                (2, Open),
                (4, Stat),
                (6, LStat),
                (21, Access),
                (76, Change),
                (80, ChDir),
                (82, Rename),
                (83, Make),
                (84, Unlink),
                (85, Creat),
                (86, Link),
                (87, Unlink),
                (88, SymLink),
                (89, ReadLink),
                (90, Change),
                (92, Change),
                (94, LChange),
                (132, Change),
                (133, Make),
                (188, Change),
                (189, LChange),
                (197, Change),
                (198, LChange),
                (235, Change),
                (257, OpenAt),
                (258, MakeAt),
                (259, MakeAt),
                (260, FChOwnAt),
                (261, ChangeAt),
                (262, NewFStatAt),
                (263, UnlinkAt),
                (264, RenameAt),
                (265, LinkAt),
                (266, SymLinkAt),
                (267, ReadLinkAt),
                (268, ChangeAt),
                (269, FAccessAt),
                (280, ChangeAtFlags),
                (316, RenameAt),
                (332, Statx),
            ],
        ],
    },
    Abi {
        arch: AUDIT_ARCH_I386,
        connect: &[362],
        send: &[(369, 3), (370, 2), (345, 3)],
        socketcall: Some(I386_SOCKETCALL.cast_unsigned()),
        paths: &[
            NEW,
            OLD_32,
            &[
                (30, Change),
                (271, Change),
                (295, OpenAt),
                (296, MakeAt),
                (297, MakeAt),
                (298, FChOwnAt),
                (299, ChangeAt),
                (301, UnlinkAt),
                (302, RenameAt),
                (303, LinkAt),
                (304, SymLinkAt),
                (305, ReadLinkAt),
                (306, ChangeAt),
                (307, FAccessAt),
                (320, ChangeAtFlags),
                (353, RenameAt),
                (383, Statx),
            ],
        ],
    },
];

#[cfg(target_arch = "aarch64")]
pub(super) const ABIS: &[Abi] = &[
    Abi {
        arch: 0xC000_00B7,
        connect: &[203],
        send: &[(206, 3), (211, 2), (269, 3)],
        socketcall: None,
        paths: &[
            NEW,
            &[
                (5, Change),
                (6, LChange),
                (14, Change),
                (15, LChange),
                (33, MakeAt),
                (34, MakeAt),
                (35, UnlinkAt),
                (36, SymLinkAt),
                (37, LinkAt),
                (38, RenameAt),
                (45, Change),
                (48, FAccessAt),
                (49, ChDir),
                (53, ChangeAt),
                (54, FChOwnAt),
                (56, OpenAt),
                (78, ReadLinkAt),
                (79, NewFStatAt),
                (88, ChangeAtFlags),
                (276, RenameAt),
                (291, Statx),
            ],
        ],
    },
    Abi {
        arch: 0x4000_0028, // 32-bit ARM
        connect: &[283],
        send: &[(290, 3), (296, 2), (374, 3)],
        socketcall: None,
        paths: &[
            NEW,
            OLD_32,
            &[
                (269, Change),
                (322, OpenAt),
                (323, MakeAt),
                (324, MakeAt),
                (325, FChOwnAt),
                (326, ChangeAt),
                (328, UnlinkAt),
                (329, RenameAt),
                (330, LinkAt),
                (331, SymLinkAt),
                (332, ReadLinkAt),
                (333, ChangeAt),
                (334, FAccessAt),
                (348, ChangeAtFlags),
                (382, RenameAt),
                (397, Statx),
            ],
        ],
    },
];

/// Elsewhere the numbers are not known here, and there is no sandbox.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) const ABIS: &[Abi] = &[];

/// The call on a path that has this number.
pub(super) fn path_call(arch: u32, number: i32) -> Option<PathCallKind> {
    let abi = ABIS.iter().find(|abi| abi.arch == arch)?;
    let number = number.cast_unsigned() & !IGNORED;
    abi.paths
        .iter()
        .copied()
        .flatten()
        .find_map(|(path_call, kind)| (*path_call == number).then_some(*kind))
}

#[cfg(all(test, any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use nix::libc;

    use super::*;

    #[test]
    fn the_numbers_are_the_kernels() {
        let native = &ABIS[0];
        let mut expected = vec![
            (libc::SYS_openat, OpenAt),
            (libc::SYS_openat2, OpenAt2),
            (libc::SYS_newfstatat, NewFStatAt),
            (libc::SYS_statx, Statx),
            (libc::SYS_readlinkat, ReadLinkAt),
            (libc::SYS_faccessat, FAccessAt),
            (libc::SYS_faccessat2, FAccessAt2),
            (libc::SYS_chdir, ChDir),
            (libc::SYS_renameat, RenameAt),
            (libc::SYS_renameat2, RenameAt),
            (libc::SYS_linkat, LinkAt),
            (libc::SYS_unlinkat, UnlinkAt),
            (libc::SYS_mkdirat, MakeAt),
            (libc::SYS_mknodat, MakeAt),
            (libc::SYS_symlinkat, SymLinkAt),
            (libc::SYS_truncate, Change),
            (libc::SYS_setxattr, Change),
            (libc::SYS_removexattr, Change),
            (libc::SYS_lsetxattr, LChange),
            (libc::SYS_lremovexattr, LChange),
            (libc::SYS_fchmodat, ChangeAt),
            (libc::SYS_fchmodat2, ChangeAtFlags),
            (libc::SYS_utimensat, ChangeAtFlags),
            (libc::SYS_fchownat, FChOwnAt),
            // setxattrat and removexattrat, which libc does not know yet.
            (463, ChangeAt),
            (466, ChangeAt),
        ];
        #[cfg(target_arch = "x86_64")]
        expected.extend([
            (libc::SYS_open, Open),
            (libc::SYS_creat, Creat),
            (libc::SYS_stat, Stat),
            (libc::SYS_lstat, LStat),
            (libc::SYS_readlink, ReadLink),
            (libc::SYS_access, Access),
            (libc::SYS_rename, Rename),
            (libc::SYS_link, Link),
            (libc::SYS_unlink, Unlink),
            (libc::SYS_rmdir, Unlink),
            (libc::SYS_mkdir, Make),
            (libc::SYS_mknod, Make),
            (libc::SYS_symlink, SymLink),
            (libc::SYS_chmod, Change),
            (libc::SYS_chown, Change),
            (libc::SYS_utime, Change),
            (libc::SYS_utimes, Change),
            (libc::SYS_lchown, LChange),
            (libc::SYS_futimesat, ChangeAt),
        ]);
        let mut expected: Vec<_> = expected
            .into_iter()
            .map(|(number, kind)| (u32::try_from(number).unwrap(), kind))
            .collect();
        expected.sort_by_key(|(number, _)| *number);
        let mut listed = native.paths.concat();
        listed.sort_by_key(|(number, _)| *number);
        assert_eq!(listed, expected);
        let send = [libc::SYS_sendto, libc::SYS_sendmsg, libc::SYS_sendmmsg];
        for (number, (listed, _)) in send.into_iter().zip(native.send) {
            assert_eq!(u32::try_from(number).unwrap(), *listed);
        }
        assert_eq!(native.connect, [u32::try_from(libc::SYS_connect).unwrap()]);
    }
}
