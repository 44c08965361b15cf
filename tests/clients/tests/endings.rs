//! Whatever ends the run, nothing of it stays: no process, no file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to come or to go.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn nothing_stays_after_a_kill() {
    leaves_nothing_after("KILL");
}

#[test]
fn nothing_stays_after_an_interrupt() {
    leaves_nothing_after("INT");
}

/// A run whose kubectl never ends, and leaves a file in TMPDIR.
fn leaves_nothing_after(signal: &str) {
    if !inpod().is_file() {
        // `cargo test --workspace` builds it; nobody else has anything to see here.
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mark = folder.path().display().to_string();
    let kubectl = folder.path().join("kubectl");
    fs::write(
        &kubectl,
        format!("#!/bin/sh\n: >\"$TMPDIR/left\"\nexec sleep 1000 # {mark}\n"),
    )
    .unwrap();
    fs::set_permissions(
        &kubectl,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();

    // A shell that starts this in the background has it ignore interrupts.
    let mut run = Command::new("env")
        .args(["--default-signal=INT", env!("CARGO_BIN_EXE_inpod-clients")])
        .arg("kubectl")
        .env("KUBECTL", &kubectl)
        .env("TMPDIR", &temporary)
        .env("INPOD_CI_CACHE", folder.path().join("cache"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the client runs", || left_in(&temporary));
    let kill = Command::new("kill")
        .args(["-s", signal, &run.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    assert!(!run.wait().unwrap().success());
    eventually("its files are gone", || {
        fs::read_dir(&temporary).unwrap().next().is_none()
    });
    eventually("its processes are gone", || processes_of(&mark).is_empty());
}

fn left_in(folder: &Path) -> bool {
    fs::read_dir(folder)
        .unwrap()
        .flatten()
        .any(|scratch| scratch.path().join("left").is_file())
}

/// The processes with this in their environment.
fn processes_of(mark: &str) -> Vec<PathBuf> {
    let has = |process: &Path| {
        fs::read(process.join("environ"))
            .is_ok_and(|environment| String::from_utf8_lossy(&environment).contains(mark))
    };
    let mut processes: Vec<PathBuf> = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    processes.retain(|process| has(process));
    processes
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "not so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The binary that the run uses.
fn inpod() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_inpod-clients")).with_file_name("inpod")
}
