use std::error::Error;
use std::process::ExitCode;

/// Why a command ended without having done its work: a sentence for people and an exit code for scripts.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
    /// The signal that asked for it.
    #[cfg(feature = "cluster")]
    signal: Option<i32>,
}

impl Failure {
    /// A failure of ours or of the world's: exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: 1,
            #[cfg(feature = "cluster")]
            signal: None,
        }
    }

    /// The end that a signal asked for: nothing is printed, and the process dies of it.
    #[cfg(all(feature = "cluster", target_os = "linux"))]
    pub(crate) fn interrupted(signal: i32) -> Self {
        Self {
            signal: Some(signal),
            ..Self::new("interrupted")
        }
    }

    /// The command line asks for what cannot be: exit code 2, as clap's own.
    #[cfg(feature = "cluster")]
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(message).with_code(2)
    }

    /// The same failure under another exit code.
    #[cfg(feature = "cluster")]
    pub(crate) fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// The same failure, with what was being done in front.
    #[cfg(feature = "cluster")]
    pub(crate) fn while_(self, doing: impl std::fmt::Display) -> Self {
        Self {
            message: format!("{doing}: {}", self.message),
            ..self
        }
    }

    /// The same failure, with another sentence on a line of its own.
    #[cfg(feature = "cluster")]
    pub(crate) fn and(self, sentence: &str) -> Self {
        Self {
            message: format!("{}\n{sentence}", self.message),
            ..self
        }
    }

    /// Prints it, and answers with its exit code.
    #[expect(clippy::print_stderr, reason = "this is where errors are printed")]
    pub(crate) fn report(self) -> ExitCode {
        #[cfg(feature = "cluster")]
        if let Some(signal) = self.signal {
            return crate::exit::of_signal(signal);
        }
        eprintln!("error: {self}");
        self.code.into()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// The whole chain of sources in one line, each said once.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        Self::new(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read the file")]
        struct Outer(#[source] std::io::Error);

        let failure = Failure::from(Outer(std::io::Error::other("disk on fire")));
        assert_eq!(failure.message, "cannot read the file: disk on fire");
        assert_eq!(failure.code, 1);
    }
}
