//! Keeps a process that has no PID namespace of its own from looking into others, as other containers of a node are kept from it.

use std::fs::File;
use std::io;

use landlock::{
    AccessFs, CompatLevel, Compatible as _, PathBeneath, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, Scope,
};

/// Puts this process and all it starts into a Landlock domain (Linux 5.19), whatever of the user's other programs there is being
/// outside: a process of a domain reads no memory, descriptors or environment of one that is not of it, by ptrace, in `/proc` or
/// otherwise ([landlock(7)](https://man7.org/linux/man-pages/man7/landlock.7.html), "Ptrace restrictions"), but for maps and
/// environments, which the kernel shows to who has `CAP_PERFMON`.
///
/// Nor does it send them signals (Linux 6.12), of which one makes a core dump.
///
/// A domain has to restrict something in the file system: here, what is then allowed everywhere. Mounting is restricted with it.
pub(super) fn keep() -> io::Result<()> {
    restrict(&File::open("/")?).map_err(io::Error::other)
}

fn restrict(root: &File) -> Result<(), RulesetError> {
    // Where moving to another directory is not allowed by a rule, it is not at all.
    let access = AccessFs::Refer | AccessFs::MakeBlock;
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(access)?
        .set_compatibility(CompatLevel::BestEffort)
        .scope(Scope::Signal)?
        .create()?
        .add_rule(PathBeneath::new(root, access))?
        .no_new_privs(false) // for others to decide
        .restrict_self()?;
    Ok(())
}
