use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::Error;

/// The release of Kubernetes that `go.mod` pins, for example `v1.37.2`.
pub fn version() -> &'static str {
    include_str!("../go.mod")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "))
        .find_map(|rest| rest.split_whitespace().next())
        .unwrap_or("unknown")
}

/// The packages, and what their programs are called.
const PROGRAMS: [(&str, &str); 4] = [
    ("etcd", "go.etcd.io/etcd/server/v3"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    (
        "kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
];

/// The folder with `go.mod` and `go.sum`.
const MODULE: &str = env!("CARGO_MANIFEST_DIR");

/// The programs of a real control plane, built.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Builds what is not yet in the [`cache`]: eight minutes on two cores; where it is there, nothing is done. Two callers at once
    /// wait for each other.
    ///
    /// # Errors
    /// Where there is no Go, or it cannot build: the environment's fault.
    pub fn build() -> Result<Self, Error> {
        let folder = folder()?;
        if folder.is_dir() {
            return Ok(Self { folder });
        }
        fs::create_dir_all(cache()).map_err(Error::file(cache()))?;
        let path = cache().join("real.lock");
        let lock = File::create(&path).map_err(Error::file(&path))?;
        lock.lock().map_err(Error::file(&path))?;
        if !folder.is_dir() {
            build_into(&folder)?;
        }
        Ok(Self { folder })
    }

    /// Whether [`Binaries::build`] would have nothing to do.
    pub fn are_built() -> bool {
        folder().is_ok_and(|folder| folder.is_dir())
    }

    /// The program's path: `etcd`, `kube-apiserver`, `kube-controller-manager` or `kubectl`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Where what takes long to build is kept, outside the tree: `INPOD_CI_CACHE`, else `inpod-ci` in the user's cache folder.
pub fn cache() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    named("INPOD_CI_CACHE").map_or_else(
        || {
            named("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(named("HOME")?).join(".cache")))
                .unwrap_or_else(std::env::temp_dir)
                .join("inpod-ci")
        },
        PathBuf::from,
    )
}

fn folder() -> Result<PathBuf, Error> {
    Ok(cache().join(format!("real-{}-{}", version(), fingerprint()?)))
}

/// A folder appears whole or not at all, so that one that is there needs no check.
fn build_into(folder: &Path) -> Result<(), Error> {
    let partial = folder.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    fs::create_dir_all(&partial).map_err(Error::file(&partial))?;
    for (name, package) in PROGRAMS {
        announce(name);
        let mut go = Command::new("go");
        go.current_dir(MODULE).env("CGO_ENABLED", "0");
        go.args(["build", "-ldflags", &linker_flags(), "-o"]);
        let status = go
            .arg(partial.join(name))
            .arg(package)
            .status()
            .map_err(Error::start("go", "; install Go 1.26 or newer"))?;
        if !status.success() {
            return Err(Error::Build(status));
        }
    }
    fs::rename(&partial, folder).map_err(Error::file(folder))
}

/// Without these the programs call themselves v0.0.0-master+$Format:%H$.
fn linker_flags() -> String {
    let version = version();
    let mut numbers = version.trim_start_matches('v').split('.');
    let (major, minor) = (numbers.next().unwrap_or(""), numbers.next().unwrap_or(""));
    let package = "k8s.io/component-base/version";
    format!(
        "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    )
}

/// Of what is built: the modules' versions and sums.
fn fingerprint() -> Result<String, Error> {
    let mut hash = Sha256::new();
    for name in ["go.mod", "go.sum"] {
        let path = Path::new(MODULE).join(name);
        hash.update(fs::read(&path).map_err(Error::file(&path))?);
    }
    let hash = hash.finalize();
    Ok(format!(
        "{:02x}{:02x}{:02x}{:02x}",
        hash[0], hash[1], hash[2], hash[3]
    ))
}

#[expect(
    clippy::print_stderr,
    reason = "it takes minutes, and whoever waits wants to know"
)]
fn announce(program: &str) {
    eprintln!("building {program} for {}, once", version());
}
