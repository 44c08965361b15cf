//! `cargo xtask bench`: builds for release, and measures.

use std::path::PathBuf;
use std::process::Command;

/// Builds the binary and the benchmark for release, and runs one on the other. The table goes to standard output.
pub(crate) fn run() -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = [
        "build",
        "--release",
        "--quiet",
        "--package",
        "inpod-cli",
        "--package",
        "inpod-bench",
    ];
    succeed(Command::new(cargo).args(build))?;
    let folder = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(
            || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target")),
            PathBuf::from,
        )
        .join("release");
    succeed(Command::new(folder.join("inpod-bench")).arg(folder.join("inpod")))
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().display().to_string();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{name}: {status}")),
        Err(error) => Err(format!("{name}: {error}")),
    }
}
