//! Chores that are programs of their own, so that this one is built in a moment and without what it generates.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Builds a package that such a program runs.
pub(crate) fn build(package: &str) -> Result<(), String> {
    let status = cargo()
        .args(["build", "--quiet", "--package", package])
        .status()
        .map_err(|error| format!("cargo build --package {package}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(String::new())
    }
}

/// Becomes the program of a package of the workspace, so that whatever ends this process ends that; what it reads and says is its own.
pub(crate) fn run(package: &str, arguments: &[String]) -> Result<(), String> {
    let error = cargo()
        .args(["run", "--quiet", "--package", package, "--"])
        .args(arguments)
        .exec();
    Err(format!("cargo run --package {package}: {error}"))
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
