use std::fmt;

/// A way of showing a process its view, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Way {
    /// Mounts of its own, in a mount and a PID namespace, and for who may not mount in a user namespace too.
    Namespaces,
    /// A seccomp listener that answers what the process asks of the paths it is to see. Needs no privilege.
    Listener,
    /// The listener of the run around this one, which answers for this one too: Linux allows no second. Needs no privilege.
    Around,
    /// Files on the machine itself, cleared away afterwards. Needs the right to write them.
    RealFiles,
}

impl Way {
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nothing is tried there")
    )]
    pub(crate) const ALL: [Self; 4] = [
        Self::Namespaces,
        Self::Listener,
        Self::Around,
        Self::RealFiles,
    ];

    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "nothing is shown there")
    )]
    pub(crate) fn limits(self) -> &'static [&'static str] {
        match self {
            Self::Namespaces => &[],
            Self::Listener | Self::Around => &[
                "the service account's files can be read, but their folder can be neither listed nor entered",
                "setuid programs (sudo, ping) lose their privilege",
                "your own kubeconfig is out of sight by its path, not through links, /proc or io_uring",
                "32-bit programs that ask with stat64 do not see the files",
                "other programs of this user are in sight",
            ],
            Self::RealFiles => &[
                "the service account's files are on the machine itself, for every program of this user to see, until this ends",
                "a second such run finds their place taken",
                "your own kubeconfig is in sight, and a sidecar that is a program can have no files that CMD has not",
                "of the cluster's names only the API server's are known",
                "other programs of this user are in sight",
            ],
        }
    }
}

/// What [`check`](crate::check) found out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checked {
    /// The way that would be taken.
    pub way: Way,
    /// What would not be as in a Pod, as [`Sandbox::limits`](crate::Sandbox::limits) says it.
    pub limits: Vec<&'static str>,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "namespaces of its own",
            Self::Listener => "a seccomp listener, without namespaces",
            Self::Around => "the seccomp listener of the run around this one",
            Self::RealFiles => "files on the machine itself",
        })
    }
}
