//! Keys and tokens in memory, and the user's other programs: the one that is run as if in a Pod, and those of other runs.

/// Lets no other program of the user look into this process, and leaves no core behind. To be called before any secret is there.
///
/// Inside a run that shows its files without namespaces this cannot be had: the supervisor there has to see what we ask for.
#[cfg(target_os = "linux")]
pub(crate) fn keep() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};

    let was_supervised = inpod_sandbox::is_supervised();
    // Fails on no kernel; and there is nothing to be done without.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if was_supervised && !inpod_sandbox::is_supervised() {
        let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
    }
}

/// Elsewhere nothing is run, and what other programs may see is the system's to say.
#[cfg(not(target_os = "linux"))]
pub(crate) fn keep() {}
