//! The admin kubeconfig, as long as its cluster.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use super::holder::Holder;
use crate::failure::Failure;

/// The first line of every kubeconfig we write: what tells ours from somebody else's.
const MARK: &str = "# Written by `inpod cluster`, which removes it when it ends.\n";

/// An admin kubeconfig that is there as long as this value.
#[derive(Debug)]
pub(super) enum Kubeconfig {
    /// A file, removed with us.
    File(KubeconfigFile),
    /// Memory, under a name in `/proc`: nothing is left behind even by kill -9.
    #[cfg(target_os = "linux")]
    Memory(Holder),
}

impl Kubeconfig {
    pub(super) fn write(path: Option<&Path>, text: &str) -> Result<Self, Failure> {
        match path {
            Some(path) => Self::file(path, text),
            None => Self::anonymous(text),
        }
    }

    /// A new file under that name with mode 0600, whole from its first moment.
    fn file(path: &Path, text: &str) -> Result<Self, Failure> {
        let shown = path.display();
        let cannot = |error: io::Error| {
            Failure::from(error).while_(format!("cannot write the kubeconfig {shown}"))
        };
        let path = std::path::absolute(path).map_err(cannot)?;
        let folder = path
            .parent()
            .ok_or_else(|| Failure::usage(format!("{shown} is no file name for a kubeconfig")))?;
        let mut file = tempfile::Builder::new()
            .prefix(".inpod-kubeconfig-")
            .tempfile_in(folder)
            .map_err(cannot)?;
        file.write_all(MARK.as_bytes())
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.flush())
            .map_err(cannot)?;
        // Held for as long as the cluster runs, and from before the file has its name.
        let _ = file.as_file().try_lock();
        let kept = match there(&path).map_err(cannot)? {
            There::Running => {
                return Err(Failure::new(format!(
                    "{shown} is the kubeconfig of an `inpod cluster` that runs; name another file with --kubeconfig"
                )));
            }
            // Locked until it is replaced.
            There::Left(_old) => file.persist(&path),
            There::NotOurs => file.persist_noclobber(&path),
        };
        match kept {
            Ok(file) => {
                let id = id_of(&file.metadata().map_err(cannot)?);
                Ok(Self::File(KubeconfigFile {
                    path,
                    id,
                    _locked: file,
                }))
            }
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Failure::new(format!(
                    "{shown} is there already and inpod did not write it; name another file with --kubeconfig"
                )))
            }
            Err(error) => Err(cannot(error.error)),
        }
    }

    #[cfg(target_os = "linux")]
    fn anonymous(text: &str) -> Result<Self, Failure> {
        Ok(Self::Memory(Holder::start(text)?))
    }

    #[cfg(not(target_os = "linux"))]
    fn anonymous(text: &str) -> Result<Self, Failure> {
        let mut file = tempfile::Builder::new()
            .prefix("inpod-kubeconfig-")
            .tempfile()?;
        file.write_all(text.as_bytes())?;
        let (file, path) = file.keep()?;
        let id = id_of(&file.metadata()?);
        Ok(Self::File(KubeconfigFile {
            path,
            id,
            _locked: file,
        }))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(file) => &file.path,
            #[cfg(target_os = "linux")]
            Self::Memory(holder) => holder.path(),
        }
    }
}

/// Removed on drop if it is still that one: somebody may have put another in its place.
#[derive(Debug)]
pub(super) struct KubeconfigFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
    _locked: File,
}

impl Drop for KubeconfigFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|now| id_of(&now) == self.id) {
            // Nothing is to be done about a directory that has become read-only.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What has the name already.
enum There {
    /// Of a cluster that runs.
    Running,
    /// Of a cluster that was killed. Locked by us.
    Left(File),
    /// Nothing, or what we did not write.
    NotOurs,
}

fn there(path: &Path) -> io::Result<There> {
    loop {
        // To be written, because some file systems (NFS) lock nothing else; and without waiting for who reads from a pipe.
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .custom_flags(nix::libc::O_NONBLOCK);
        let Ok(mut file) = options.open(path) else {
            return Ok(There::NotOurs); // what is wrong with it, the attempt to write says better
        };
        let mut begin = [0; MARK.len()];
        if file.read_exact(&mut begin).is_err() || begin != MARK.as_bytes() {
            return Ok(There::NotOurs);
        }
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(There::Running),
            // Where there are no locks, clusters that run cannot be told from others.
            Err(TryLockError::Error(error)) if !is_without_locks(&error) => return Err(error),
            _ => {}
        }
        // Another cluster may have replaced or removed it before it was locked.
        match fs::metadata(path) {
            Ok(now) if id_of(&now) == id_of(&file.metadata()?) => return Ok(There::Left(file)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
}

/// What a file system says that has no locks, or (NFS) whose server has none.
fn is_without_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported || error.raw_os_error() == Some(nix::libc::ENOLCK)
}

fn id_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_kubeconfig_is_private_and_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let kubeconfig = Kubeconfig::write(Some(&path), "kind: Config\n").unwrap();
        assert_eq!(kubeconfig.path(), path);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(
            fs::read_to_string(&path)
                .unwrap()
                .ends_with("kind: Config\n")
        );
        drop(kubeconfig);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn our_own_kubeconfig_is_replaced_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, format!("{MARK}old")).unwrap();
        let kubeconfig = Kubeconfig::write(Some(&path), "new").unwrap();
        assert!(fs::read_to_string(&path).unwrap().ends_with("new"));
        drop(kubeconfig);

        fs::write(&path, "somebody else's").unwrap();
        let refused = format!("{:?}", Kubeconfig::write(Some(&path), "new").unwrap_err());
        assert!(refused.contains("inpod did not write it"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody else's");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_kubeconfig_of_a_running_cluster_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let first = Kubeconfig::write(Some(&path), "first").unwrap();
        let refused = format!(
            "{:?}",
            Kubeconfig::write(Some(&path), "second").unwrap_err()
        );
        assert!(refused.contains("that runs"), "{refused}");
        assert!(fs::read_to_string(&path).unwrap().ends_with("first"));
        drop(first);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_somebody_put_in_its_place_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let kubeconfig = Kubeconfig::write(Some(&path), "ours").unwrap();
        let other = folder.path().join("other");
        fs::write(&other, "theirs").unwrap();
        fs::rename(other, &path).unwrap();
        drop(kubeconfig);
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    }
}
