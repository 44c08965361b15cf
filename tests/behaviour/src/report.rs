//! `REPORT.md`: what agrees and what does not, case by case. It is committed, and a run that comes to something else fails.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::Failure;
use crate::accepted::Judgement;

/// A case and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The name of the case.
    pub case: String,
    /// `agrees`, `agrees, N accepted` or `differs`.
    pub verdict: String,
}

impl Row {
    /// From what is left of a case's differences.
    pub fn new(case: &str, judgement: &Judgement) -> Self {
        let verdict = match (judgement.agrees(), judgement.accepted) {
            (false, _) => "differs".to_owned(),
            (true, 0) => "agrees".to_owned(),
            (true, accepted) => format!("agrees, {accepted} accepted"),
        };
        Self {
            case: case.to_owned(),
            verdict,
        }
    }

    /// Whether the two servers agree in it.
    pub fn agrees(&self) -> bool {
        self.verdict.starts_with("agrees")
    }
}

/// The last line of a run and of the report.
pub fn summary(rows: &[Row]) -> String {
    let agree = rows.iter().filter(|row| row.agrees()).count();
    format!("{agree} of {} cases agree", rows.len())
}

/// The committed rows; none where there is no report yet.
///
/// # Errors
/// Where the file cannot be read.
pub fn read() -> Result<Vec<Row>, Failure> {
    let text = match std::fs::read_to_string(path()) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    Ok(text
        .lines()
        .filter_map(|line| {
            let (case, verdict) = line
                .strip_prefix("| `")?
                .strip_suffix(" |")?
                .split_once("` | ")?;
            Some(Row {
                case: case.to_owned(),
                verdict: verdict.to_owned(),
            })
        })
        .collect())
}

/// Writes the report.
///
/// # Errors
/// Where it cannot be written.
pub fn write(rows: &[Row]) -> Result<(), Failure> {
    let mut text = format!(
        "# The embedded server and the real one\n\n\
         Written by `cargo xtask conform --record`, against Kubernetes {}. What is accepted is in `accepted/`, with its reason.\n\n\
         | case | the two servers |\n|---|---|\n",
        inpod_real::version()
    );
    for row in rows {
        let _ = writeln!(text, "| `{}` | {} |", row.case, row.verdict);
    }
    let _ = writeln!(text, "\n{}", summary(rows));
    Ok(std::fs::write(path(), text)?)
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("REPORT.md")
}
