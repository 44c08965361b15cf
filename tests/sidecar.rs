//! The page's third way, whole: a sidecar has the service account's files, CMD has none and asks at localhost:8001.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use inpod_tests::Need::{OrdinaryUser, Program, Root, Sandbox};
use inpod_tests::{
    MACHINES, as_ordinary_user, contains, equal, eventually, inpod_command, ordinary_user, output,
    trial,
};
use libtest_mimic::Failed;

const REFUSE: &str = env!("CARGO_BIN_EXE_inpod-refuse");

/// One at a time: where connections cannot be led there is one localhost:8001, and where files are on the machine itself, all see them.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn main() {
    let user = &[Sandbox, OrdinaryUser, Program("curl")];
    inpod_tests::run(vec![
        trial(
            "the_proxy_serves_a_command_without_files",
            &[Sandbox, Program("curl")],
            || served(|command| command),
        ),
        trial(
            "the_proxy_serves_a_command_without_files_as_an_ordinary_user",
            user,
            || served(|command| as_ordinary_user(&command)),
        ),
        trial("the_proxy_serves_without_namespaces", user, || {
            served(|command| MACHINES[0].command(REFUSE, &command))
        }),
        trial(
            "the_proxy_serves_where_nothing_can_be_led_and_says_what_that_means",
            &[Sandbox, Root, Program("curl")],
            open,
        ),
        trial(
            "nobody_outside_reaches_the_proxy_and_two_stand_side_by_side",
            user,
            private,
        ),
        trial("the_proxys_token_is_renewed", user, renewed),
        trial(
            "a_sidecar_of_ones_own_has_the_files_and_ends_with_the_command",
            &[Sandbox, Program("kubectl"), Program("curl")],
            own,
        ),
        trial("a_sidecar_that_ends_early_is_told_of", &[Sandbox], || {
            early_end(|command| command)
        }),
        trial(
            "a_sidecar_that_ends_early_leaves_the_command_alone_without_namespaces",
            &[Sandbox, OrdinaryUser],
            || early_end(|command| MACHINES[0].command(REFUSE, &command)),
        ),
        trial("without_a_token_there_is_nothing", &[Sandbox], nothing),
        trial(
            "sidecar_and_command_know_services_where_nothing_is_led",
            &[Sandbox, Root, Program("getent")],
            names,
        ),
        trial(
            "a_sidecar_whose_files_cannot_be_hidden_is_refused",
            &[Sandbox, Root],
            in_sight,
        ),
    ]);
}

fn run(options: &[&str], script: &str) -> Command {
    let mut command = inpod_command(&["run", "--cluster-role", "view"]);
    command
        .args(options)
        .args(["--", "sh", "-c", script])
        .current_dir("/");
    command
}

const ASK: &str = "
for host in localhost 127.0.0.1 '[::1]'; do
  curl -s http://$host:8001/api/v1/namespaces/default/pods | grep -c '\"name\": \"sh-'
done
[ -e /var/run/secrets/kubernetes.io/serviceaccount ] || echo no files
";

fn served(there: impl Fn(Command) -> Command) -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let said = output(&mut there(run(&["-q", "--sidecar"], ASK)))?;
    equal(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("1\n1\n1\nno files\n", ""),
    )
}

/// Then it listens at the machine's own address, of which there is no other for IPv6.
fn open() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let said = output(&mut MACHINES[3].command(REFUSE, &run(&["--sidecar"], ASK)))?;
    equal(said.stdout.as_str(), "1\n1\n0\nno files\n")?;
    contains(&said.stderr, "localhost:8001 is this machine's own")
}

fn private() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let script = "curl -s http://localhost:8001/api/v1/pods | grep -c PodList; read go";
    let mut children = Vec::new();
    let before = listening()?;
    for _ in 0..2 {
        let mut command = as_ordinary_user(&run(&["--sidecar"], script));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut said = [0; 2];
        child
            .stdout
            .as_mut()
            .ok_or("a pipe was asked for")?
            .read_exact(&mut said)?;
        equal(&said, b"1\n")?;
        children.push(child);
    }
    let now = listening()?;
    let ports: Vec<_> = now.difference(&before).collect();
    equal(ports.len() >= 4, true)?;
    for &port in ports {
        let answer = ask(port).unwrap_or_default();
        equal(answer.contains("APIVersions"), false)?;
    }
    for mut child in children {
        drop(child.stdin.take());
        inpod_tests::wait(&mut child)?;
    }
    Ok(())
}

/// The loopback ports that an ordinary user's programs listen on: which of them do, only root is told.
fn listening() -> Result<BTreeSet<u16>, Failed> {
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let user = ordinary_user().to_string();
    let port = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, owner) = (fields.get(1)?, fields.get(3)?, fields.get(7)?);
        let (address, port) = local.split_once(':')?;
        let ours = (address, *state, *owner) == ("0100007F", "0A", user.as_str());
        ours.then(|| u16::from_str_radix(port, 16).ok())?
    };
    Ok(table.lines().filter_map(port).collect())
}

fn ask(port: u16) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    // A name server waits for more than that.
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"GET /api HTTP/1.1\r\nHost: localhost:8001\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// For longer than a token lives: the server refuses one the moment it expires.
fn renewed() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let script = "
for n in 1 2 3 4 5 6 7 8 9 10; do
  curl -s -o /dev/null -w '%{http_code} ' http://localhost:8001/api/v1/pods
  sleep 0.5
done";
    let mut command = as_ordinary_user(&run(&["-q", "--token-ttl", "3", "--sidecar"], script));
    equal(output(&mut command)?.stdout.as_str(), "200 ".repeat(10))
}

fn own() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let script = "
until curl -sf -o /dev/null http://localhost:8001/api; do sleep 0.05; done
curl -s http://localhost:8001/api/v1/pods | grep -c PodList
[ -e /var/run/secrets/kubernetes.io/serviceaccount ] || echo no files";
    let sidecar =
        "--sidecar=cat /var/run/secrets/kubernetes.io/serviceaccount/namespace; exec kubectl proxy";
    let said = output(&mut run(&[sidecar], script))?;
    equal(said.stdout.as_str(), "1\nno files\n")?;
    // What the sidecar prints is not CMD's output.
    contains(&said.stderr, "default")?;
    contains(&said.stderr, "its other users reach too")?;
    let left = || {
        let found = output(Command::new("pgrep").args(["-f", "^kubectl prox[y]$"])).ok()?;
        found.stdout.is_empty().then_some(())
    };
    eventually(left).ok_or_else(|| "the sidecar stayed".into())
}

fn early_end(there: impl Fn(Command) -> Command) -> Result<(), Failed> {
    let script = "until grep -q ended /dev/stdin; do :; done";
    let mut child = there(run(&["-q", "--sidecar=exec false"], script))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("a pipe was asked for")?;
    let mut stderr = child.stderr.take().ok_or("a pipe was asked for")?;
    let mut said = Vec::new();
    while !said.ends_with(b"\n") {
        let mut byte = [0];
        stderr.read_exact(&mut byte)?;
        said.extend(byte);
    }
    equal(
        String::from_utf8_lossy(&said).as_ref(),
        "warning: the sidecar has ended (exit status: 1)\n",
    )?;
    stdin.write_all(&said)?;
    drop(stdin);
    equal(inpod_tests::wait(&mut child)?.code(), Some(0))
}

fn nothing() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let script = "
[ -e /var/run/secrets/kubernetes.io/serviceaccount/token ] || echo no token
echo $KUBERNETES_SERVICE_HOST
inpod api /api 2>/dev/null || echo no way in";
    let mut command = inpod_command(&["run", "--no-token", "--", "sh", "-c", script]);
    equal(
        output(&mut command)?.stdout.as_str(),
        "no token\n10.96.0.1\nno way in\n",
    )
}

/// With files on the machine itself, what the sidecar has CMD would have too.
fn in_sight() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let files_are_there = || Path::new("/var/run/secrets/kubernetes.io").exists();
    equal(files_are_there(), false)?;
    let mut command = run(&["--sidecar=sleep 1000.0625"], "echo CMD runs");
    let ended = output(&mut MACHINES[4].command(REFUSE, &command))?;
    equal((ended.status.code(), ended.stdout.as_str()), (Some(1), ""))?;
    contains(
        &ended.stderr,
        "files on the machine itself: could not hide /var/run/secrets/kubernetes.io/serviceaccount",
    )?;
    equal(files_are_there(), false)?;
    command = run(&["-q", "--no-token"], "echo CMD runs");
    let said = output(&mut MACHINES[4].command(REFUSE, &command))?.success()?;
    equal(said.as_str(), "CMD runs\n")
}

/// Each has a name server of its own.
fn names() -> Result<(), Failed> {
    let _alone = ALONE.lock();
    let folder = inpod_tests::public_folder()?;
    let service = r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 80}]}}"#;
    std::fs::write(folder.path().join("web.json"), service)?;
    let ask = "getent hosts web.default.svc.cluster.local | cut -d' ' -f1";
    let said = folder.path().join("said").display().to_string();
    let sidecar =
        format!("--sidecar={ask} >{said}.new; mv {said}.new {said}; exec sleep 1000.03125");
    let script = format!("until [ -e {said} ]; do :; done; cat {said}; {ask}");
    let mut command = inpod_command(&["run", "-q", &sidecar, "-f"]);
    command
        .arg(folder.path().join("web.json"))
        .args(["--", "sh", "-c", &script])
        .current_dir("/");
    let ended = output(&mut MACHINES[3].command(REFUSE, &command))?.success()?;
    equal(ended.as_str(), "10.96.7.7\n10.96.7.7\n")
}
