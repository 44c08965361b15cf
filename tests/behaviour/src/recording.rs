//! What a server did in a case, with everything of that one run taken out.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Failure;
use crate::normal::{Known, normal};

/// A case as it was seen. The files of the real server's are committed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recording {
    /// The name of the case.
    pub case: String,
    /// What was asked and answered.
    pub steps: Vec<Value>,
    /// For each resourceVersion of an object, in order of first appearance, how many others are lower.
    pub versions: Vec<usize>,
    /// For each resourceVersion of a list or a bookmark, how many of the objects' are not higher.
    pub collections: Vec<usize>,
    /// Each time that was told, in seconds after the first.
    pub times: Vec<i64>,
}

impl Recording {
    pub(crate) fn new(case: &str, steps: Vec<Value>, known: Known) -> Self {
        let normal = normal(steps, known);
        Self {
            case: case.to_owned(),
            steps: normal.steps,
            versions: normal.versions,
            collections: normal.collections,
            times: normal.times,
        }
    }

    /// Why the case could not go on, where it could not: then it compares less than it means to.
    pub fn failure(&self) -> Option<&str> {
        self.steps.last()?.get("failure")?.as_str()
    }

    /// Reads the committed recording of a case; none where it has never been recorded.
    ///
    /// # Errors
    /// Where the file is there and is none.
    pub fn read(case: &str) -> Result<Option<Self>, Failure> {
        let path = path(case);
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|error| Failure::new(format!("{}: {error}", path.display()))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes it where [`Recording::read`] finds it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self) -> Result<(), Failure> {
        let path = path(&self.case);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(std::fs::write(path, text)?)
    }
}

/// The folder has the release's name: what another release does is recorded beside it.
fn path(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("recordings")
        .join(inpod_real::version())
        .join(format!("{case}.json"))
}
