//! A hostile CMD: a program that knows inpod and has no privilege comes by nothing that it was not given, and keeps nothing of what it was.
//!
//! Another run of the same user is its victim. Without namespaces the victim's CMD is in sight, which is a stated limit; but what inpod
//! itself holds, tokens and the keys of its cluster, is in its own processes, and those give nothing away.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use inpod_tests::Need::{OrdinaryUser, Program, Root, Sandbox};
use inpod_tests::{
    MACHINES, Machine, Need, as_ordinary_user, contains, equal, eventually, inpod, inpod_command,
    output, trial, wait,
};
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const REFUSE: &str = env!("CARGO_BIN_EXE_inpod-refuse");

/// The machine's own: what is first on PATH may be out of an ordinary user's reach.
const PYTHON: &str = "/usr/bin/python3";
const ATTACK: &str = include_str!("hostile.py");

/// One at a time: the attack looks at every port and every file of its user.
static ALONE: Mutex<()> = Mutex::new(());

/// How an ordinary user without any privilege runs a command.
type There = fn(&Command) -> Command;

/// A way of showing a process its Pod, and which of inpod's processes a hostile one then has in sight: around itself, and of others.
struct Ground {
    name: &'static str,
    there: There,
    around: &'static [&'static str],
    others: bool,
}

const GROUNDS: [Ground; 2] = [
    Ground {
        name: "in_namespaces",
        there: as_ordinary_user,
        around: &["pod-init"],
        others: false,
    },
    Ground {
        name: "under_a_listener",
        there: under_a_listener,
        around: &["inpod", "pod-guardian"],
        others: true,
    },
];

/// Without the leave to read root's files that [`MACHINES`] give.
fn under_a_listener(command: &Command) -> Command {
    let machine = Machine {
        ordinary: false,
        ..MACHINES[0]
    };
    machine.command(REFUSE, &as_ordinary_user(command))
}

fn main() {
    let python: &[Need] = &[Sandbox, OrdinaryUser, Program(PYTHON)];
    let mut trials: Vec<Trial> = Vec::new();
    for ground in &GROUNDS {
        let name = |what: &str| format!("{}::{what}", ground.name);
        trials.extend([
            trial(&name("another_run_gives_nothing_away"), python, || {
                another_run(ground)
            }),
            trial(&name("a_cluster_gives_nothing_away"), python, || {
                cluster(ground)
            }),
            trial(
                &name("an_account_ends_with_its_run"),
                &[Sandbox, OrdinaryUser, Program("curl")],
                || account(ground),
            ),
            trial(
                &name("no_socket_of_inpods_can_be_reached"),
                &[Sandbox, Root],
                || sockets(ground),
            ),
            with_cores(trial(
                &name("no_crash_leaves_memory_behind"),
                &[Sandbox, OrdinaryUser],
                || crashes(ground),
            )),
        ]);
    }
    inpod_tests::run(trials);
}

/// A program that says a line when it is up, and ends with its standard input.
struct Victim {
    child: Child,
    said: String,
    _folder: tempfile::TempDir,
}

impl Victim {
    /// A run whose account may do everything, in a cluster with a Secret.
    fn run(there: There) -> Result<Self, Failed> {
        // CMD has its token in its memory, as any client.
        let script = "token = open('/var/run/secrets/kubernetes.io/serviceaccount/token').read(); print(token, flush=True); input()";
        let arguments = [
            "--cluster-role",
            "cluster-admin",
            "--",
            PYTHON,
            "-c",
            script,
        ];
        Self::start(there, "run", &arguments)
    }

    fn start(there: There, subcommand: &str, arguments: &[&str]) -> Result<Self, Failed> {
        let folder = open_folder()?;
        let manifest = folder.path().join("secret.yaml");
        std::fs::write(
            &manifest,
            "apiVersion: v1\nkind: Secret\nmetadata: {name: mark, namespace: default}\nstringData: {mark: inpod-hostile-mark-1}\n",
        )?;
        let mut command = inpod_command(&[subcommand, "-f"]);
        command.arg(&manifest).args(arguments).current_dir("/");
        let mut child = there(&command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut said = String::new();
        BufReader::new(child.stdout.take().ok_or("a pipe was asked for")?).read_line(&mut said)?;
        Ok(Self {
            child,
            said: said.trim().to_owned(),
            _folder: folder,
        })
    }

    fn end(mut self) -> Result<(), Failed> {
        drop(self.child.stdin.take());
        equal(wait(&mut self.child)?.success(), false) // `read` at the end of its input
    }
}

/// What the attack tells: who, what, and what came of it.
struct Told(Vec<[String; 3]>);

impl Told {
    fn of(ground: &Ground, victim: u32) -> Result<Self, Failed> {
        let folder = open_folder()?;
        let mut command = inpod_command(&["run", "-q", "--", PYTHON, "-c", ATTACK]);
        command.arg(victim.to_string()).current_dir(folder.path());
        let said = output(&mut (ground.there)(&command))?.success()?;
        contains(&said, "end of attack\n")?;
        let lines = said.lines().map(|line| {
            let mut words = line.splitn(3, ' ').map(str::to_owned);
            [(); 3].map(|()| words.next().unwrap_or_default())
        });
        Ok(Self(lines.collect()))
    }

    fn of_whom(&self, which: impl Fn(&str) -> bool) -> impl Iterator<Item = &[String; 3]> {
        self.0.iter().filter(move |[who, ..]| which(who))
    }

    /// Nothing was found anywhere, the attempts that came through at the control came through nowhere else, and these were attacked.
    fn is_harmless(&self, targets: &BTreeSet<String>) -> Result<(), Failed> {
        let missed: Vec<_> = self
            .of_whom(|who| who == "control")
            .filter(|[.., result]| result != "open")
            .collect();
        equal(missed, Vec::<&[String; 3]>::new())?;
        let is_target = |who: &str| {
            who.starts_with("victim's_") || who.starts_with("inpod") || who.starts_with("pod-")
        };
        let attacked: BTreeSet<String> = self
            .of_whom(is_target)
            .map(|[who, ..]| who.clone())
            .collect();
        equal(&attacked, targets)?;
        let open: Vec<_> = self
            .of_whom(is_target)
            .filter(|[.., result]| !["EPERM", "EACCES"].contains(&result.as_str()))
            .collect();
        // Of mounts the kernel says that they are none of the process's to take away.
        let uncovered: Vec<_> = self
            .of_whom(|who| who == "mounts")
            .filter(|[.., result]| result != "EINVAL")
            .collect();
        equal(uncovered, Vec::<&[String; 3]>::new())?;
        let found: Vec<_> = self
            .0
            .iter()
            .filter(|[.., result]| result.starts_with("found:"))
            .collect();
        equal((open, found), (Vec::new(), Vec::<&[String; 3]>::new()))?;
        let callers = output(Command::new("sh").args(["-c", "ls /proc/$$/fd; :"]))?.success()?;
        let callers: Vec<&str> = callers.lines().collect();
        let inherited: Vec<_> = self
            .of_whom(|who| who == "self" || who == "sockets")
            .filter(|[_, what, number]| what != "descriptor" || !callers.contains(&number.as_str()))
            .collect();
        equal(inherited, Vec::<&[String; 3]>::new())
    }

    /// At least so many clusters were met, and told neither a stranger nor an account of no rights anything.
    fn clusters_refused(&self, count: usize) -> Result<(), Failed> {
        let asked = |whom: &str| {
            let answers = self.of_whom(|who| who == "port");
            let answers = answers.filter(|[_, what, _]| what == whom);
            answers
                .map(|[.., status]| status.clone())
                .collect::<Vec<_>>()
        };
        let strangers = asked("https_anonymous"); // there may be other clusters on the machine
        equal(strangers.len() >= count, true)?;
        equal(&strangers, &vec!["403".to_owned(); strangers.len()])?;
        equal(asked("https_account"), ["403"])?;
        equal(asked("http_anonymous"), Vec::<String>::new())
    }
}

/// The processes of the victim, and inpod's own, in sight of a hostile one.
fn in_sight(ground: &Ground, victims: &[&str]) -> BTreeSet<String> {
    let around = ground.around.iter().map(|name| (*name).to_owned());
    let others = victims.iter().map(|name| format!("victim's_{name}"));
    around.chain(others.filter(|_| ground.others)).collect()
}

fn another_run(ground: &Ground) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let victim = Victim::run(ground.there)?;
    contains(&victim.said, "eyJ")?;
    let told = Told::of(ground, victim.child.id())?;
    told.is_harmless(&in_sight(ground, &["inpod", "pod-guardian", "command"]))?;
    told.clusters_refused(2)?;
    victim.end()
}

/// Nor the memory in which it keeps its user's kubeconfig.
fn cluster(ground: &Ground) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let script = "echo up; read line";
    let victim = Victim::start(ground.there, "cluster", &["--", "sh", "-c", script])?;
    let told = Told::of(ground, victim.child.id())?;
    told.is_harmless(&in_sight(ground, &["inpod", "inpod-kubeconfi", "command"]))?;
    told.clusters_refused(2)?;
    victim.end()
}

/// What a run tries so as to outlive itself: its token kept, another one asked for, and somebody left behind to use them.
fn account(ground: &Ground) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let folder = open_folder()?;
    let script = r#"
cd "$1"
inpod run -q --kubeconfig $KUBECONFIG --cluster-role view -- sh -c '
  d=/var/run/secrets/kubernetes.io/serviceaccount
  cp $d/token $d/ca.crt .
  inpod api $0/default/token -d "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenRequest\",\"spec\":{}}" >more 2>&1
  inpod api $0/ >all && echo listed
  setsid sh -c "while :; do [ -e ended ] && touch outlived; done" >/dev/null 2>&1 &
' /api/v1/namespaces/default/serviceaccounts
touch ended
grep -o 'cannot create resource "serviceaccounts/token"' more
server=$(sed -n 's/ *server: //p' $KUBECONFIG)
curl -s -o /dev/null -w '%{http_code}\n' --cacert ca.crt -H "Authorization: Bearer $(cat token)" $server/api
inpod api --kubeconfig $KUBECONFIG /apis/rbac.authorization.k8s.io/v1/clusterrolebindings | grep -c '"name":"inpod:'
[ -e outlived ] && echo outlived
echo end
"#;
    let mut command = inpod_command(&["cluster", "--", "sh", "-c", script, "sh"]);
    let path = std::env::var("PATH").unwrap_or_default();
    let bin = inpod().parent().unwrap_or(Path::new("/"));
    command.env("PATH", format!("{}:{path}", bin.display()));
    command.arg(folder.path()).current_dir("/");
    equal(
        output(&mut (ground.there)(&command))?.success()?.as_str(),
        "listed\ncannot create resource \"serviceaccounts/token\"\n401\n0\nend\n",
    )
}

/// Those of a run have no name, and nobody listens at one.
fn sockets(ground: &Ground) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let victim = Victim::run(ground.there)?;
    let table = std::fs::read_to_string("/proc/net/unix")?;
    let mut own = 0;
    for pid in family(victim.child.id())? {
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
            let link = std::fs::read_link(entry?.path())?;
            let link = link.to_string_lossy();
            let Some(number) = link
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'))
            else {
                continue;
            };
            for line in table.lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                if words.get(6) == Some(&number) {
                    // Flags, by which a listening socket is known; and no name.
                    equal(
                        (words[3], &words[7..]),
                        ("00000000", Vec::<&str>::new().as_slice()),
                    )?;
                    own += 1;
                }
            }
        }
    }
    equal(own > 0, true)?;
    victim.end()
}

/// inpod and its helpers; of those that CMD is one of, all.
fn family(inpod: u32) -> Result<Vec<u32>, Failed> {
    let mut family = vec![inpod];
    let mut at = 0;
    while let Some(pid) = family.get(at) {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        for child in children.split_whitespace() {
            family.push(child.parse()?);
        }
        at += 1;
    }
    Ok(family)
}

fn name(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

/// Ignored where no program leaves a core behind.
fn with_cores(trial: Trial) -> Trial {
    let dumped = open_folder().and_then(|folder| {
        let mut child = dumping(folder.path(), Command::new("sleep").arg("1000")).spawn()?;
        eventually(|| (name(child.id()) == "sleep").then_some(()));
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGABRT)?;
        Ok(wait(&mut child)?.core_dumped())
    });
    if matches!(dumped, Ok(true)) {
        return trial;
    }
    trial
        .with_kind("needs a machine on which crashed programs leave a core")
        .with_ignored_flag(true)
}

/// The command with leave to dump as much as there is, into a folder.
fn dumping(folder: &Path, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c unlimited && exec \"$@\"", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.current_dir(folder);
    shell
}

/// Of inpod or of a helper, by a signal that any program of the user can send.
fn crashes(ground: &Ground) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    for subcommand in ["run", "cluster"] {
        for victim in ["inpod", "pod-setup", "pod-init", "pod-guardian"] {
            let folder = open_folder()?;
            let script = "echo up; read line";
            let command = inpod_command(&[subcommand, "--", "sh", "-c", script]);
            let mut child = dumping(folder.path(), &(ground.there)(&command))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()?;
            let mut up = String::new();
            let stdout = child.stdout.take().ok_or("a pipe was asked for")?;
            BufReader::new(stdout).read_line(&mut up)?;
            equal(up.as_str(), "up\n")?;
            let family = family(child.id())?;
            for pid in family.into_iter().filter(|pid| name(*pid) == victim) {
                kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGABRT)?;
            }
            drop(child.stdin.take());
            let status = wait(&mut child)?;
            let left: Vec<_> = std::fs::read_dir(folder.path())?
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect::<Result<_, _>>()?;
            equal(
                (subcommand, victim, status.core_dumped(), left),
                (subcommand, victim, false, Vec::new()),
            )?;
        }
    }
    Ok(())
}

/// For everybody to write in.
fn open_folder() -> Result<tempfile::TempDir, Failed> {
    let folder = tempfile::tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777))?;
    Ok(folder)
}
