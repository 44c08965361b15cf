//! Mounts inside the sandbox's own mount namespace.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount,
    mount_change, mount_remount, move_mount, open_tree, unmount,
};

use crate::linux::place;

/// Keeps what is mounted here from the rest of the machine, where mounts are shared by default. What the machine mounts later still
/// arrives, and what it unmounts goes, so that the sandbox holds no disk.
pub(super) fn detach() -> io::Result<()> {
    Ok(mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )?)
}

/// A `/proc` of the PID namespace. In a container, where parts of `/proc` are covered, the kernel refuses it; the old one then shows the
/// processes around the sandbox too.
pub(super) fn mount_proc() -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount("proc", "/proc", "proc", flags, None)?)
}

/// Covers a directory by an empty private one, and a file by one in which nothing is, if it exists and is visible.
pub(super) fn hide(path: &Path) -> io::Result<()> {
    match fs::canonicalize(path) {
        Ok(path) if path.is_dir() => mount_tmpfs(&path, "0700"),
        Ok(path) if path.is_file() => attach(&empty_file()?, CWD, &path),
        _ => Ok(()),
    }
}

/// A file of the process's own, to be mounted.
fn empty_file() -> io::Result<OwnedFd> {
    // A file can only be mounted from a file system that is itself mounted: for a moment, over a directory that is there.
    let directory = Path::new("/etc");
    mount_tmpfs(directory, "0755")?;
    let file = directory.join("empty");
    let tree = write_file(&file, b"").and_then(|()| clone_tree(CWD, &file));
    unmount(directory, UnmountFlags::DETACH)?;
    tree
}

/// What has been mounted so far.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    rebuilt: Vec<Rebuilt>,
}

/// A directory that stands in for one that could not be added to.
#[derive(Debug)]
struct Rebuilt {
    path: PathBuf,
    device: u64,
    /// Whether the process may write to the directory it stands in for.
    writable: bool,
}

impl Mounts {
    /// Shows a file with these contents.
    pub(super) fn file(&mut self, path: &Path, contents: &[u8]) -> io::Result<()> {
        let place = self.place(path, FileType::RegularFile)?;
        // A file can only be mounted from a file system that is itself mounted: for a moment, over the directory it is to be in.
        let (Some(directory), Some(name)) = (place.parent(), place.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let outside = open_directory(directory)?;
        mount_tmpfs(directory, "0755")?;
        let tree =
            write_file(&directory.join(name), contents).and_then(|()| clone_tree(CWD, &place));
        unmount(directory, UnmountFlags::DETACH)?;
        attach(&tree?, &outside, Path::new(name))
    }

    /// Shows an empty directory, read-only, and returns it writable.
    pub(super) fn volume(&mut self, path: &Path) -> io::Result<OwnedFd> {
        let place = self.place(path, FileType::Directory)?;
        // The kubelet sets no mode, which makes it tmpfs' own.
        mount_tmpfs(&place, "1777")?;
        let writable = clone_tree(CWD, &place)?;
        read_only(&place)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(writable, ".", flags, Mode::empty())?)
    }

    /// Makes rebuilt directories as read-only as those they stand in for: what is written to them would be lost.
    pub(super) fn seal(&self) -> io::Result<()> {
        let sealed = self.rebuilt.iter().filter(|rebuilt| !rebuilt.writable);
        sealed
            .map(|rebuilt| &rebuilt.path)
            .try_for_each(|path| read_only(path))
    }

    /// A place to mount at: `path` itself if it exists. Otherwise its deepest directory that does is rebuilt in memory, with
    /// everything in it and what is missing.
    fn place(&mut self, path: &Path, kind: FileType) -> io::Result<PathBuf> {
        let (existing, missing) = place::resolve(path)?;
        if missing.as_os_str().is_empty() {
            return Ok(existing);
        }
        let device = fs::metadata(&existing)?.dev();
        if self.rebuilt.iter().all(|rebuilt| rebuilt.device != device) {
            self.rebuild(&existing)?;
        }
        let place = existing.join(missing);
        if kind == FileType::Directory {
            fs::create_dir_all(&place)?;
        } else {
            place.parent().map_or(Ok(()), fs::create_dir_all)?;
            write_file(&place, b"")?;
        }
        Ok(place)
    }

    fn rebuild(&mut self, path: &Path) -> io::Result<()> {
        if path == Path::new("/") {
            let message =
                "the root directory would have to be rebuilt; make a directory on the way to it";
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        let original = match open_directory(path) {
            // Nothing in it is within reach (sops keeps a /run/secrets like that), so that nothing is lost.
            Err(error) if place::is_out_of_reach(&error) && !is_searchable(path) => None,
            other => Some(other?),
        };
        let mode = fs::metadata(path)?.mode() & 0o7777;
        let writable = rustix::fs::access(path, Access::WRITE_OK).is_ok();
        mount_tmpfs(path, &format!("{mode:o}"))?;
        if let Some(original) = &original {
            copy_entries(original, path)?;
        }
        let device = fs::metadata(path)?.dev();
        let path = path.to_owned();
        self.rebuilt.push(Rebuilt {
            path,
            device,
            writable,
        });
        Ok(())
    }
}

fn is_searchable(path: &Path) -> bool {
    rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

fn copy_entries(original: &OwnedFd, directory: &Path) -> io::Result<()> {
    for entry in Dir::read_from(original)? {
        let entry = entry?;
        let name = Path::new(OsStr::from_bytes(entry.file_name().to_bytes()));
        if name == Path::new(".") || name == Path::new("..") {
            continue;
        }
        match copy_entry(original, name, directory) {
            // What goes away meanwhile, or what even its owner may not see (a FUSE mount), would not be there for the process.
            Err(error) if place::is_out_of_reach(&error) => {}
            other => other?,
        }
    }
    Ok(())
}

fn copy_entry(original: &OwnedFd, name: &Path, directory: &Path) -> io::Result<()> {
    let stat = statat(original, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let copy = directory.join(name);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(original, name, Vec::new())?;
            return Ok(rustix::fs::symlink(target.as_c_str(), &copy)?);
        }
        FileType::Directory => fs::create_dir(&copy)?,
        _ => drop(File::create_new(&copy)?),
    }
    attach(&clone_tree(original.as_fd(), name)?, CWD, &copy)
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(
        CWD,
        path,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

fn write_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o644))?; // whatever the umask took
    file.write_all(contents)
}

fn mount_tmpfs(path: &Path, mode: &str) -> io::Result<()> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", "inpod")?;
    fsconfig_set_string(&context, "mode", mode)?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let tmpfs = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    attach(&tmpfs, CWD, path)
}

fn clone_tree(directory: BorrowedFd<'_>, path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW
        | OpenTreeFlags::AT_NO_AUTOMOUNT;
    Ok(open_tree(directory, path, flags)?)
}

fn attach(tree: &OwnedFd, directory: impl AsFd, path: &Path) -> io::Result<()> {
    Ok(move_mount(
        tree,
        "",
        directory,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
}

fn read_only(path: &Path) -> io::Result<()> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    Ok(mount_remount(path, flags, "")?)
}
