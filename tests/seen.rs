//! What CMD sees of inpod: the difference between a process outside and one inside, all of it, as snapshots.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use inpod_tests::Need::{OrdinaryUser, Program, Root, Sandbox};
use inpod_tests::{
    MACHINES, Machine, Need, as_ordinary_user, as_the_caller, equal, inpod, inpod_command, output,
    trial, wait,
};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::Signal;

const REFUSE: &str = env!("CARGO_BIN_EXE_inpod-refuse");

/// The machine's own: what is first on PATH may be out of an ordinary user's reach.
const PYTHON: &str = "/usr/bin/python3";
const LOOK: &str = include_str!("seen.py");

/// What a caller may have set up, and expects what it starts to have.
const CALLER: &str = r#"
umask 027
ulimit -n 512
ulimit -c 0
cd "$1"
shift
exec nice -n 3 env --ignore-signal=USR1,CHLD,PIPE --block-signal=USR2,TERM,RTMIN "$@" 7<seven
"#;

fn main() {
    let places: [(&str, Need, There, Check); 3] = [
        ("as_root", Root, as_the_caller, root),
        (
            "as_an_ordinary_user",
            OrdinaryUser,
            as_ordinary_user,
            ordinary_user,
        ),
        ("under_a_listener", OrdinaryUser, under_a_listener, listener),
    ];
    let mut trials: Vec<Trial> = Vec::new();
    for (place, who, there, check) in places {
        trials.extend([
            trial(
                &format!("{place}::the_difference_is_the_pod_and_nothing_else"),
                &[Sandbox, who, Program(PYTHON)],
                move || {
                    check(&difference(there)?);
                    Ok(())
                },
            ),
            trial(
                &format!("{place}::group_session_and_terminal_are_the_callers"),
                &[Sandbox, who],
                move || group_and_session(there),
            ),
        ]);
    }
    inpod_tests::run(trials);
}

type There = fn(&Command) -> Command;
type Check = fn(&str);

/// Without the leave to read root's files that [`MACHINES`] give.
fn under_a_listener(command: &Command) -> Command {
    let machine = Machine {
        ordinary: false,
        ..MACHINES[0]
    };
    machine.command(REFUSE, &as_ordinary_user(command))
}

/// SIGCHLD and SIGPIPE are as every program expects them: a Rust program cannot know what the second was before it ran.
fn root(difference: &str) {
    insta::assert_snapshot!(difference, @"
    - environment: KUBECONFIG=/outside
    - environment: PATH=/usr/bin:/bin
    - namespaces: mnt
    - namespaces: pid
    - signals: SigIgn SIGCHLD
    - signals: SigIgn SIGPIPE
    + environment: KUBERNETES_PORT=tcp://10.96.0.1:443
    + environment: KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443
    + environment: KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1
    + environment: KUBERNETES_PORT_443_TCP_PORT=443
    + environment: KUBERNETES_PORT_443_TCP_PROTO=tcp
    + environment: KUBERNETES_SERVICE_HOST=10.96.0.1
    + environment: KUBERNETES_SERVICE_PORT=443
    + environment: KUBERNETES_SERVICE_PORT_HTTPS=443
    + environment: NO_PROXY=10.96.0.1,kubernetes.default.svc.cluster.local,kubernetes.default.svc,kubernetes.default,kubernetes
    + environment: PATH=/usr/bin:/bin:(inpod's folder)
    + environment: no_proxy=10.96.0.1,kubernetes.default.svc.cluster.local,kubernetes.default.svc,kubernetes.default,kubernetes
    + mounts: /etc/hosts /hosts rw,nosuid,nodev,relatime - tmpfs inpod rw,mode=755
    + mounts: /etc/resolv.conf /resolv.conf rw,nosuid,nodev,relatime - tmpfs inpod rw,mode=755
    + mounts: /proc / rw,nosuid,nodev,noexec,relatime - proc proc rw
    + mounts: /run/secrets/kubernetes.io/serviceaccount / ro,nosuid,nodev,relatime - tmpfs inpod rw
    + mounts: (home)/.kube / rw,nosuid,nodev,relatime - tmpfs inpod rw,mode=700
    + namespaces: mnt
    + namespaces: pid
    ");
}

fn ordinary_user(difference: &str) {
    insta::assert_snapshot!(difference, @"
    - environment: KUBECONFIG=/outside
    - environment: PATH=/usr/bin:/bin
    - namespaces: mnt
    - namespaces: pid
    - namespaces: user
    - signals: SigIgn SIGCHLD
    - signals: SigIgn SIGPIPE
    + environment: KUBERNETES_PORT=tcp://10.96.0.1:443
    + environment: KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443
    + environment: KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1
    + environment: KUBERNETES_PORT_443_TCP_PORT=443
    + environment: KUBERNETES_PORT_443_TCP_PROTO=tcp
    + environment: KUBERNETES_SERVICE_HOST=10.96.0.1
    + environment: KUBERNETES_SERVICE_PORT=443
    + environment: KUBERNETES_SERVICE_PORT_HTTPS=443
    + environment: NO_PROXY=10.96.0.1,kubernetes.default.svc.cluster.local,kubernetes.default.svc,kubernetes.default,kubernetes
    + environment: PATH=/usr/bin:/bin:(inpod's folder)
    + environment: no_proxy=10.96.0.1,kubernetes.default.svc.cluster.local,kubernetes.default.svc,kubernetes.default,kubernetes
    + mounts: /etc/hosts /hosts rw,nosuid,nodev,relatime - tmpfs inpod rw,mode=755
    + mounts: /etc/resolv.conf /resolv.conf rw,nosuid,nodev,relatime - tmpfs inpod rw,mode=755
    + mounts: /proc / rw,nosuid,nodev,noexec,relatime - proc proc rw
    + mounts: /run/secrets/kubernetes.io/serviceaccount / ro,nosuid,nodev,relatime - tmpfs inpod rw
    + mounts: (home)/.kube / rw,nosuid,nodev,relatime - tmpfs inpod rw,mode=700
    + namespaces: mnt
    + namespaces: pid
    + namespaces: user
    ");
}

fn listener(difference: &str) {
    insta::assert_snapshot!(difference, @"
    - environment: KUBECONFIG=/outside
    - environment: PATH=/usr/bin:/bin
    - signals: SigIgn SIGCHLD
    - signals: SigIgn SIGPIPE
    + environment: KUBERNETES_PORT=tcp://10.96.0.1:443
    + environment: KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443
    + environment: KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1
    + environment: KUBERNETES_PORT_443_TCP_PORT=443
    + environment: KUBERNETES_PORT_443_TCP_PROTO=tcp
    + environment: KUBERNETES_SERVICE_HOST=10.96.0.1
    + environment: KUBERNETES_SERVICE_PORT=443
    + environment: KUBERNETES_SERVICE_PORT_HTTPS=443
    + environment: NO_PROXY=10.96.0.1,kubernetes.default.svc.cluster.local,kubernetes.default.svc,kubernetes.default,kubernetes
    + environment: PATH=/usr/bin:/bin:(inpod's folder)
    + environment: no_proxy=10.96.0.1,kubernetes.default.svc.cluster.local,kubernetes.default.svc,kubernetes.default,kubernetes
    ");
}

/// What is inside and not outside, and the other way round, without what is the machine's.
fn difference(there: There) -> Result<String, Failed> {
    let home = tempfile::tempdir()?;
    let open = |name: &str, mode| {
        let path = home.path().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    };
    std::fs::create_dir(home.path().join(".kube"))?;
    std::fs::write(home.path().join("seven"), "seven")?;
    open("", 0o755)?;
    open("seven", 0o644)?;
    let inpod = inpod().display().to_string();
    let look = |program: &[&str], inside: bool| {
        let mut command = Command::new("sh");
        command.args(["-c", CALLER, "sh"]).arg(home.path());
        if inside {
            command.args([&inpod, "run", "-q", "--"]);
        }
        command.args(program);
        command
            .env("HOME", home.path())
            .env("PATH", "/usr/bin:/bin");
        command.env("KUBECONFIG", "/outside").env("LANG", "C.UTF-8");
        for name in ["NO_PROXY", "no_proxy"] {
            command.env_remove(name);
        }
        output(&mut there(&command))?.success()
    };
    let look = |inside| -> Result<BTreeSet<String>, Failed> {
        let about = look(&[PYTHON, "-c", LOOK], inside)?;
        // By a program that does nothing to signals of its own: shells and Python do.
        let masks = look(
            &["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"],
            inside,
        )?;
        let lines = about.lines().map(str::to_owned);
        Ok(lines.chain(signals(&masks)?).collect())
    };
    let (outside, inside) = (look(false)?, look(true)?);
    let only = |mark: &str, these: &BTreeSet<String>, those: &BTreeSet<String>| {
        let lines = these.difference(those);
        let lines = lines.filter(|line| !is_the_machines(line, home.path()));
        lines
            .flat_map(|line| [mark, " ", line, "\n"])
            .collect::<String>()
    };
    let difference = only("-", &outside, &inside) + &only("+", &inside, &outside);
    let folder = inpod.trim_end_matches("/inpod");
    Ok(difference
        .replace(folder, "(inpod's folder)")
        .replace(&home.path().display().to_string(), "(home)")
        .split_inclusive('\n')
        .map(without_numbers)
        .collect())
}

/// The names of the signals in masks as `/proc` has them.
fn signals(masks: &str) -> Result<Vec<String>, Failed> {
    let mut lines = Vec::new();
    for line in masks.lines() {
        let (what, mask) = line.split_once(":\t").ok_or("NAME: MASK")?;
        let mask = u64::from_str_radix(mask, 16)?;
        // 32 and 33 are glibc's own. It ignores them in all that posix_spawn starts, and sets them again where they are needed.
        for number in (1..=64).filter(|number| ![32, 33].contains(number)) {
            if mask >> (number - 1) & 1 == 1 {
                let known = Signal::try_from(number).map(|signal| signal.as_str().to_owned());
                let known = known.unwrap_or_else(|_| format!("SIGRTMIN+{}", number - 34));
                lines.push(format!("signals: {what} {known}"));
            }
        }
    }
    Ok(lines)
}

/// What depends on the machine more than on inpod: what of `/run` is shown again where there is no `/run/secrets` on it, the home of
/// the user database, and the capabilities that a user namespace of one's own has and the user has not.
fn is_the_machines(line: &str, home: &std::path::Path) -> bool {
    let Some(mount) = line.strip_prefix("mounts: ") else {
        return line.starts_with("status: CapBnd");
    };
    let point = mount.split(' ').next().unwrap_or_default();
    (point == "/run" || point.starts_with("/run/") && !point.starts_with("/run/secrets/"))
        || (point.ends_with("/.kube") && !point.starts_with(home.to_str().unwrap_or_default()))
}

/// Namespaces without their numbers.
fn without_numbers(line: &str) -> String {
    match line.split_once(":[") {
        Some((name, _)) => format!("{name}\n"),
        None => line.to_owned(),
    }
}

/// Seen from outside: inside, the numbers of processes around the sandbox are 0.
fn group_and_session(there: There) -> Result<(), Failed> {
    let command = inpod_command(&["run", "-q", "--", "sh", "-c", "echo up; read line; exit 3"]);
    let mut child = there(&command)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut up = String::new();
    let stdout = child.stdout.take().ok_or("a pipe was asked for")?;
    BufReader::new(stdout).read_line(&mut up)?;
    let mut pid = child.id();
    let ours = group_session_and_terminal(pid)?;
    // The innermost of the line is CMD.
    loop {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let Some(next) = children.split_whitespace().next() else {
            break;
        };
        pid = next.parse()?;
    }
    equal(
        std::fs::read_to_string(format!("/proc/{pid}/comm"))?.as_str(),
        "sh\n",
    )?;
    equal(group_session_and_terminal(pid)?, ours)?;
    drop(child.stdin.take());
    equal(wait(&mut child)?.code(), Some(3))
}

fn group_session_and_terminal(pid: u32) -> Result<Vec<String>, Failed> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(") ").ok_or("a name stands in brackets")?;
    let words = rest.split(' ').map(str::to_owned);
    Ok(words.skip(2).take(3).collect())
}
