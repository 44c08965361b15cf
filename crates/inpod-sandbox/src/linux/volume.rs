//! A projected volume in the kubelet's layout, and new contents by one rename.
//!
//! The files live in a directory named after the time, `..data` is a symbolic link to it, and every visible name one to
//! `..data/NAME`: replacing `..data` replaces all files at once
//! (`pkg/volume/util/atomic_writer.go` in Kubernetes).

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::{
    AtFlags, Dir, Mode, OFlags, fchmod, mkdirat, openat, readlinkat, renameat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::Files;

pub(super) const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";

/// How long a replaced directory stays for readers that have followed `..data` but not yet opened the file. The kubelet's goes at
/// once, so that such a reader finds nothing.
const GRACE: Duration = Duration::from_secs(10);

/// A volume by its root directory, which nobody else writes to.
#[derive(Debug)]
pub(super) struct Volume {
    root: OwnedFd,
    current: Option<(String, Files)>,
    replaced: Vec<(Instant, String)>,
}

impl Volume {
    /// An empty directory to become a volume.
    pub(super) fn new(root: OwnedFd) -> Self {
        Self {
            root,
            current: None,
            replaced: Vec::new(),
        }
    }

    /// Makes the volume contain these files and no others. Nothing is written when it does already.
    pub(super) fn write(&mut self, files: &Files) -> io::Result<()> {
        if let Some(name) = files.keys().find(|name| !is_file_name(name)) {
            let message = format!("{name:?} cannot be the name of a file in a volume");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if self
            .current
            .as_ref()
            .is_some_and(|(_, current)| current == files)
        {
            return Ok(());
        }
        let directory = self.make_directory()?;
        if let Err(error) = self.publish(&directory, files) {
            // A full disk must not fill up further.
            let _ = self.remove(&directory);
            return Err(error);
        }
        let old = self.current.replace((directory, files.clone()));
        self.link_names(files, old.as_ref().map(|(_, files)| files))?;
        if let Some((name, _)) = old {
            self.replaced.push((Instant::now(), name));
        }
        self.remove_replaced()
    }

    fn make_directory(&self) -> io::Result<String> {
        for name in directory_names() {
            match mkdirat(&self.root, &name, Mode::from_raw_mode(0o755)) {
                Ok(()) => {}
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error.into()),
            }
            let directory = self.open_directory(&name)?;
            fchmod(directory, Mode::from_raw_mode(0o755))?; // whatever the umask took
            return Ok(name);
        }
        Err(Errno::EXIST.into())
    }

    fn publish(&self, directory: &str, files: &Files) -> io::Result<()> {
        let fd = self.open_directory(directory)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        for (name, contents) in files {
            let file = openat(&fd, name, flags, Mode::from_raw_mode(0o644))?;
            fchmod(&file, Mode::from_raw_mode(0o644))?;
            File::from(file).write_all(contents)?;
        }
        self.unlink(NEW_DATA, AtFlags::empty())?;
        symlinkat(directory, &self.root, NEW_DATA)?;
        renameat(&self.root, NEW_DATA, &self.root, DATA)?;
        Ok(())
    }

    /// The names a reader sees: after the data they lead to is there, and gone only after that is.
    fn link_names(&self, files: &Files, old: Option<&Files>) -> io::Result<()> {
        for name in files.keys() {
            match readlinkat(&self.root, name, Vec::new()) {
                Ok(_) => {}
                Err(Errno::NOENT) => symlinkat(format!("{DATA}/{name}"), &self.root, name)?,
                Err(error) => return Err(error.into()),
            }
        }
        for name in old
            .into_iter()
            .flat_map(Files::keys)
            .filter(|name| !files.contains_key(*name))
        {
            self.unlink(name, AtFlags::empty())?;
        }
        Ok(())
    }

    fn remove_replaced(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let (keep, remove): (Vec<_>, Vec<_>) = std::mem::take(&mut self.replaced)
            .into_iter()
            .partition(|(since, _)| now.duration_since(*since) < GRACE);
        self.replaced = keep;
        remove.iter().try_for_each(|(_, name)| self.remove(name))
    }

    fn remove(&self, directory: &str) -> io::Result<()> {
        let fd = self.open_directory(directory)?;
        let names: BTreeSet<_> = Dir::read_from(&fd)?
            .filter_map(|entry| Some(entry.ok()?.file_name().to_owned()))
            .filter(|name| name.to_bytes() != b"." && name.to_bytes() != b"..")
            .collect();
        for name in names {
            unlinkat(&fd, &name, AtFlags::empty())?;
        }
        self.unlink(directory, AtFlags::REMOVEDIR)
    }

    fn unlink(&self, name: &str, flags: AtFlags) -> io::Result<()> {
        match unlinkat(&self.root, name, flags) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn open_directory(&self, name: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.root, name, flags, Mode::empty())?)
    }
}

/// Names for a directory with a volume's files, for as long as one is taken.
pub(super) fn directory_names() -> impl Iterator<Item = String> {
    let now = jiff::Timestamp::now();
    let time = now.strftime("..%Y_%m_%d_%H_%M_%S").to_string();
    // The kubelet's suffix is a random number of this size.
    (now.subsec_nanosecond()..).map(move |number| format!("{time}.{number:09}"))
}

/// One path component that does not clash with the layout's own names, which begin with two dots.
pub(super) fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && !name.starts_with("..") && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn volume(directory: &Path) -> Volume {
        Volume::new(File::open(directory).unwrap().into())
    }

    fn files<const N: usize>(files: [(&str, &str); N]) -> Files {
        files
            .map(|(name, contents)| (name.to_owned(), contents.as_bytes().to_owned()))
            .into()
    }

    fn names(directory: &Path) -> Vec<String> {
        let names = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_layout_is_the_kubelets() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        volume(root)
            .write(&files([("token", "a"), ("namespace", "default")]))
            .unwrap();

        let data = fs::read_link(root.join("..data"))
            .unwrap()
            .into_os_string()
            .into_string()
            .unwrap();
        let shape: String = data
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "..0000_00_00_00_00_00.000000000");
        assert_eq!(
            names(root),
            [data.as_str(), "..data", "namespace", "token"].map(str::to_owned)
        );
        assert_eq!(
            fs::read_link(root.join("token")).unwrap(),
            Path::new("..data/token")
        );
        assert_eq!(
            fs::metadata(root.join(&data)).unwrap().permissions().mode() & 0o7777,
            0o755
        );
        assert_eq!(
            fs::metadata(root.join("token"))
                .unwrap()
                .permissions()
                .mode()
                & 0o7777,
            0o644
        );
        assert_eq!(fs::read(root.join("namespace")).unwrap(), b"default");
    }

    #[test]
    fn the_same_files_again_write_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut volume = volume(directory.path());
        volume.write(&files([("token", "a")])).unwrap();
        let before = names(directory.path());
        volume.write(&files([("token", "a")])).unwrap();
        assert_eq!(names(directory.path()), before);
    }

    #[test]
    fn names_come_and_go_with_the_files() {
        let directory = tempfile::tempdir().unwrap();
        let mut volume = volume(directory.path());
        volume.write(&files([("a", "1"), ("b", "1")])).unwrap();
        volume.write(&files([("b", "2"), ("c", "2")])).unwrap();
        let visible: Vec<_> = names(directory.path())
            .into_iter()
            .filter(|name| !name.starts_with(".."))
            .collect();
        assert_eq!(visible, ["b", "c"]);
        assert_eq!(fs::read(directory.path().join("b")).unwrap(), b"2");
    }

    #[test]
    fn a_replaced_directory_goes_after_its_grace() {
        let directory = tempfile::tempdir().unwrap();
        let mut volume = volume(directory.path());
        volume.write(&files([("token", "1")])).unwrap();
        volume.write(&files([("token", "2")])).unwrap();
        assert_eq!(names(directory.path()).len(), 4);
        volume.replaced[0].0 -= GRACE;
        volume.write(&files([("token", "3")])).unwrap();
        assert_eq!(
            names(directory.path()).len(),
            4,
            "the first is gone, the second has its grace"
        );
    }

    #[test]
    fn a_reader_in_the_middle_of_swaps_sees_one_whole_state() {
        let directory = tempfile::tempdir().unwrap();
        let mut volume = volume(directory.path());
        volume
            .write(&files([("token", "0"), ("ca.crt", "0")]))
            .unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut last = 0;
                    while !done.load(Ordering::Relaxed) {
                        let token = fs::read_to_string(directory.path().join("token"))
                            .expect("never missing");
                        let token: u32 = token.parse().expect("never empty or cut");
                        assert!(token >= last);
                        last = token;
                        // Through one resolution of `..data`, all files are of one state.
                        let data = directory
                            .path()
                            .join(fs::read_link(directory.path().join("..data")).unwrap());
                        assert_eq!(
                            fs::read(data.join("token")).unwrap(),
                            fs::read(data.join("ca.crt")).unwrap()
                        );
                    }
                });
            }
            for n in 1..500 {
                let n = n.to_string();
                volume
                    .write(&files([("token", &n), ("ca.crt", &n)]))
                    .unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    }

    #[test]
    fn names_that_leave_the_volume_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["", ".", "..", "..data", "a/b", "../x", "a\0b"] {
            assert!(
                volume(directory.path())
                    .write(&files([(name, "")]))
                    .is_err(),
                "{name:?}"
            );
        }
        assert!(names(directory.path()).is_empty());
    }
}
