use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::Error;

/// What the clients were built into, outside the tree, so that a second run has nothing to build.
#[derive(Debug)]
pub struct Cache {
    folder: PathBuf,
    /// Two callers at once would build into the same folders.
    _lock: File,
}

impl Cache {
    /// Opens the cache, once nobody else builds.
    ///
    /// # Errors
    /// Where its folder cannot be made or locked.
    pub fn open() -> Result<Self, Error> {
        let folder = inpod_real::cache().join("clients");
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(Error::file(&path))?;
        lock.lock().map_err(Error::file(&path))?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// The folder that `build` fills for what `inputs` (files, or folders of files) hold; it is called once for each such content.
    pub(crate) fn once(
        &self,
        name: &str,
        inputs: &[PathBuf],
        build: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<PathBuf, Error> {
        let folder = self.folder.join(format!("{name}-{}", fingerprint(inputs)?));
        let complete = folder.join(".complete");
        if !complete.is_file() {
            announce(name);
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
            build(&folder)?;
            File::create(&complete).map_err(Error::file(&complete))?;
        }
        Ok(folder)
    }

    /// Where a build tool keeps what it reuses from one build to the next.
    pub(crate) fn shared(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn fingerprint(inputs: &[PathBuf]) -> Result<String, Error> {
    let mut hash = Sha256::new();
    for input in inputs {
        hash_into(input, &mut hash)?;
    }
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    Ok(format!("{:08x}", u32::from_be_bytes([a, b, c, d])))
}

fn hash_into(path: &Path, hash: &mut Sha256) -> Result<(), Error> {
    hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    hash.update([0]);
    if path.is_dir() {
        for entry in files(path)? {
            hash_into(&entry, hash)?;
        }
    } else {
        let content = fs::read(path).map_err(Error::file(path))?;
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    Ok(())
}

/// What is in a folder, by name.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .map_err(Error::file(folder))?;
    files.sort();
    Ok(files)
}

#[expect(
    clippy::print_stderr,
    reason = "it takes a while, and whoever waits wants to know"
)]
fn announce(name: &str) {
    eprintln!("building {name}, once");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_known_by_what_goes_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            fingerprint(&[folder.path().to_owned()]).unwrap()
        };
        let first = of("a", "1");
        assert_eq!(of("a", "1"), first);
        assert_ne!(of("a", "2"), first);
        assert_ne!(of("b", "1"), of("a", "1"));
    }

    #[test]
    fn what_was_built_half_is_built_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache {
            folder: folder.path().to_owned(),
            _lock: tempfile::tempfile().unwrap(),
        };
        let failed = cache.once("client", &[], |folder| {
            fs::write(folder.join("half"), "").unwrap();
            Err(Error::Built("no".into()))
        });
        assert!(failed.is_err());
        let built = cache.once("client", &[], |_| Ok(())).unwrap();
        assert!(!built.join("half").exists());
        let again = cache
            .once("client", &[], |_| panic!("it is there"))
            .unwrap();
        assert_eq!(again, built);
    }
}
