use std::ffi::{OsStr, OsString};

use crate::SignalMask;

/// A program to run. Its working directory, terminal, user and descriptors are the caller's.
#[derive(Debug, Clone)]
pub struct Command {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) signal_mask: Option<SignalMask>,
}

impl Command {
    /// A program by path, or by a name that is looked for in the PATH of the process's own environment.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            signal_mask: None,
        }
    }

    /// Appends arguments; the program's name, `argv[0]`, is not one of them.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// The signal mask to run under: what [`block_signals`](crate::block_signals) returned. Otherwise that of the thread that
    /// spawns.
    #[must_use]
    pub fn signal_mask(mut self, mask: SignalMask) -> Self {
        self.signal_mask = Some(mask);
        self
    }
}
