//! What is known of CMD before it starts.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// `S_ISUID` and `S_ISGID`.
const SETID: u32 = 0o6000;

/// What no program keeps inside that an ordinary user starts.
pub(super) const SETUID: &str =
    "setuid programs (sudo, ping) lose their privilege, and snaps do not start";

/// Why CMD cannot do its work inside, where that can be told from its file. Root keeps what it has.
pub(super) fn unfit(program: &OsStr) -> Option<String> {
    if is_root() {
        return None;
    }
    let path = found(program, std::env::var_os("PATH").as_deref())?;
    let shown = program.display();
    let real = path.canonicalize().ok()?;
    if real.file_name() == Some(OsStr::new("snap")) {
        return Some(format!(
            "{shown} is a snap, which needs privileges to start that are not to be had inside; use another package of it"
        ));
    }
    let mode = real.metadata().ok()?.mode();
    (mode & SETID != 0 && mode & 0o111 != 0).then(|| {
        format!("{shown} is a setuid program, and has no privilege inside; run it outside, or inpod as root")
    })
}

/// That there is no such program, as far as can be told without starting it.
pub(super) fn missing(program: &OsStr) -> Option<String> {
    let found = found(program, std::env::var_os("PATH").as_deref());
    let there = found.is_some_and(|file| file.exists());
    (!there).then(|| format!("{}: command not found", program.display()))
}

pub(super) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The file that a program's name means.
fn found(program: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
    if Path::new(program).components().count() > 1 || program == "." {
        return Some(program.into());
    }
    std::env::split_paths(path?)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_path_and_a_path_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tool");
        std::fs::write(&file, "").unwrap();
        let path = std::env::join_paths(["/nowhere".as_ref(), folder.path()]).unwrap();
        assert_eq!(found("tool".as_ref(), Some(&path)), Some(file));
        assert_eq!(found("other".as_ref(), Some(&path)), None);
        assert_eq!(found("./tool".as_ref(), None), Some("./tool".into()));
        assert_eq!(found("tool".as_ref(), None), None);
    }
}
