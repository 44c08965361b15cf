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
    pub(super) paths: &'static [(u32, PathCallKind)],
}

/// A call on a path, by its name in the kernel, or by what those have in common that take the same arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathCallKind {
    Open,
    OpenAt,
    OpenAt2,
    Stat,
    LStat,
    NewFStatAt,
    Statx,
    ReadLink,
    ReadLinkAt,
    Access,
    FAccessAt,
    FAccessAt2,
    ChDir,
    Rename,
    RenameAt,
    Unlink,
    UnlinkAt,
    /// Of a file's contents, mode, owner or times.
    Change,
    LChange,
    ChangeAt,
    /// With `AT_*` flags in the fourth argument.
    ChangeAtFlags,
    FChOwnAt,
}

use PathCallKind::{
    Access, ChDir, Change, ChangeAt, ChangeAtFlags, FAccessAt, FAccessAt2, FChOwnAt, LChange,
    LStat, NewFStatAt, Open, OpenAt, OpenAt2, ReadLink, ReadLinkAt, Rename, RenameAt, Stat, Statx,
    Unlink, UnlinkAt,
};

impl PathCallKind {
    /// Whether the first argument is the directory that a path begins in.
    pub(super) fn takes_directory(self) -> bool {
        !matches!(
            self,
            Open | Stat | LStat | ReadLink | Access | ChDir | Rename | Unlink | Change | LChange
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

/// The bit of the x32 ABI, which shares x86-64's architecture.
#[cfg(target_arch = "x86_64")]
pub(super) const X32: u32 = 0x4000_0000;

#[cfg(target_arch = "x86_64")]
pub(super) const ABIS: &[Abi] = &[
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
        paths: &[
            (2, Open),
            (4, Stat),
            (6, LStat),
            (21, Access),
            (76, Change),
            (80, ChDir),
            (82, Rename),
            (84, Unlink),
            (87, Unlink),
            (89, ReadLink),
            (90, Change),
            (92, Change),
            (94, LChange),
            (132, Change),
            (235, Change),
            (257, OpenAt),
            (260, FChOwnAt),
            (261, ChangeAt),
            (262, NewFStatAt),
            (263, UnlinkAt),
            (264, RenameAt),
            (267, ReadLinkAt),
            (268, ChangeAt),
            (269, FAccessAt),
            (280, ChangeAtFlags),
            (316, RenameAt),
            (332, Statx),
            (437, OpenAt2),
            (439, FAccessAt2),
            (452, ChangeAtFlags),
        ],
    },
    Abi {
        arch: AUDIT_ARCH_I386,
        connect: &[362],
        send: &[(369, 3), (370, 2), (345, 3)],
        socketcall: Some(I386_SOCKETCALL.cast_unsigned()),
        paths: &[
            (5, Open),
            (10, Unlink),
            (12, ChDir),
            (15, Change),
            (16, LChange),
            (30, Change),
            (33, Access),
            (38, Rename),
            (40, Unlink),
            (85, ReadLink),
            (92, Change),
            (182, Change),
            (193, Change),
            (198, LChange),
            (212, Change),
            (271, Change),
            (295, OpenAt),
            (298, FChOwnAt),
            (299, ChangeAt),
            (301, UnlinkAt),
            (302, RenameAt),
            (305, ReadLinkAt),
            (306, ChangeAt),
            (307, FAccessAt),
            (320, ChangeAtFlags),
            (353, RenameAt),
            (383, Statx),
            (412, ChangeAtFlags),
            (437, OpenAt2),
            (439, FAccessAt2),
            (452, ChangeAtFlags),
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
            (35, UnlinkAt),
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
            (437, OpenAt2),
            (439, FAccessAt2),
            (452, ChangeAtFlags),
        ],
    },
    Abi {
        arch: 0x4000_0028, // 32-bit ARM
        connect: &[283],
        send: &[(290, 3), (296, 2), (374, 3)],
        socketcall: None,
        paths: &[
            (5, Open),
            (10, Unlink),
            (12, ChDir),
            (15, Change),
            (16, LChange),
            (33, Access),
            (38, Rename),
            (40, Unlink),
            (85, ReadLink),
            (92, Change),
            (182, Change),
            (193, Change),
            (198, LChange),
            (212, Change),
            (269, Change),
            (322, OpenAt),
            (325, FChOwnAt),
            (326, ChangeAt),
            (328, UnlinkAt),
            (329, RenameAt),
            (332, ReadLinkAt),
            (333, ChangeAt),
            (334, FAccessAt),
            (348, ChangeAtFlags),
            (382, RenameAt),
            (397, Statx),
            (412, ChangeAtFlags),
            (437, OpenAt2),
            (439, FAccessAt2),
            (452, ChangeAtFlags),
        ],
    },
];

/// Elsewhere the numbers are not known here, and there is no sandbox.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) const ABIS: &[Abi] = &[];

/// The call on a path that has this number.
pub(super) fn path_call(arch: u32, number: i32) -> Option<PathCallKind> {
    let abi = ABIS.iter().find(|abi| abi.arch == arch)?;
    let number = number.cast_unsigned();
    abi.paths
        .iter()
        .find_map(|(path_call, kind)| (*path_call == number).then_some(*kind))
}
