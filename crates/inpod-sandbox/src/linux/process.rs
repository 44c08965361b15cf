//! What `/proc` tells of a process.

/// The parent of a process, by the number of one of its threads.
pub(super) fn parent(number: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{number}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
    line.trim().parse().ok()
}
