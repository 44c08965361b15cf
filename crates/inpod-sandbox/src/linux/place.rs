//! Where a path leads on this machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// As many symbolic links as the kernel follows in one path.
pub(super) const MAX_LINKS: usize = 40;

/// The deepest directory of a path that exists and can be seen, without symbolic links, and what is missing below it.
pub(super) fn resolve(path: &Path) -> io::Result<(PathBuf, PathBuf)> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let mut missing = Vec::new();
        let mut ancestor = path.as_path();
        let existing = loop {
            match fs::canonicalize(ancestor) {
                Ok(existing) => break existing,
                Err(error) if is_out_of_reach(&error) => {}
                Err(error) => return Err(error),
            }
            let (Some(name), Some(parent)) = (ancestor.file_name(), ancestor.parent()) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            missing.push(name.to_owned());
            ancestor = parent;
        };
        // A link that leads to nothing is missing too, but what it leads to is what has to be made.
        let missing: PathBuf = missing.into_iter().rev().collect();
        let mut components = missing.components();
        let Some(first) = components.next() else {
            return Ok((existing, missing));
        };
        match fs::read_link(existing.join(first)) {
            Ok(target) => path = existing.join(target).join(components.as_path()),
            Err(_) => return Ok((existing, missing)),
        }
    }
    Err(Errno::LOOP.into())
}

/// What who asks cannot see is as good as not there.
pub(super) fn is_out_of_reach(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
    )
}
