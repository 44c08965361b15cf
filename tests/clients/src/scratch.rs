use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::Error;

/// Waits for the end of its input, which is that of whoever holds the other end, and removes the folder.
const GUARD: &str = r#"cat; rm -rf -- "$0""#;

/// A folder for what the clients put into TMPDIR. It goes with this value, and with this process, whatever ends it.
#[derive(Debug)]
pub struct Scratch {
    folder: PathBuf,
    guard: Child,
    life: Option<ChildStdin>,
}

impl Scratch {
    /// A new folder, and the process that removes it.
    ///
    /// # Errors
    /// Where one of the two cannot be made.
    pub fn new() -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("inpod-clients-")
            .tempdir()
            .map_err(Error::file(&std::env::temp_dir()))?;
        let mut guard = Command::new("sh")
            .args(["-c", GUARD])
            .arg(folder.path())
            .stdin(Stdio::piped())
            // A Ctrl-C is for us; the guard is needed after it.
            .process_group(0)
            .spawn()
            .map_err(|error| Error::Start {
                program: "sh".to_owned(),
                error,
            })?;
        let life = guard.stdin.take();
        Ok(Self {
            folder: folder.keep(),
            guard,
            life,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(self.life.take());
        // It ends once the folder is gone; whether that went well is nothing to be mended here.
        let _ = self.guard.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_goes_with_what_is_in_it() {
        let scratch = Scratch::new().unwrap();
        let folder = scratch.path().to_owned();
        std::fs::create_dir(folder.join("sub")).unwrap();
        std::fs::write(folder.join("sub/file"), "").unwrap();
        drop(scratch);
        assert!(!folder.exists());
    }
}
