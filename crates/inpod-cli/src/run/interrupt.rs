//! Signals that ask for an end while no process is there to hand them to: before CMD starts and after it ended.

#[cfg(target_os = "linux")]
pub(super) use linux::unless_interrupted;

/// What the task comes to: elsewhere no signal is blocked, so that each does what it always does.
#[cfg(not(target_os = "linux"))]
pub(super) async fn unless_interrupted<T>(
    task: impl Future<Output = Result<T, crate::failure::Failure>>,
) -> Result<T, crate::failure::Failure> {
    task.await
}

#[cfg(target_os = "linux")]
mod linux {
    use nix::sys::signal::{SigSet, Signal};
    use nix::sys::signalfd::{SfdFlags, SignalFd};
    use tokio::io::unix::AsyncFd;

    use crate::failure::Failure;

    /// What a person or a supervisor sends to end a program. [`inpod_sandbox::block_signals`] blocks them.
    const ENDS: [Signal; 4] = [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
    ];

    /// What the task comes to, unless one of the signals comes first.
    pub(crate) async fn unless_interrupted<T>(
        task: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let signals: SigSet = ENDS
            .into_iter()
            .filter(|signal| !is_ignored(&status, *signal))
            .collect();
        let signals =
            SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        #[expect(
            deprecated,
            reason = "the safe one; a SignalFd owns its descriptor, which is all that the other asks for"
        )]
        let signals = AsyncFd::new(signals)?;
        let interrupted = async {
            loop {
                let mut ready = signals.readable().await?;
                match signals.get_ref().read_signal()? {
                    Some(signal) => return Ok(signal.ssi_signo.cast_signed()),
                    None => ready.clear_ready(),
                }
            }
        };
        tokio::select! {
            ended = task => ended,
            signal = interrupted => match signal {
                Ok(signal) => Err(Failure::interrupted(signal)),
                Err::<_, std::io::Error>(error) => Err(error.into()),
            },
        }
    }

    /// Whether a signal is ignored, as under nohup and in a script's background. One that is blocked is queued all the same.
    fn is_ignored(status: &str, signal: Signal) -> bool {
        status
            .lines()
            .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok())
            .is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_ignored_signal_is_known_from_the_mask() {
            let status = "Name:\tinpod\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n";
            assert!(is_ignored(status, Signal::SIGHUP));
            assert!(!is_ignored(status, Signal::SIGINT));
            assert!(!is_ignored("", Signal::SIGHUP));
        }
    }
}
