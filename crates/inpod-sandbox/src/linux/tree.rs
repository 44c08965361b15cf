//! The files that a process sees without mounts: a part of a file system in memory, asked by path.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{MemfdFlags, Mode, SealFlags, fchmod, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

use super::place;
use super::shown::Shown;
use super::volume::{DATA, directory_names, is_file_name};
use crate::Files;

/// Where no machine has anything.
pub(super) const PROBE: &str = "/proc/inpod";
/// Where a run inside this one asks for what it is to see.
pub(super) const DOOR: &str = "/proc/inpod/door";

/// What is at a path.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Directory,
    /// Sealed memory.
    File(Arc<OwnedFd>),
    /// To a path that is relative to the link's directory.
    Link(PathBuf),
    /// [`DOOR`]
    Door,
}

/// A node, and where it was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) node: Node,
    place: PathBuf,
}

impl Found {
    /// An inode number that no other node has: who follows links by itself knows by it where it has been.
    pub(super) fn number(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.place.hash(&mut hasher);
        if let Node::Link(target) = &self.node {
            target.hash(&mut hasher);
        }
        // A JavaScript number has 53 bits; and those of `/proc`, whose device it is, have up to 32.
        hasher.finish() >> 12 | 1 << 51
    }
}

/// Paths that are ours to answer for, and nothing of what lies beside them.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
    /// Links, and where they lead: `/var/run`, `/run`.
    aliases: Vec<(PathBuf, PathBuf)>,
    /// Directories of which nothing is there, and files that are not.
    hidden: Vec<PathBuf>,
    /// Components of which every path of ours has one, in whatever directory it begins.
    names: HashSet<OsString>,
    /// The directory that processes begin in.
    begins: PathBuf,
    /// Whether that is hidden, so that any relative path may lead into what is.
    begins_hidden: bool,
    contents: BTreeMap<PathBuf, Files>,
}

impl Tree {
    /// All of this, to processes that begin in a directory; and what only those find whose calls are answered.
    pub(super) fn showing(shown: &Shown, begins: &Path) -> io::Result<Self> {
        let nodes = [
            (PathBuf::from(PROBE), Node::Directory),
            (PathBuf::from(DOOR), Node::Door),
        ];
        let mut tree = Self {
            nodes: nodes.into(),
            begins: begins.to_owned(),
            ..Self::default()
        };
        for (path, contents) in &shown.files {
            tree.file(path, contents)?;
        }
        for path in &shown.hidden {
            tree.hide(path);
        }
        tree.volumes(shown)?;
        Ok(tree)
    }

    /// Gives the volumes what they are to contain now.
    pub(super) fn volumes(&mut self, shown: &Shown) -> io::Result<()> {
        for (path, files) in &shown.volumes {
            self.volume(path, files)?;
        }
        Ok(())
    }

    /// Makes a file be there.
    fn file(&mut self, path: &Path, contents: &[u8]) -> io::Result<()> {
        let place = self.place(path)?;
        self.nodes.insert(place, Node::File(memory(contents)?));
        Ok(())
    }

    /// Makes a directory or a file look as if it were not there. One that is not needs no hiding.
    fn hide(&mut self, path: &Path) {
        if let Ok(real) = std::fs::canonicalize(path) {
            self.names.extend(path.file_name().map(OsStr::to_owned));
            self.names.extend(real.file_name().map(OsStr::to_owned));
            self.begins_hidden |= self.begins.starts_with(&real);
            self.hidden.push(path.to_owned());
            self.hidden.push(real);
        }
    }

    /// Makes a volume contain these files and no others, in the kubelet's layout.
    pub(super) fn volume(&mut self, path: &Path, files: &Files) -> io::Result<()> {
        if let Some(name) = files.keys().find(|name| !is_file_name(name)) {
            let message = format!("{name:?} cannot be the name of a file in a volume");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if self.contents.get(path) == Some(files) {
            return Ok(());
        }
        let root = self.place(path)?;
        let data = directory_names()
            .map(|name| root.join(name))
            .find(|data| !self.nodes.contains_key(data))
            .ok_or(Errno::EXIST)?;
        let mut new = vec![
            (root.clone(), Node::Directory),
            (data.clone(), Node::Directory),
        ];
        for (name, contents) in files {
            new.push((data.join(name), Node::File(memory(contents)?)));
            new.push((root.join(name), Node::Link(Path::new(DATA).join(name))));
        }
        let link = data.file_name().map(PathBuf::from).unwrap_or_default();
        let current = match self.nodes.get(&root.join(DATA)) {
            Some(Node::Link(current)) => Some(root.join(current)),
            _ => None,
        };
        new.push((root.join(DATA), Node::Link(link)));
        // Whoever has read `..data` and not yet followed it still finds what it led to.
        self.nodes.retain(|path, _| {
            !path.starts_with(&root) || current.as_ref().is_some_and(|kept| path.starts_with(kept))
        });
        self.nodes.extend(new);
        self.contents.insert(path.to_owned(), files.clone());
        Ok(())
    }

    /// Whether a relative path might be ours, which is dear to find out for certain.
    pub(super) fn may_have(&self, relative: &Path) -> bool {
        self.begins_hidden
            || relative
                .components()
                .any(|part| self.names.contains(part.as_os_str()))
    }

    /// What is at an absolute path: `None` if that is for the machine to say.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR and ELOOP, as the kernel says them.
    pub(super) fn find(&self, path: &Path, follow: bool) -> Result<Option<Found>, Errno> {
        // What ends in a slash is a directory, behind a link too (path_resolution(7)).
        let bytes = path.as_os_str().as_bytes();
        let directory = bytes.ends_with(b"/") || bytes.ends_with(b"/.");
        let follow = follow || directory;
        let mut path = self.canonical(path);
        for _ in 0..place::MAX_LINKS {
            if self.hidden.iter().any(|hidden| path.starts_with(hidden)) {
                return Err(Errno::NOENT);
            }
            let Some((place, node)) = self.deepest(&path) else {
                return Ok(None);
            };
            match node {
                Node::Link(target) if follow || place != path => {
                    let rest = path.strip_prefix(place).unwrap_or(Path::new("")).to_owned();
                    let directory = place.parent().unwrap_or(Path::new("/"));
                    path = self.canonical(&directory.join(target).join(rest));
                }
                Node::File(_) if directory => return Err(Errno::NOTDIR),
                node if place == path => {
                    let (node, place) = (node.clone(), path);
                    return Ok(Some(Found { node, place }));
                }
                Node::Directory => return Err(Errno::NOENT),
                _ => return Err(Errno::NOTDIR),
            }
        }
        Err(Errno::LOOP)
    }

    /// The nearest of our nodes on the way to a path.
    fn deepest(&self, path: &Path) -> Option<(&Path, &Node)> {
        path.ancestors().find_map(|ancestor| {
            let (place, node) = self.nodes.get_key_value(ancestor)?;
            Some((place.as_path(), node))
        })
    }

    /// Without `.`, `..`, doubled slashes and aliases. Links of the machine's that nobody has told us of stay.
    fn canonical(&self, path: &Path) -> PathBuf {
        let mut plain = PathBuf::from("/");
        for component in path.components() {
            match component {
                Component::ParentDir => drop(plain.pop()),
                Component::Normal(name) => plain.push(name),
                _ => {}
            }
        }
        for _ in 0..place::MAX_LINKS {
            let led = self.aliases.iter().find_map(|(alias, real)| {
                let rest = plain.strip_prefix(alias).ok()?;
                Some(real.join(rest))
            });
            let Some(led) = led else { break };
            plain = led;
        }
        plain
    }

    /// Remembers each link of the machine's on the way to a path, and where it leads.
    fn learn_links(&mut self, path: &Path) -> io::Result<()> {
        let mut path = path.to_owned();
        for _ in 0..place::MAX_LINKS {
            let mut ancestors: Vec<&Path> = path.ancestors().collect();
            ancestors.reverse();
            let Some(link) = ancestors.into_iter().find(|place| place.is_symlink()) else {
                return Ok(());
            };
            let (existing, missing) = place::resolve(link)?;
            let there = existing.join(missing);
            let rest = path.strip_prefix(link).unwrap_or(Path::new(""));
            let led = there.join(rest);
            let alias = (link.to_owned(), there);
            if !self.aliases.contains(&alias) {
                self.aliases.push(alias);
            }
            path = led;
        }
        Err(Errno::LOOP.into())
    }

    /// Where a path really is, with the directories that the machine does not have.
    fn place(&mut self, path: &Path) -> io::Result<PathBuf> {
        let known = self.canonical(path);
        if self.nodes.contains_key(&known) {
            return Ok(known);
        }
        let (existing, missing) = place::resolve(path)?;
        let real = existing.join(&missing);
        self.learn_links(path)?;
        let mut directory = existing;
        for part in missing.parent().into_iter().flat_map(Path::components) {
            directory.push(part);
            self.nodes.insert(directory.clone(), Node::Directory);
        }
        self.names.extend(real.file_name().map(OsStr::to_owned));
        Ok(real)
    }
}

/// A file in memory that can only be read.
fn memory(contents: &[u8]) -> io::Result<Arc<OwnedFd>> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = std::fs::File::from(memfd_create("inpod", flags)?);
    file.write_all(contents)?;
    fchmod(&file, Mode::from_raw_mode(0o644))?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(Arc::new(file.into()))
}
