//! The report, and what has changed since it was written.

use std::fmt::Write as _;

use crate::{Error, PROMISED};

/// How an operation went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// Not as it should, with the reason.
    Failed(String),
}

/// How a client reaches the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// By itself, with a Pod's address, CA and token.
    Direct,
    /// At the address of a sidecar, without credentials.
    Proxied,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Direct, Self::Proxied];

    /// As the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "directly",
            Self::Proxied => "through inpod proxy",
        }
    }
}

/// An operation of a client, in both modes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    client: String,
    operation: String,
    /// By [`Mode`]; whether it passed, where the mode makes sense.
    passed: [Option<bool>; 2],
    /// Why it failed.
    reason: String,
}

impl Row {
    fn is(&self, client: &str, operation: &str) -> bool {
        self.client == client && self.operation == operation
    }
}

/// Client × operation × mode, with the reason of each failure.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    rows: Vec<Row>,
}

const HEADING: &str = "\
# Clients that nobody here wrote

Written by `cargo xtask clients --record`. `cargo xtask clients` fails where a run differs from it, in either direction; reasons may differ.

";

const TABLE: &str = "\
| client | operation | directly | through `inpod proxy` | reason |
|---|---|---|---|---|
";

impl Report {
    /// Notes how an operation went.
    pub fn add(&mut self, client: &str, operation: String, mode: Mode, outcome: Outcome) {
        let known = self.rows.iter().position(|row| row.is(client, &operation));
        let index = known.unwrap_or(self.rows.len());
        if known.is_none() {
            self.rows.push(Row {
                client: client.to_owned(),
                operation,
                passed: [None; 2],
                reason: String::new(),
            });
        }
        let row = &mut self.rows[index];
        row.passed[mode as usize] = Some(outcome == Outcome::Passed);
        if let Outcome::Failed(reason) = outcome
            && !row.reason.contains(&reason)
        {
            let separator = if row.reason.is_empty() { "" } else { "; " };
            row.reason = format!("{}{separator}{reason}", row.reason);
        }
    }

    /// Reads what [`Self::render`] wrote.
    ///
    /// # Errors
    /// Where a line of the table is no row.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let table = text
            .lines()
            .enumerate()
            .skip_while(|(_, line)| !line.starts_with("|---"))
            .skip(1)
            .take_while(|(_, line)| line.starts_with('|'));
        let rows = table
            .map(|(index, line)| row(line).ok_or(Error::Report { line: index + 1 }))
            .collect::<Result<_, _>>()?;
        Ok(Self { rows })
    }

    /// The report as a page.
    pub fn render(&self) -> String {
        format!("{HEADING}{}\n{}\n", self.table(), self.summary())
    }

    /// The table.
    pub fn table(&self) -> String {
        let mut text = TABLE.to_owned();
        for row in &self.rows {
            let [direct, proxied] = row.passed.map(cell);
            let reason = row.reason.replace('|', "\\|");
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {direct} | {proxied} | {reason} |",
                row.client, row.operation
            );
        }
        text
    }

    /// `N of M pass`.
    pub fn summary(&self) -> String {
        let results: Vec<bool> = self.results().map(|(.., passed)| passed).collect();
        let passed = results.iter().filter(|passed| **passed).count();
        format!("{passed} of {} pass", results.len())
    }

    /// The rows of these clients alone.
    #[must_use]
    pub fn only(&self, clients: &[&str]) -> Self {
        let mut report = self.clone();
        report
            .rows
            .retain(|row| clients.contains(&row.client.as_str()));
        report
    }

    /// This report with another's rows in place of those of `client`.
    #[must_use]
    pub fn with(&self, client: &str, newer: &Self) -> Self {
        let mut rows = self.rows.clone();
        let place = rows
            .iter()
            .position(|row| row.client == client)
            .unwrap_or(rows.len());
        rows.retain(|row| row.client != client);
        rows.splice(place..place, newer.only(&[client]).rows);
        Self { rows }
    }

    /// What is wrong with this run, held against what was recorded: a line for each thing.
    pub fn differences(&self, recorded: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (client, operation, mode, passed) in self.results() {
            let what = format!("{client}, {operation}, {}", mode.name());
            match (recorded.result(client, operation, mode), passed) {
                (None, _) => lines.push(format!("{what}: not in REPORT.md")),
                (Some(true), false) => {
                    let reason = self.reason(client, operation);
                    lines.push(format!("{what}: passed before, and fails: {reason}"));
                }
                (Some(false), true) => lines.push(format!(
                    "{what}: passes now; record it with `cargo xtask clients --record`"
                )),
                (Some(_), _) => {}
            }
        }
        for (client, operation, mode, _) in recorded.results() {
            if self.result(client, operation, mode).is_none() {
                lines.push(format!(
                    "{client}, {operation}, {}: in REPORT.md, and was not run",
                    mode.name()
                ));
            }
        }
        lines
    }

    /// What these clients promise, and do not keep.
    pub fn broken_promises(&self, clients: &[&str]) -> Vec<String> {
        let promised = PROMISED
            .iter()
            .filter(|(client, _)| clients.contains(client));
        promised
            .filter(|(client, operation)| {
                let row = self.rows.iter().find(|row| row.is(client, operation));
                row.is_none_or(|row| row.passed.contains(&Some(false)))
            })
            .map(|(client, operation)| {
                format!("{client}, {operation}: promised, whatever REPORT.md says")
            })
            .collect()
    }

    fn results(&self) -> impl Iterator<Item = (&str, &str, Mode, bool)> {
        self.rows.iter().flat_map(|row| {
            Mode::ALL.into_iter().filter_map(|mode| {
                let passed = row.passed[mode as usize]?;
                Some((row.client.as_str(), row.operation.as_str(), mode, passed))
            })
        })
    }

    fn result(&self, client: &str, operation: &str, mode: Mode) -> Option<bool> {
        let row = self.rows.iter().find(|row| row.is(client, operation))?;
        row.passed[mode as usize]
    }

    fn reason(&self, client: &str, operation: &str) -> &str {
        let row = self.rows.iter().find(|row| row.is(client, operation));
        row.map_or("", |row| &row.reason)
    }
}

const PASSED: &str = "passed";
const FAILED: &str = "failed";
/// Where the mode makes no sense.
const NOT_RUN: &str = "–";

fn cell(passed: Option<bool>) -> &'static str {
    match passed {
        Some(true) => PASSED,
        Some(false) => FAILED,
        None => NOT_RUN,
    }
}

fn row(line: &str) -> Option<Row> {
    let inner = line.strip_prefix("| ")?.strip_suffix('|')?;
    let cells: Vec<&str> = inner.splitn(5, " | ").collect();
    let [client, operation, direct, proxied, reason] = cells[..] else {
        return None;
    };
    let passed = |cell: &str| match cell {
        PASSED => Some(Some(true)),
        FAILED => Some(Some(false)),
        NOT_RUN => Some(None),
        _ => None,
    };
    Some(Row {
        client: client.to_owned(),
        operation: operation.to_owned(),
        passed: [passed(direct)?, passed(proxied)?],
        reason: reason.trim().replace("\\|", "|"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(results: &[(&str, &str, Mode, bool)]) -> Report {
        let mut report = Report::default();
        for (client, operation, mode, passed) in results {
            let outcome = if *passed {
                Outcome::Passed
            } else {
                Outcome::Failed("415: a | b".to_owned())
            };
            report.add(client, (*operation).to_owned(), *mode, outcome);
        }
        report
    }

    use Mode::{Direct, Proxied};

    #[test]
    fn what_is_written_is_read_again() {
        let written = report(&[
            ("kubectl", "get", Direct, true),
            ("kubectl", "get", Proxied, false),
            ("kubectl", "--as", Direct, false),
            ("java", "watch", Direct, true),
        ]);
        let page = written.render();
        assert_eq!(Report::parse(&page).unwrap(), written);
        assert!(page.ends_with("\n2 of 4 pass\n"), "{page}");
    }

    #[test]
    fn a_line_that_is_no_row_is_named() {
        let page = format!("{HEADING}{TABLE}| kubectl | get | maybe | passed |  |\n");
        let error = Report::parse(&page).unwrap_err().to_string();
        assert!(error.contains("line 7"), "{error}");
    }

    #[test]
    fn the_same_results_make_no_difference_whatever_the_reasons() {
        let mut other = Report::default();
        other.add("a", "b".into(), Direct, Outcome::Failed("another".into()));
        assert!(
            report(&[("a", "b", Direct, false)])
                .differences(&other)
                .is_empty()
        );
    }

    #[test]
    fn every_change_is_a_difference_in_either_direction() {
        let recorded = report(&[
            ("a", "good", Direct, true),
            ("a", "bad", Direct, false),
            ("a", "gone", Direct, true),
            ("a", "half", Direct, true),
            ("a", "half", Proxied, true),
        ]);
        let now = report(&[
            ("a", "good", Direct, false),
            ("a", "bad", Direct, true),
            ("a", "new", Direct, true),
            ("a", "half", Direct, true),
        ]);
        assert_eq!(
            now.differences(&recorded),
            [
                "a, good, directly: passed before, and fails: 415: a | b",
                "a, bad, directly: passes now; record it with `cargo xtask clients --record`",
                "a, new, directly: not in REPORT.md",
                "a, gone, directly: in REPORT.md, and was not run",
                "a, half, through inpod proxy: in REPORT.md, and was not run",
            ]
        );
    }

    #[test]
    fn a_promise_is_kept_by_passing_in_every_mode() {
        let kept = |results: &[_]| report(results).broken_promises(&["python"]).is_empty();
        let operation = "in-cluster configuration";
        assert!(kept(&[("python", operation, Direct, true)]));
        assert!(!kept(&[("python", operation, Direct, false)]));
        assert!(!kept(&[
            ("python", operation, Direct, true),
            ("python", operation, Proxied, false)
        ]));
        assert!(!kept(&[]));
    }

    #[test]
    fn recording_one_client_leaves_the_others_alone() {
        let all = report(&[
            ("a", "x", Direct, true),
            ("b", "x", Direct, true),
            ("c", "x", Direct, true),
        ]);
        let newer = report(&[("b", "y", Direct, false)]);
        let expected = report(&[
            ("a", "x", Direct, true),
            ("b", "y", Direct, false),
            ("c", "x", Direct, true),
        ]);
        assert_eq!(all.with("b", &newer), expected);
    }
}
