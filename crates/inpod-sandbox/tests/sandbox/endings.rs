//! How a sandbox ends, and that nothing stays.

use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Marked, User, binary, expect, run, script, stdout, trial, until};

/// What a process may leave behind: a daemon out of its session, and one in it.
const DAEMONS: &str = "setsid sleep 1000 & sleep 1000 & ";

pub(crate) fn trials(user: User) -> Vec<Trial> {
    let mut trials = vec![
        trial(user, "the_exit_status_is_the_commands", exit_status),
        trial(user, "what_cannot_run_is_127_or_126", cannot_run),
        trial(user, "daemons_die_with_the_command", daemons),
        trial(
            user,
            "a_signal_to_the_runner_reaches_the_command_once",
            signal,
        ),
        trial(user, "killing_a_stopped_sandbox_leaves_nothing", stopped),
    ];
    for victim in ["", "pod-setup", "pod-init", "sh -c"] {
        let name = match victim {
            "" => "the_runner",
            "sh -c" => "the_command",
            helper => helper,
        };
        let name = format!("kill_9_of_{}_leaves_nothing", name.replace('-', "_"));
        trials.push(trial(user, &name, move |user| killed(user, victim)));
    }
    if user == User::Caller && rustix::process::geteuid().is_root() {
        trials.push(trial(user, "shared_mounts_stay_as_they_were", shared));
    }
    trials
}

fn exit_status(user: User) -> Result<(), Failed> {
    expect(script(user, "exit 0").status.code(), Some(0))?;
    expect(script(user, "exit 42").status.code(), Some(42))?;
    expect(script(user, "kill -TERM $$").status.code(), Some(128 + 15))?;
    expect(script(user, "kill -KILL $$").status.code(), Some(128 + 9))
}

fn cannot_run(user: User) -> Result<(), Failed> {
    let output = run(user, &["no-such-program"]).output()?;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(
        (output.status.code(), message.as_str()),
        (Some(127), "no-such-program: command not found\n"),
    )?;
    expect(
        run(user, &["/etc/passwd"]).output()?.status.code(),
        Some(126),
    )
}

fn daemons(user: User) -> Result<(), Failed> {
    let script = format!("{DAEMONS} exit 3");
    let mut sandbox = Marked::start(run(user, &["sh", "-c", &script]));
    expect(sandbox.child.wait()?.code(), Some(3))?;
    // Not in the end, but when the runner is: it waits for them.
    expect(sandbox.processes(), Vec::new())?;
    sandbox.leaves_nothing()
}

fn signal(user: User) -> Result<(), Failed> {
    let script = "trap 'echo usr1' USR1; trap 'echo term; exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let mut command = run(user, &["sh", "-c", script]);
    command.stdout(Stdio::piped());
    let mut sandbox = Marked::start(command);
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(
        sandbox.child.stdout.take().ok_or("no stdout")?,
    ));
    let mut line = || lines.next().transpose().map(Option::unwrap_or_default);
    expect(line()?, "ready")?;
    let runner = Pid::from_raw(sandbox.child.id().cast_signed());
    kill(runner, Signal::SIGUSR1)?;
    expect(line()?, "usr1")?;
    kill(runner, Signal::SIGTERM)?;
    expect(line()?, "term")?;
    expect(line()?, "")?;
    expect(sandbox.child.wait()?.code(), Some(7))?;
    sandbox.leaves_nothing()
}

fn killed(user: User, victim: &str) -> Result<(), Failed> {
    let times = std::env::var("INPOD_TEST_KILLS")
        .ok()
        .and_then(|times| times.parse().ok())
        .unwrap_or(3);
    let script = format!("{DAEMONS} wait");
    for _ in 0..times {
        let mut command = run(user, &["sh", "-c", &script]);
        command.stderr(Stdio::null());
        let mut sandbox = Marked::start(command);
        let process = if victim.is_empty() {
            Some(sandbox.child.id().cast_signed())
        } else {
            until("the process to kill", || {
                sandbox
                    .find(victim)
                    .map(Some)
                    .or(sandbox.child.try_wait().ok()?.map(|_| None))
            })?
        };
        std::thread::sleep(moment());
        if let Some(process) = process {
            kill(Pid::from_raw(process), Signal::SIGKILL)?;
        }
        sandbox.leaves_nothing()?;
    }
    Ok(())
}

/// A random one within the time a sandbox takes to start.
fn moment() -> Duration {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Duration::from_micros(u64::from(now.subsec_nanos()) % 40_000)
}

/// A stopped init sees nothing, and must die all the same.
fn stopped(user: User) -> Result<(), Failed> {
    let script = format!("{DAEMONS} wait");
    let sandbox = Marked::start(run(user, &["sh", "-c", &script]));
    until("the command", || {
        sandbox.find("setsid").or(sandbox.find("sleep"))
    })?;
    let init = sandbox.find("pod-init").ok_or("no init")?;
    kill(Pid::from_raw(init), Signal::SIGSTOP)?;
    kill(
        Pid::from_raw(sandbox.child.id().cast_signed()),
        Signal::SIGKILL,
    )?;
    sandbox.leaves_nothing()
}

fn shared(_: User) -> Result<(), Failed> {
    let script = "cat /proc/self/mountinfo > $1/before
        $0 --run true && $0 --run sh -c 'kill -9 $$'
        cat /proc/self/mountinfo > $1/after; cmp $1/before $1/after && grep -c shared: $1/after > $1/shared && echo same";
    let directory = tempfile::tempdir()?;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation=shared", "sh", "-c", script])
        .arg(binary())
        .arg(directory.path());
    expect(stdout(&command.output()?), "same\n")
}
