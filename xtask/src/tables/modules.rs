//! The published Go modules, as `go mod download` puts them into the module cache.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use super::Result;

/// The release whose facts are tabled, which is the one that the tests run: v1.37.2 of Kubernetes is v0.37.2 of its libraries,
/// and then this is `37.2`.
fn release() -> Result<&'static str> {
    include_str!("../../../tests/real/go.mod")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v1."))
        .find_map(|rest| rest.split_whitespace().next())
        .ok_or_else(|| "tests/real/go.mod does not pin k8s.io/kubernetes".into())
}

/// Where the modules lie, unpacked.
pub(crate) struct Modules {
    pub(crate) kubernetes: PathBuf,
    pub(crate) api: PathBuf,
    pub(crate) apimachinery: PathBuf,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    dir: PathBuf,
}

impl Modules {
    pub(crate) fn download() -> Result<Self> {
        Ok(Self {
            kubernetes: download("k8s.io/kubernetes", "v1")?,
            api: download("k8s.io/api", "v0")?,
            apimachinery: download("k8s.io/apimachinery", "v0")?,
        })
    }
}

fn download(module: &str, major: &str) -> Result<PathBuf> {
    let module = format!("{module}@{major}.{}", release()?);
    let output = Command::new("go")
        .args(["mod", "download", "-json", &module])
        // Outside this workspace no go.mod can pin another version.
        .current_dir(std::env::temp_dir())
        .output()
        .map_err(|error| format!("cannot run go, which downloads {module}: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "go mod download {module}: {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    let downloaded: Downloaded = serde_json::from_slice(&output.stdout)?;
    Ok(downloaded.dir)
}
