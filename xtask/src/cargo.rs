//! Chores that are programs of their own, so that this one is built in a moment and without what it generates.

use std::process::Command;

/// Runs the program of a package of the workspace; what it reads and says is its own. An error without text is its failure.
pub(crate) fn run(package: &str, arguments: &[String]) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--quiet", "--package", package, "--"])
        .args(arguments)
        .status()
        .map_err(|error| format!("cargo run --package {package}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(String::new())
    }
}
