//! However `inpod run` ends, nothing of it stays; and the terminal's signals reach the command as if inpod were not there.

use std::collections::BTreeSet;
use std::io::{BufRead as _, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use inpod_tests::Need::{OrdinaryUser, Program, Root, Sandbox};
use inpod_tests::{
    MACHINES, as_ordinary_user, contains, equal, eventually, inpod, inpod_command, output, trial,
    wait,
};
use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

const REFUSE: &str = env!("CARGO_BIN_EXE_inpod-refuse");

/// With namespaces and without, by what is put in front of our binary.
const PLACES: [(&str, &[&str]); 2] = [
    ("", &[]),
    (
        "_without_namespaces",
        &[REFUSE, "user-namespaces,mounts", "--"],
    ),
];

/// One at a time: some compare the machine before and after, and kill what runs our binary.
static ALONE: Mutex<()> = Mutex::new(());

fn main() {
    let pty = &[
        Sandbox,
        Program("bash"),
        Program("setsid"),
        Program("python3"),
    ];
    let mut trials = vec![
        trial(
            "kill_9_of_any_process_leaves_nothing_as_the_caller",
            &[Sandbox],
            || killed_at_random(|command| command),
        ),
        trial(
            "kill_9_of_any_process_leaves_nothing_as_an_ordinary_user",
            &[Sandbox, OrdinaryUser],
            || killed_at_random(|command| as_ordinary_user(&command)),
        ),
        trial(
            "kill_9_of_any_process_leaves_nothing_of_a_run_in_a_run_without_namespaces",
            &[Sandbox, OrdinaryUser],
            || killed_at_random(|command| MACHINES[0].command(REFUSE, &within_a_run(&command))),
        ),
        trial(
            "nothing_leaks_where_mounts_are_shared",
            &[Sandbox, Root, Program("unshare")],
            shared_mounts,
        ),
        trial(
            "daemonised_descendants_end_with_the_command",
            &[Sandbox],
            daemons,
        ),
        trial("sigterm_to_inpod_reaches_the_command", &[Sandbox], sigterm),
    ];
    for (place, there) in PLACES {
        let mut add = |name: &str, test: fn(&[&str]) -> Result<(), Failed>| {
            trials.push(trial(&format!("{name}{place}"), pty, move || test(there)));
        };
        add("ctrl_c_reaches_the_command_once", ctrl_c);
        add("a_terminal_that_goes_away_ends_the_command", hangup);
        add("a_run_in_a_run_works_at_a_terminal", nested);
        add(
            "ctrl_z_and_fg_work_in_an_interactive_shell",
            job_control_inside,
        );
        add(
            "ctrl_z_stops_the_whole_and_fg_continues_it",
            job_control_outside,
        );
        add(
            "a_signal_that_the_command_sends_its_group_comes_once",
            own_group,
        );
        add("a_signal_to_the_whole_group_comes_once", whole_group);
        add(
            "a_signal_to_the_whole_group_is_not_lost_at_the_start",
            whole_group_at_the_start,
        );
    }
    trials.extend(MACHINES.iter().map(|machine| {
        let who = if machine.ordinary { OrdinaryUser } else { Root };
        let name = format!("kill_9_of_any_process_leaves_nothing_{}", machine.name);
        trial(&name, &[Sandbox, who], || {
            killed_at_random(|command| machine.command(REFUSE, &command))
        })
    }));
    trials.push(trial(
        "what_a_killed_run_left_on_the_machine_is_cleared_by_the_next",
        &[Sandbox, Root],
        left_on_the_machine,
    ));
    inpod_tests::run(trials);
}

/// 50 in CI; fewer by default, so that the everyday tests stay short.
fn rounds() -> usize {
    std::env::var("INPOD_TEST_ROUNDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4)
}

/// What may not change: mounts, and the names in the folders where programs leave things.
#[derive(Debug, PartialEq, Eq)]
struct Census {
    mounts: String,
    hosts: String,
    names: BTreeSet<PathBuf>,
}

impl Census {
    fn take() -> Result<Self, Failed> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let mut names = BTreeSet::new();
        for folder in [Some(PathBuf::from("/tmp")), Some("/run".into()), runtime]
            .into_iter()
            .flatten()
        {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                names.insert(entry?.path());
            }
        }
        Ok(Self {
            mounts: std::fs::read_to_string("/proc/self/mountinfo")?,
            hosts: std::fs::read_to_string("/etc/hosts")?,
            names,
        })
    }

    /// Fails where something is there now that was not, and stays: other programs leave files for a moment too.
    fn is_as_before(&self) -> Result<(), Failed> {
        let now = Self::take()?;
        equal(now.mounts.as_str(), self.mounts.as_str())?;
        equal(now.hosts.as_str(), self.hosts.as_str())?;
        let new: Vec<&PathBuf> = now.names.difference(&self.names).collect();
        let gone = eventually(|| {
            new.iter()
                .all(|name| name.symlink_metadata().is_err())
                .then_some(())
        });
        gone.ok_or_else(|| format!("these stayed: {new:?}").into())
    }
}

/// The processes that run our binary, or have `marker` on their command line.
fn ours(marker: &str) -> Vec<i32> {
    processes(|exe, line| exe == inpod() || line.contains(marker))
}

/// The processes with `marker` on their command line.
fn marked(marker: &str) -> Vec<i32> {
    processes(|_, line| line.contains(marker))
}

/// The processes that are alive and `which` is true of, given their binary and command line.
fn processes(which: impl Fn(&Path, &str) -> bool) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        let proc = entry.path();
        let exe = std::fs::read_link(proc.join("exe")).unwrap_or_default();
        let line = std::fs::read(proc.join("cmdline")).unwrap_or_default();
        let zombie = line.is_empty();
        if !zombie && which(&exe, &String::from_utf8_lossy(&line)) {
            found.push(pid);
        }
    }
    found.sort_unstable();
    found
}

fn killed_at_random(there: impl Fn(Command) -> Command) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let marker = "1000.625";
    let script = format!("setsid sleep {marker} & sleep {marker}");
    let before = Census::take()?;
    // Which process (main, helpers, CMD, and their order of start), and when: spread evenly, so that a failure can be repeated.
    for victim in 0..4 {
        for round in 0..rounds() {
            let moment = Duration::from_micros(
                u64::try_from(round * 15_877 % 240_000)? + u64::try_from(victim)? * 1000,
            );
            let mut command = there(inpod_command(&["run", "--", "sh", "-c", &script]));
            let started = Instant::now();
            let mut child = quiet(&mut command).spawn()?;
            while started.elapsed() < moment {
                std::thread::yield_now();
            }
            let alive = ours(marker);
            let pid = alive
                .get(victim.min(alive.len().saturating_sub(1)))
                .copied();
            if let Some(pid) = pid {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            let gone = || ours(marker).is_empty().then_some(());
            // What was killed may have ended before it was killed, or be no part of the whole (a `setsid` child). But where it is
            // a helper, nobody is left to clear up after both.
            let mut ended = || child.try_wait().ok().flatten();
            if within(Duration::from_secs(2), &mut ended).is_none() {
                child.kill()?;
            }
            wait(&mut child)?;
            eventually(gone).ok_or_else(|| {
                format!(
                    "after {moment:?}, of {alive:?} {pid:?} was killed, and {:?} stayed",
                    ours(marker)
                )
            })?;
        }
    }
    before.is_as_before()
}

/// Where inpod and its guardian are killed at once nobody is left to clear up.
fn left_on_the_machine() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let marker = "1000.6875";
    let before = Census::take()?;
    let there = |command| MACHINES[4].command(REFUSE, &command);
    let script = format!("echo ready; exec sleep {marker}");
    let mut child = there(inpod_command(&["run", "-q", "--", "sh", "-c", &script]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdout = child.stdout.take().ok_or("a pipe was asked for")?;
    stdout.read_exact(&mut [0; 6])?;
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        for pid in ours(marker) {
            kill(Pid::from_raw(pid), signal)?;
        }
    }
    wait(&mut child)?;
    let folder = Path::new("/run/secrets/kubernetes.io/serviceaccount");
    equal(folder.join("token").exists(), true)?;
    let ended = output(&mut there(inpod_command(&["run", "-q", "--", "true"])))?;
    equal((ended.status.code(), ended.stderr.as_str()), (Some(0), ""))?;
    before.is_as_before()
}

fn within_a_run(command: &Command) -> Command {
    let mut outer = inpod_command(&["run", "-q", "--"]);
    outer.arg(command.get_program()).args(command.get_args());
    outer
}

fn within<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = look();
        if found.is_some() || start.elapsed() > time {
            return found;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

fn shared_mounts() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let script = r#"
before=$(cat /proc/self/mountinfo)
for i in $(seq "$2"); do
  "$1" run -- sh -c 'setsid sleep 1000.375 & sleep 1000.375' >/dev/null 2>&1 &
  sleep "0.0$((i % 10))$((i % 7))"
  kill -9 $!
  wait $! 2>/dev/null
done
"$1" run -- true || exit 1
[ "$before" = "$(cat /proc/self/mountinfo)" ] && echo same || cat /proc/self/mountinfo
"#;
    let mut command = Command::new("unshare");
    command
        .args(["-m", "--propagation", "shared", "sh", "-c", script, "sh"])
        .arg(inpod())
        .arg(rounds().to_string());
    let text = output(&mut command)?.success()?;
    equal(text.as_str(), "same\n")?;
    eventually(|| ours("1000.375").is_empty().then_some(())).ok_or("processes stayed")?;
    Ok(())
}

fn daemons() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let before = Census::take()?;
    let script =
        "setsid sh -c 'sleep 1000.875 & sleep 1000.875' >/dev/null 2>&1 & sleep 0.05; exit 3";
    let ended = output(&mut inpod_command(&["run", "--", "sh", "-c", script]))?;
    equal(ended.status.code(), Some(3))?;
    // Not eventually: they are gone when inpod is.
    equal(marked("1000.875"), Vec::<i32>::new())?;
    before.is_as_before()
}

fn sigterm() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let script = "trap 'echo TERM; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = inpod_command(&["run", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdout = child.stdout.take().ok_or("a pipe was asked for")?;
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready)?;
    kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
    equal(wait(&mut child)?.code(), Some(5))?;
    let mut rest = String::new();
    stdout.read_to_string(&mut rest)?;
    equal(rest.as_str(), "TERM\n")
}

/// A command on a terminal of its own, driven as a person would.
struct Terminal {
    master: std::fs::File,
    child: Child,
    seen: String,
    /// Up to where what was seen has been asked for.
    asked: usize,
}

impl Terminal {
    fn open(command: &[&str]) -> Result<Self, Failed> {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = ptsname(&master, Vec::new())?;
        let slave: OwnedFd = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(Path::new(name.to_str()?))?
            .into();
        let child = Command::new("setsid")
            .args(["--ctty", "--wait"])
            // Whoever started the tests in the background ignores them.
            .args(["env", "--default-signal=INT,QUIT,HUP"])
            .args(command)
            .env("PS1", "$ ")
            .env("TERM", "dumb")
            .stdin(slave.try_clone()?)
            .stdout(slave.try_clone()?)
            .stderr(slave)
            .spawn()?;
        rustix::io::ioctl_fionbio(&master, true)?;
        Ok(Self {
            master: master.into(),
            child,
            seen: String::new(),
            asked: 0,
        })
    }

    fn type_(&mut self, text: &str) -> Result<(), Failed> {
        Ok(self.master.write_all(text.as_bytes())?)
    }

    /// Waits until the terminal shows `text` after what was asked for before.
    fn shows(&mut self, text: &str) -> Result<(), Failed> {
        let found = eventually(|| {
            self.read();
            self.seen[self.asked..].find(text)
        });
        let at = found.ok_or_else(|| {
            let (before, after) = self.seen.split_at(self.asked);
            format!("the terminal never showed {text:?} but {after:?}, after {before:?}")
        })?;
        self.asked += at + text.len();
        Ok(())
    }

    fn read(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = self.master.read(&mut buffer) {
            self.seen
                .push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    /// Waits for the end, and answers with the exit code and what was shown since.
    fn ends(mut self) -> Result<(Option<i32>, String), Failed> {
        let status = eventually(|| {
            self.read();
            self.child.try_wait().ok().flatten()
        });
        let Some(status) = status else {
            self.child.kill()?;
            return Err(format!("it does not end; the terminal shows {:?}", self.seen).into());
        };
        self.read();
        Ok((status.code(), self.seen.split_off(self.asked)))
    }
}

/// The command line of a run.
fn run<'a>(there: &[&'a str], command: &[&'a str]) -> Vec<&'a str> {
    let inpod = inpod().to_str().unwrap_or_default();
    [there, &[inpod, "run", "-q", "--"], command].concat()
}

/// inpod is of the group too, and may not hand on what has reached the command by itself.
fn own_group(there: &[&str]) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let script = "
trap 'echo USR1' USR1; trap 'echo USR2' USR2; echo ready
kill -USR1 0
env kill -USR2 0
# Were it handed on, it would be before what is sent now.
while read -r line; do echo \"$line\"; [ \"$line\" = end ] && exit 6; done";
    let mut terminal = Terminal::open(&run(there, &["bash", "-c", script]))?;
    terminal.shows("ready")?;
    terminal.shows("USR1")?;
    terminal.shows("USR2")?;
    terminal.type_("end\n")?;
    let (code, rest) = terminal.ends()?;
    equal(code, Some(6))?;
    equal(rest.contains("USR"), false)
}

/// As `timeout` sends it; and what inpod alone is sent comes still.
fn whole_group(there: &[&str]) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let script = "
import signal
waited = {signal.SIGUSR1, signal.SIGTERM, signal.SIGWINCH}
signal.pthread_sigmask(signal.SIG_BLOCK, waited)
print('ready', flush=True)
while (came := signal.sigwait(waited)) != signal.SIGUSR1: print(came.name, flush=True)
";
    let run = run(there, &["python3", "-c", script]);
    let mut child = Command::new(run[0])
        .args(&run[1..])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take();
    let mut lines = std::io::BufReader::new(stdout.ok_or("a pipe was asked for")?).lines();
    let mut next = move || lines.next().transpose();
    equal(next()?.as_deref(), Some("ready"))?;
    let inpod = Pid::from_raw(i32::try_from(child.id())?);
    for _ in 0..20 {
        killpg(inpod, Signal::SIGTERM)?;
        equal(next()?.as_deref(), Some("SIGTERM"))?;
        // Whatever is handed on of what has a lower number comes before.
        kill(inpod, Signal::SIGWINCH)?;
        equal(next()?.as_deref(), Some("SIGWINCH"))?;
        kill(inpod, Signal::SIGTERM)?;
        equal(next()?.as_deref(), Some("SIGTERM"))?;
    }
    killpg(inpod, Signal::SIGUSR1)?;
    equal(wait(&mut child)?.code(), Some(0))
}

/// Whether it comes before the command is there or after.
fn whole_group_at_the_start(there: &[&str]) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let run = run(there, &["sleep", "1000.5625"]);
    for round in 0..20 {
        let mut command = Command::new(run[0]);
        let started = Instant::now();
        let mut child = quiet(command.args(&run[1..]).process_group(0)).spawn()?;
        while started.elapsed() < Duration::from_millis(3 * round) {
            std::thread::yield_now();
        }
        killpg(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
        let ended = || child.try_wait().ok().flatten();
        if within(Duration::from_secs(5), ended).is_none() {
            child.kill()?;
            wait(&mut child)?;
            return Err(format!("lost {} ms after the start", 3 * round).into());
        }
    }
    eventually(|| marked("1000.5625").is_empty().then_some(())).ok_or("processes stayed")?;
    Ok(())
}

/// Whose process group has no number where the inner one is.
fn nested(there: &[&str]) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let inpod = inpod().to_str().unwrap_or_default();
    let mut terminal = Terminal::open(&run(there, &[inpod, "run", "-q", "--", "echo", "ok"]))?;
    terminal.shows("ok")?;
    equal(terminal.ends()?.0, Some(0))
}

fn ctrl_c(there: &[&str]) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let script = "trap 'echo INT' INT; echo ready; while :; do read line; [ \"$line\" = end ] && exit 7; done";
    let mut terminal = Terminal::open(&run(there, &["bash", "-c", script]))?;
    terminal.shows("ready")?;
    terminal.type_("\x03")?;
    terminal.shows("INT")?;
    terminal.type_("end\n")?;
    let (code, rest) = terminal.ends()?;
    equal(code, Some(7))?;
    equal(rest.contains("INT"), false)
}

/// As leader of the session, inpod alone is told.
fn hangup(there: &[&str]) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let script = "echo ready; exec sleep 1000.1875";
    let mut terminal = Terminal::open(&run(there, &["sh", "-c", script]))?;
    terminal.shows("ready")?;
    let Terminal {
        master, mut child, ..
    } = terminal;
    drop(master);
    equal(wait(&mut child)?.signal(), Some(Signal::SIGHUP as i32))?;
    equal(marked("1000.1875"), Vec::<i32>::new())
}

fn job_control_inside(there: &[&str]) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let mut terminal = Terminal::open(&run(there, &["bash", "--norc", "--noprofile", "-i"]))?;
    terminal.shows("$ ")?;
    terminal.type_("sh -c 'echo sta\"\"rted; exec sleep 1000'\n")?;
    terminal.shows("started")?;
    terminal.type_("\x1a")?;
    terminal.shows("Stopped")?;
    terminal.shows("$ ")?;
    terminal.type_("fg && echo not-interrupted\n")?;
    terminal.shows("exec sleep 1000")?;
    terminal.type_("\x03")?;
    terminal.shows("$ ")?;
    terminal.type_("echo back-$((40+2))\n")?;
    terminal.shows("back-42")?;
    terminal.type_("exit 3\n")?;
    let (code, rest) = terminal.ends()?;
    equal(code, Some(3))?;
    equal(rest.contains("no job control"), false)
}

fn job_control_outside(there: &[&str]) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let mut terminal = Terminal::open(&["bash", "--norc", "--noprofile", "-i"])?;
    terminal.shows("$ ")?;
    let run = run(there, &[]).join(" ");
    let line = format!("{run} sh -c 'echo sta\"\"rted; exec sleep 1000'\n");
    terminal.type_(&line)?;
    terminal.shows("started")?;
    terminal.type_("\x1a")?;
    terminal.shows("Stopped")?;
    terminal.shows("$ ")?;
    terminal.type_("fg\n")?;
    terminal.shows("exec sleep 1000")?;
    terminal.type_("\x03")?;
    // The terminal drops what was typed before the interrupt was handled.
    terminal.shows("$ ")?;
    terminal.type_("echo status-$?\n")?;
    terminal.shows("status-130")?;
    // The shell has its terminal back after a program that took it.
    terminal.type_(&format!("{run} bash --norc -i -c 'exit 4'; echo code-$?\n"))?;
    terminal.shows("code-4")?;
    terminal.type_("exit\n")?;
    let (code, rest) = terminal.ends()?;
    equal(code, Some(0))?;
    contains(&rest, "exit")
}
