//! The published Go modules, as `go mod download` puts them into the module cache.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use super::Result;

/// The release whose facts are tabled: v1.37.2 of Kubernetes is v0.37.2 of its libraries.
const RELEASE: &str = "37.2";

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
    let module = format!("{module}@{major}.{RELEASE}");
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
