use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener as StdListener, UnixStream as StdStream};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use tokio::net::UnixListener;

use crate::listener::ListenError;

/// The file of a listening unix socket, removed on drop if it is still that one.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl SocketFile {
    pub(crate) fn bind(path: &Path) -> Result<(UnixListener, Self), ListenError> {
        let failed = |source| ListenError::Unix {
            path: path.to_owned(),
            source,
        };
        // Two proxies that start at once must not each take the other's new socket for a dead one.
        let _lock = lock_directory_of(path).map_err(failed)?;
        remove_if_dead(path)?;
        let listener = bind_private(path).map_err(failed)?;
        let file = Self {
            path: path.to_owned(),
            id: id_of(path).map_err(failed)?,
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = UnixListener::from_std(listener).map_err(failed)?;
        Ok((listener, file))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if id_of(&self.path).is_ok_and(|now| now == self.id) {
            // Nothing is to be done about a directory that has become read-only.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn id_of(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn lock_directory_of(path: &Path) -> io::Result<rustix::fd::OwnedFd> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = rustix::fs::open(
        directory,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    rustix::fs::flock(&directory, FlockOperation::LockExclusive)?;
    Ok(directory)
}

fn remove_if_dead(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Unix {
        path: path.to_owned(),
        source,
    };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket(path.to_owned()));
    }
    match StdStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        // Whatever else it says (a full backlog, no permission), somebody has it open.
        _ => Err(ListenError::SocketInUse(path.to_owned())),
    }
}

/// Binds with the mode 0600 from the first moment: a chmod afterwards would leave a gap for somebody to connect in.
fn bind_private(path: &Path) -> io::Result<StdListener> {
    let before = rustix::process::umask(Mode::from_bits_truncate(0o177));
    let listener = StdListener::bind(path);
    rustix::process::umask(before);
    listener
}
