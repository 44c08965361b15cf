//! Differences that are known and have a reason. One that no longer occurs is an error too, so that the list only tells what is.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::compare::Difference;

/// The accepted differences of some cases, one file an area.
#[derive(Debug, Default)]
pub struct Accepted {
    entries: Vec<Entry>,
}

/// What differs in one case for one reason.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// The name of the case.
    pub case: String,
    /// Why the embedded server does it differently, and rightly or for now.
    pub reason: String,
    /// Each place, with both values.
    pub differences: Vec<Difference>,
}

/// What is left of a case's differences.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Those that nothing accepts.
    pub left: Vec<Difference>,
    /// How many were accepted.
    pub accepted: usize,
    /// Those that are accepted and do not occur.
    pub stale: Vec<Difference>,
}

impl Accepted {
    /// Reads the file of the area that a case belongs to.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read(case: &str) -> Result<Self, Failure> {
        let path = path(case);
        let entries = match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(Self { entries })
    }

    /// Takes the accepted ones out of a case's differences.
    pub fn judge(&self, case: &str, differences: Vec<Difference>) -> Judgement {
        let mut judgement = Judgement::default();
        let mut expected: Vec<&Difference> = self
            .entries
            .iter()
            .filter(|entry| entry.case == case)
            .flat_map(|entry| &entry.differences)
            .collect();
        for difference in differences {
            match expected.iter().position(|other| **other == difference) {
                Some(at) => {
                    expected.remove(at);
                    judgement.accepted += 1;
                }
                None => judgement.left.push(difference),
            }
        }
        judgement.stale = expected.into_iter().cloned().collect();
        judgement
    }

    /// Accepts what is left of a case's differences for a reason, and forgets what no longer occurs.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn accept(
        &mut self,
        case: &str,
        judgement: &Judgement,
        reason: &str,
    ) -> Result<(), Failure> {
        for entry in self.entries.iter_mut().filter(|entry| entry.case == case) {
            entry
                .differences
                .retain(|difference| !judgement.stale.contains(difference));
        }
        if !judgement.left.is_empty() {
            self.entries.push(Entry {
                case: case.to_owned(),
                reason: reason.to_owned(),
                differences: judgement.left.clone(),
            });
        }
        self.entries.retain(|entry| !entry.differences.is_empty());
        self.entries.sort_by(|one, other| one.case.cmp(&other.case));
        let path = path(case);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let mut text = serde_json::to_string_pretty(&self.entries)?;
        text.push('\n');
        Ok(std::fs::write(path, text)?)
    }
}

impl Judgement {
    /// Whether both servers did the same, but for what is accepted.
    pub fn agrees(&self) -> bool {
        self.left.is_empty() && self.stale.is_empty()
    }
}

fn path(case: &str) -> PathBuf {
    let area = case.split('/').next().unwrap_or(case);
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("accepted")
        .join(format!("{area}.json"))
}
