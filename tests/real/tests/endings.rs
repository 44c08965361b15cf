//! Whatever ends a runner, nothing stays of its control plane. Ignored where the control plane was never built: that takes minutes.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use inpod_real::Binaries;
use libtest_mimic::{Arguments, Failed, Trial};

const PROGRAM: &str = env!("CARGO_BIN_EXE_inpod-real");
const PATIENCE: Duration = Duration::from_secs(60);

type Test = fn() -> Result<(), Failed>;

fn main() {
    let tests: [(&str, Test); 4] = [
        ("kill_9_of_the_runner_leaves_nothing", || {
            ends_by("KILL", "")
        }),
        ("ctrl_c_of_the_runner_leaves_nothing", || {
            ends_by("INT", "-")
        }),
        ("kill_9_of_the_guard_leaves_no_process", without_guard),
        ("up_is_one_instance_until_down", up_and_down),
    ];
    let built = Binaries::are_built();
    let trials = tests.map(|(name, test)| {
        let trial = Trial::test(name, test).with_ignored_flag(!built);
        if built {
            trial
        } else {
            trial.with_kind("needs the control plane, which `cargo xtask real up` builds")
        }
    });
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

/// `group` is `-` where the signal goes to the whole process group, as the terminal's do.
fn ends_by(signal: &str, group: &str) -> Result<(), Failed> {
    let (mut runner, folder) = runner()?;
    kill(signal, &format!("{group}{}", runner.id()))?;
    ended(&mut runner)?;
    gone(&folder)?;
    eventually("the directory stays", || !folder.exists())
}

fn without_guard() -> Result<(), Failed> {
    let (mut runner, folder) = runner()?;
    let text = Command::new("pgrep")
        .args(["--parent", &runner.id().to_string()])
        .output()?;
    kill("KILL", String::from_utf8_lossy(&text.stdout).trim())?;
    gone(&folder)?;
    runner.kill()?;
    runner.wait()?;
    // What nobody was left to remove, the next one does.
    let (mut next, other) = self::runner()?;
    let left = folder.exists();
    next.kill()?;
    next.wait()?;
    gone(&other)?;
    if left {
        return Err("the next one leaves the directory".into());
    }
    Ok(())
}

fn up_and_down() -> Result<(), Failed> {
    let target = tempfile::tempdir()?;
    let run = |action: &str| {
        Command::new(PROGRAM)
            .arg(action)
            .env("CARGO_TARGET_DIR", target.path())
            .output()
    };
    let first = success(run("up")?)?;
    let second = success(run("up")?)?;
    let kubeconfig = success(run("kubeconfig")?)?;
    success(run("down")?)?;
    let folder = PathBuf::from(&kubeconfig)
        .parent()
        .map(Path::to_owned)
        .ok_or("no kubeconfig")?;
    gone(&folder)?;
    if first != second || first != format!("export KUBECONFIG={kubeconfig}") {
        return Err(format!("{first}, then {second}, at {kubeconfig}").into());
    }
    if folder.exists() || run("kubeconfig")?.status.success() {
        return Err("it is still there".into());
    }
    success(run("down")?).map(drop)
}

fn success(output: Output) -> Result<String, Failed> {
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
}

/// A process with a control plane of its own, in a process group of its own, and the control plane's directory.
fn runner() -> Result<(Child, PathBuf), Failed> {
    // A shell that starts this in the background has it ignore interrupts.
    let mut runner = Command::new("env")
        .args(["--default-signal=INT", PROGRAM, "hold"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let mut line = String::new();
    if let Some(stdout) = runner.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    match line.trim() {
        "" => Err("the control plane did not start".into()),
        folder => Ok((runner, folder.into())),
    }
}

/// Waits for its end without closing its standard input, which would be another way to end it.
fn ended(runner: &mut Child) -> Result<(), Failed> {
    let start = Instant::now();
    while runner.try_wait()?.is_none() {
        if start.elapsed() > PATIENCE {
            runner.kill()?;
            runner.wait()?;
            return Err("the signal does not end the runner".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Waits until no process has the directory among its arguments.
fn gone(folder: &Path) -> Result<(), Failed> {
    let folder = folder.display().to_string();
    eventually("processes stay", || {
        Command::new("pgrep")
            .args(["--full", "--", &folder])
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.code() == Some(1))
    })
}

fn kill(signal: &str, process: &str) -> Result<(), Failed> {
    let status = Command::new("kill")
        .args(["-s", signal, "--", process])
        .status()?;
    if status.success() {
        return Ok(());
    }
    Err(format!("kill {process}: {status}").into())
}

fn eventually(complaint: &str, done: impl Fn() -> bool) -> Result<(), Failed> {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > PATIENCE {
            return Err(complaint.into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
