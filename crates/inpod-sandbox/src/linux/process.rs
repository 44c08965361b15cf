//! What `/proc` tells of a process.

/// What is told of a process beside its number in `/proc`.
pub(super) struct Process {
    pub(super) parent: u32,
    /// Its number in its own PID namespace.
    pub(super) own: u32,
    /// And no thread of the kernel.
    pub(super) is_program: bool,
}

impl Process {
    /// Of a thread's number, what is told of its process.
    pub(super) fn of(number: u32) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{number}/status")).ok()?;
        let last = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field));
            line?.split_whitespace().last()?.parse().ok()
        };
        Some(Self {
            parent: last("PPid:")?,
            own: last("NSpid:").unwrap_or(number),
            is_program: status.contains("\nVmSize:"),
        })
    }
}
