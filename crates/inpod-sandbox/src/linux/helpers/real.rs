//! The files on the machine itself: made where nothing was, and taken away again.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::plan::Plan;
use crate::linux::channel::{Failure, Stage};
use crate::linux::place;
use crate::{Error, View};

use crate::linux::etc::hosts;
/// With the number of the run's process behind it.
const BEGIN: &str = "# these lines go when inpod ends: ";
const END: &str = "# end of inpod's lines";

/// In a volume's directory: says whose it is, and which directories were made for it, should nobody be left to take them away.
const MARK: &str = "..inpod";

/// What is made, as who makes it and who clears up after them both know it.
#[derive(Debug, Clone)]
pub(in crate::linux) struct RealFiles {
    volumes: Vec<PathBuf>,
    /// From the outermost in.
    missing: Vec<PathBuf>,
    hosts: Vec<String>,
    /// The process that runs the sandbox.
    run: u32,
}

/// Takes the files away when it is dropped.
#[derive(Debug)]
pub(super) struct Made<'a> {
    files: &'a RealFiles,
    /// The directory of each volume, locked for as long as somebody has it open.
    pub(super) volumes: Vec<OwnedFd>,
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        self.files.clear();
    }
}

impl RealFiles {
    pub(super) fn of(plan: &Plan) -> Self {
        Self {
            volumes: plan.volumes.clone(),
            missing: plan.missing.clone(),
            hosts: plan.etc.hosts.clone(),
            run: plan.real.unwrap_or_default(),
        }
    }

    /// The directories that are not there yet or that a run before made, from the outermost in.
    pub(super) fn missing(view: &View) -> Result<Vec<PathBuf>, Error> {
        let mut all = Vec::new();
        for path in view.volumes.keys() {
            let (existing, missing) = place::resolve(path).map_err(|source| Error::Volume {
                path: path.clone(),
                source,
            })?;
            all.extend(made_before(&existing));
            let mut directory = existing;
            for part in &missing {
                directory.push(part);
                all.push(directory.clone());
            }
        }
        all.sort(); // which puts a directory before what is in it
        all.dedup();
        Ok(all)
    }

    /// Makes them.
    pub(super) fn make(&self) -> Result<Made<'_>, Failure> {
        let volumes = self.take_volumes().inspect_err(|_| self.remove_missing())?;
        let made = Made {
            files: self,
            volumes,
        };
        if !self.hosts.is_empty() {
            let contents = |machine: &str| format!("{}{}", self.block(), without_blocks(machine));
            rewrite(Path::new(hosts::PATH), contents)
                .map_err(Failure::at(Stage::Permission, "add to /etc/hosts"))?;
        }
        Ok(made)
    }

    fn take_volumes(&self) -> Result<Vec<OwnedFd>, Failure> {
        for directory in &self.missing {
            // Other ways show the token to the process alone; this one at least to no other user.
            let private = self
                .volumes
                .iter()
                .any(|path| path.file_name() == directory.file_name());
            let mode = if private { 0o700 } else { 0o755 };
            match fs::DirBuilder::new().mode(mode).create(directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    let what = format!("make the directory {}", directory.display());
                    return Err(Failure::at(Stage::Permission, what)(error));
                }
                _ => {}
            }
        }
        let mut volumes = Vec::new();
        for path in &self.volumes {
            let what = format!("take {} for a volume", path.display());
            let taken = take(path, &self.missing);
            volumes.push(taken.map_err(Failure::at(Stage::Permission, what))?);
        }
        Ok(volumes)
    }

    /// Takes away what is there of them, for who has the lock; what cannot be is said.
    pub(in crate::linux) fn clear(&self) {
        for path in &self.volumes {
            let cleared = empty(path);
            warn(path, cleared);
        }
        self.remove_missing();
        if !self.hosts.is_empty() {
            let block = self.block();
            let contents = |machine: &str| machine.replacen(&block, "", 1);
            warn(
                Path::new(hosts::PATH),
                rewrite(Path::new(hosts::PATH), contents),
            );
        }
    }

    /// As [`RealFiles::clear`], for who does not know whether they were made: not where another run has the lock.
    pub(in crate::linux) fn clear_orphaned(&self) {
        let locks: Vec<File> = self
            .volumes
            .iter()
            .filter_map(|path| lock(path).ok())
            .collect();
        if locks.len() == self.volumes.len() {
            self.clear(); // while they are locked
        } else {
            self.remove_missing();
        }
    }

    fn remove_missing(&self) {
        for directory in self.missing.iter().rev() {
            // Not where somebody else has put something there.
            let _ = fs::remove_dir(directory);
        }
    }

    fn block(&self) -> String {
        format!("{BEGIN}{}\n{}\n{END}\n", self.run, self.hosts.join("\n"))
    }
}

/// Locks what is at a path now: another run may take it away while its lock is waited for.
fn lock(path: &Path) -> io::Result<File> {
    loop {
        let directory = File::open(path)?;
        match directory.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let why = "another `inpod run` of this machine has it";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
            }
            Err(TryLockError::Error(error)) => return Err(error),
            Ok(()) => {}
        }
        let (held, there) = (directory.metadata()?, fs::metadata(path)?);
        if (held.dev(), held.ino()) == (there.dev(), there.ino()) {
            return Ok(directory);
        }
    }
}

/// Locks a directory that is empty, or that a run which was killed has left.
fn take(path: &Path, made: &[PathBuf]) -> io::Result<OwnedFd> {
    let directory = lock(path)?;
    if path.join(MARK).exists() {
        empty(path)?;
    } else if fs::read_dir(path)?.next().is_some() {
        let why = "a service account is there that is not inpod's";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    let mut mark = File::create_new(path.join(MARK))?;
    for directory in made {
        mark.write_all(directory.as_os_str().as_bytes())?;
        mark.write_all(b"\0")?;
    }
    Ok(directory.into())
}

/// The directories on the way to a volume, itself included, that were made for a run which had it.
fn made_before(volume: &Path) -> Vec<PathBuf> {
    let mark = fs::read(volume.join(MARK)).unwrap_or_default();
    let made = mark.split(|byte| *byte == 0).map(OsStr::from_bytes);
    made.map(PathBuf::from)
        .filter(|made| !made.as_os_str().is_empty() && volume.starts_with(made))
        .collect()
}

/// Takes away everything in a volume's directory, if it is one of ours.
fn empty(path: &Path) -> io::Result<()> {
    if !path.join(MARK).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name() == MARK {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    // Last, so that what stays of a removal that was cut short is still ours.
    fs::remove_file(path.join(MARK))
}

/// One at a time, and in place, because a container's `/etc/hosts` is mounted and cannot be replaced; what is longer is written before anything is cut.
fn rewrite(path: &Path, contents: impl Fn(&str) -> String) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    file.lock()?;
    let machine = io::read_to_string(&file)?;
    let new = contents(&machine);
    if new == machine {
        return Ok(());
    }
    file.write_all_at(new.as_bytes(), 0)?;
    file.set_len(u64::try_from(new.len()).unwrap_or(u64::MAX))
}

/// Without the lines of runs that have ended, and that nobody could clear up after.
fn without_blocks(machine: &str) -> String {
    let mut left = false;
    let mut lines = String::with_capacity(machine.len());
    for line in machine.split_inclusive('\n') {
        let text = line.trim_end();
        if let Some(run) = text.strip_prefix(BEGIN) {
            left = !Path::new("/proc").join(run).exists();
        }
        if !left {
            lines.push_str(line);
        }
        left &= text != END;
    }
    lines
}

fn warn(path: &Path, cleared: io::Result<()>) {
    match cleared {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(
                "what was put at {} may still be there: {error}",
                path.display()
            );
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_run_that_was_killed_go_and_no_others() {
        let machine = "127.0.0.1 localhost\n";
        let block = |run| format!("{BEGIN}{run}\n127.96.0.1\tkubernetes\n{END}\n");
        // No process has this number.
        assert_eq!(
            without_blocks(&format!("{}{machine}", block(u32::MAX))),
            machine
        );
        let ours = format!("{}{machine}", block(std::process::id()));
        assert_eq!(without_blocks(&ours), ours);
        assert_eq!(without_blocks(machine), machine);
        assert_eq!(without_blocks("no end of line"), "no end of line");
    }

    #[test]
    fn a_file_is_rewritten_in_place_longer_and_shorter() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "old\n").unwrap();
        rewrite(file.path(), |old| format!("new\n{old}")).unwrap();
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "new\nold\n");
        rewrite(file.path(), |old| old.replace("new\n", "")).unwrap();
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "old\n");
    }

    #[test]
    fn who_takes_the_place_of_a_killed_run_knows_what_was_made_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let outer = folder.path().join("secrets");
        let volume = outer.join("serviceaccount");
        fs::create_dir_all(&volume).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        drop(take(&volume, &[outer.clone(), volume.clone(), elsewhere]).unwrap());
        let mut view = View::default();
        view.volumes.insert(volume.clone(), crate::Files::new());
        assert_eq!(RealFiles::missing(&view).unwrap(), [outer, volume]);
    }

    #[test]
    fn a_directory_is_taken_once_and_never_from_somebody_else() {
        let directory = tempfile::tempdir().unwrap();
        let first = take(directory.path(), &[]).unwrap();
        assert!(take(directory.path(), &[]).is_err(), "it is locked");
        drop(first);
        fs::write(directory.path().join("token"), "left").unwrap();
        let again = take(directory.path(), &[]).unwrap();
        assert!(!directory.path().join("token").exists());
        drop(again);
        fs::remove_file(directory.path().join(MARK)).unwrap();
        fs::write(directory.path().join("token"), "a real Pod's").unwrap();
        assert!(take(directory.path(), &[]).is_err());
        assert!(directory.path().join("token").exists());
    }
}
